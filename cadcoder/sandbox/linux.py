"""The Linux system calls that Python has no name for, through ctypes; each raises OSError when the kernel says no."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from typing import Any

IS_LINUX = sys.platform == "linux"

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
SECCOMP_MODE_FILTER = 2

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1
_SYS_PIVOT_ROOT = 41 if platform.machine() == "aarch64" else 155
_SYS_MOUNT_SETATTR = 442
HUGE_PAGE = 1 << 21
_MADV_DONTNEED = 4
_MADV_HUGEPAGE = 14
_MADV_COLLAPSE = 25
_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4
_MAP_PRIVATE_ANONYMOUS = 0x22
_MREMAP_MAYMOVE_FIXED = 3

_libc: Any = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None  # nothing here is called elsewhere
_CAP_HEADER = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process


def check(result: int, what: str) -> int:
    """``result``, or OSError with the errno of the last call if it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(what: str, number: int, *arguments: int | bytes | ctypes.c_void_p | None) -> int:
    """A raw system call; ints are passed as 64 bits."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return check(_libc.syscall(ctypes.c_long(number), *converted), what)


def prctl(option: int, *arguments: int) -> None:
    """Operate on this process; see the manual page prctl; missing arguments are 0."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    check(_libc.prctl(ctypes.c_int(option), *[ctypes.c_ulong(a) for a in padded]), f"prctl({option})")


def get_prctl(option: int, *arguments: int) -> int:
    """Ask about this process; the result of the system call prctl."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    result = _libc.prctl(ctypes.c_int(option), *[ctypes.c_ulong(a) for a in padded])
    return check(int(result), f"prctl({option})")


def unshare(flags: int) -> None:
    """Leave shared namespaces."""
    check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, kind: int) -> None:
    """Enter the namespace that a descriptor stands for."""
    check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount something; the arguments are those of the system call."""
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    check(result, f"mount {target}")


def unmount(target: str) -> None:
    """Take a mount away, at once for names and when its last user is gone for the rest."""
    check(_libc.umount2(os.fsencode(target), ctypes.c_int(MNT_DETACH)), f"umount {target}")


def make_read_only(target: str, recursive: bool = True) -> None:
    """Make a mount (and those below it) read-only, by mount_setattr(2), Linux 5.12 and newer."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    address = ctypes.addressof(attributes)
    syscall("mount_setattr", _SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), flags, address, 32)


def enter_root(new_root: str) -> None:
    """Make ``new_root``, a mount point, the root of this mount namespace and drop the old one, by pivot_root(2)."""
    os.chdir(new_root)
    syscall("pivot_root", _SYS_PIVOT_ROOT, b".", b".")
    check(_libc.umount2(b".", ctypes.c_int(MNT_DETACH)), "umount2")
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up every capability: ambient, bounding (where allowed), permitted, effective and inheritable."""
    _libc.prctl(ctypes.c_int(PR_CAP_AMBIENT), *[ctypes.c_ulong(a) for a in (4, 0, 0, 0)])  # CLEAR_ALL
    for capability in range(64):
        if _libc.prctl(ctypes.c_int(PR_CAPBSET_DROP), *[ctypes.c_ulong(a) for a in (capability, 0, 0, 0)]) < 0:
            break
    check(_libc.capset(_CAP_HEADER, (ctypes.c_uint32 * 6)()), "capset")


def capabilities() -> tuple[int, ...]:
    """The effective, permitted and inheritable capabilities of this process, as six words of bits."""
    words = (ctypes.c_uint32 * 6)()
    check(_libc.capget(_CAP_HEADER, words), "capget")
    return tuple(words)


def collapse(start: int, end: int) -> None:
    """Ask for huge pages in an address range and gather what is there in them, by madvise(2), Linux 6.1 and newer.

    Raises:
        OSError: if the kernel has no huge pages.
    """
    check(_libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_HUGEPAGE), "madvise")
    address = -(-start // HUGE_PAGE) * HUGE_PAGE
    while address + HUGE_PAGE <= end:
        # One that is empty or busy is refused; the others go on.
        _libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(HUGE_PAGE), _MADV_COLLAPSE)
        address += HUGE_PAGE


def forget(start: int, length: int) -> None:
    """Let go of the pages of an address range: those of a file are read again when needed, by madvise(2).

    Raises:
        OSError: if the kernel refuses.
    """
    check(_libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED), "madvise")


def make_code(start: int, end: int) -> None:
    """Let an address range be read and executed, by mprotect(2).

    Raises:
        OSError: if the kernel refuses.
    """
    check(_libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _PROT_READ | _PROT_EXEC), "mprotect")


def move_to_huge_pages(start: int, end: int, code: bool) -> None:
    """Put a copy of an address range, in pages of 2 MB, in its place, by mmap(2) and mremap(2).

    Args:
        start: A multiple of 2 MB.
        end: Another; nothing between them may change meanwhile.
        code: Whether it may be executed; it cannot be written in any case.

    Raises:
        OSError: if the kernel refuses; all is then as it was.
    """
    size = end - start
    moved = None
    _libc.mmap.restype = _libc.mremap.restype = ctypes.c_void_p
    rights = ctypes.c_int(_PROT_READ | _PROT_WRITE)
    nowhere, no_file = ctypes.c_void_p(None), ctypes.c_int(-1)
    room = size + HUGE_PAGE
    raw = _libc.mmap(nowhere, ctypes.c_size_t(room), rights, _MAP_PRIVATE_ANONYMOUS, no_file, ctypes.c_long(0))
    if raw == ctypes.c_void_p(-1).value:
        check(-1, "mmap")
    copy = -(-raw // HUGE_PAGE) * HUGE_PAGE
    try:
        check(_libc.madvise(ctypes.c_void_p(copy), ctypes.c_size_t(size), _MADV_HUGEPAGE), "madvise")
        ctypes.memmove(copy, start, size)
        check(_libc.madvise(ctypes.c_void_p(copy), ctypes.c_size_t(size), _MADV_COLLAPSE), "madvise")
        final = ctypes.c_int(_PROT_READ | (_PROT_EXEC if code else 0))
        check(_libc.mprotect(ctypes.c_void_p(copy), ctypes.c_size_t(size), final), "mprotect")
        moved = _libc.mremap(
            ctypes.c_void_p(copy),
            ctypes.c_size_t(size),
            ctypes.c_size_t(size),
            ctypes.c_int(_MREMAP_MAYMOVE_FIXED),
            ctypes.c_void_p(start),
        )
        if moved != start:
            check(-1, "mremap")
    finally:
        if moved != start:
            _libc.munmap(ctypes.c_void_p(copy), ctypes.c_size_t(size))
        _libc.munmap(ctypes.c_void_p(raw), ctypes.c_size_t(copy - raw))
        if copy + size < raw + room:
            _libc.munmap(ctypes.c_void_p(copy + size), ctypes.c_size_t(raw + room - copy - size))
