"""Landlock: the kernel's own unprivileged access control, here for files, TCP, abstract sockets and signals.

Source: Documentation/userspace-api/landlock.rst and <linux/landlock.h>; the system calls have the same numbers on every
architecture. Kernel 5.13 has ABI 1 (files); ABI 4 adds TCP, ABI 6 scopes for abstract unix sockets and signals.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from cadcoder.sandbox import linux

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK, _MAKE_SYM = 1 << 6, 1 << 9, 1 << 11, 1 << 12
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


def abi() -> int:
    """The kernel's Landlock version, from 1.

    Raises:
        OSError: if the kernel has no Landlock or it is switched off.
    """
    return linux.syscall("landlock_create_ruleset", _CREATE_RULESET, 0, 0, _VERSION)


def _handled(version: int) -> int:
    bits = 13 + (version >= 2) + (version >= 3) + (version >= 5)  # REFER, TRUNCATE, IOCTL_DEV came one by one
    return (1 << bits) - 1


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Let this process read below ``readable`` and write below ``writable``, and nothing else, for good.

    NO_NEW_PRIVS must be set. Paths that do not exist are passed over.

    Raises:
        OSError: if the kernel refuses.
    """
    version = abi()
    handled = _handled(version)
    attributes = struct.pack("=QQQ", handled, 3, 3)  # TCP bind and connect; abstract sockets and signals
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = linux.syscall("landlock_create_ruleset", _CREATE_RULESET, _address(attributes), size, 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
        forbidden = _EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK | _MAKE_SYM
        for path in writable:
            _allow(ruleset, path, handled & ~forbidden)
        linux.syscall("landlock_restrict_self", _RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _address(data: bytes) -> ctypes.c_void_p:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_A_FILE
        rule = struct.pack("=Qi", rights, fd)
        linux.syscall("landlock_add_rule", _ADD_RULE, ruleset, _PATH_BENEATH, _address(rule), 0)
    finally:
        os.close(fd)
