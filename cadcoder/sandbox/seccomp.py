"""The seccomp filter: which system calls the sandboxed children may make, as a classic BPF program.

An allow-list: computing, memory, files (where Landlock and the mount namespace decide which), clocks, its own threads
and signals to itself. No sockets, no new processes, no exec, no namespaces, no tracing, no io_uring, no keys, no shared
memory, no anonymous files. What is refused returns EPERM, so that a script sees a PermissionError; calls newer than the
list return ENOSYS, so that the C library falls back to older ones; another architecture's calls (x32, i386) kill.

Format: struct sock_filter of <linux/filter.h>, struct seccomp_data of <linux/seccomp.h>; numbers from <asm/unistd.h>.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct

from cadcoder.sandbox import linux

# name:x86_64:aarch64, with "-" where the architecture has no such call.
_ALLOWED = """
read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 lseek:8:62 close:3:57
close_range:436:436 open:2:- openat:257:56 openat2:437:437 creat:85:- stat:4:- lstat:6:- fstat:5:80
newfstatat:262:79 statx:332:291 statfs:137:43 fstatfs:138:44 access:21:- faccessat:269:48 faccessat2:439:439
getdents:78:- getdents64:217:61 readlink:89:- readlinkat:267:78 getcwd:79:17 chdir:80:49 fchdir:81:50 mkdir:83:-
mkdirat:258:34 rmdir:84:- unlink:87:- unlinkat:263:35 rename:82:- renameat:264:38 renameat2:316:276
truncate:76:45 ftruncate:77:46 fallocate:285:47 fadvise64:221:223 fsync:74:82 fdatasync:75:83
sync_file_range:277:84 flock:73:32 dup:32:23 dup2:33:- dup3:292:24 umask:95:166
copy_file_range:326:285 sendfile:40:71
pipe:22:- pipe2:293:59 select:23:- pselect6:270:72 poll:7:- ppoll:271:73 epoll_create:213:- epoll_create1:291:20
epoll_ctl:233:21 epoll_wait:232:- epoll_pwait:281:22 eventfd:284:- eventfd2:290:19 timerfd_create:283:85
timerfd_settime:286:86 timerfd_gettime:287:87 brk:12:214 mmap:9:222 munmap:11:215 mprotect:10:226 mremap:25:216
madvise:28:233 mincore:27:232 msync:26:227 mlock:149:228 munlock:150:229 membarrier:324:283
get_mempolicy:239:236 futex:202:98 futex_waitv:449:449 set_robust_list:273:99 get_robust_list:274:100
rseq:334:293 set_tid_address:218:96 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139
rt_sigpending:127:136 rt_sigsuspend:130:133 rt_sigtimedwait:128:137 sigaltstack:131:132 pause:34:- alarm:37:-
setitimer:38:103 getitimer:36:102 timer_create:222:107 timer_settime:223:110 timer_gettime:224:108
timer_getoverrun:225:109 timer_delete:226:111 getpid:39:172 getppid:110:173 gettid:186:178 getuid:102:174
geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148 getresgid:120:150 getgroups:115:158
getpgrp:111:- getpgid:121:155 getsid:124:156 getrlimit:97:163 getrusage:98:165 getpriority:140:141
sched_yield:24:124 sched_getaffinity:204:123 sched_getparam:143:121 sched_getscheduler:145:120
sched_get_priority_max:146:125 sched_get_priority_min:147:126 clock_gettime:228:113 clock_getres:229:114
clock_nanosleep:230:115 nanosleep:35:101 gettimeofday:96:169 time:201:- times:100:153 getrandom:318:278
uname:63:160 sysinfo:99:179 getcpu:309:168 arch_prctl:158:- wait4:61:260 waitid:247:95 exit:60:93
exit_group:231:94 restart_syscall:219:128
"""
# Calls that do nothing and say that they did. Landlock does not look at them, so they could change the user's files
# where there is no mount namespace; a script that copies a file in its own folder makes them and need not fail.
_PRETENDED = """
chmod:90:- fchmod:91:52 fchmodat:268:53 utime:132:- utimes:235:- utimensat:280:88 futimesat:261:-
"""
# Calls whose arguments are looked at: (x86_64, aarch64).
_CLONE, _KILL, _TGKILL, _PRCTL, _PRLIMIT, _IOCTL, _FCNTL = _CHECKED = (
    (56, 220),
    (62, 129),
    (234, 131),
    (157, 167),
    (302, 261),
    (16, 29),
    (72, 25),
)
# Numbers from here on are the same everywhere; the C library probes them and falls back on ENOSYS.
_FIRST_COMMON = 424

_CLONE_THREAD = 0x00010000
_CLONE_NAMESPACES = 0x7E020080  # NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_PRCTL_OPTIONS = (3, 15, 16, 0x53564D41)  # GET_DUMPABLE, SET_NAME, GET_NAME, SET_VMA (a label on memory)
_IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIO(N)CLEX
# DUPFD, GETFD, SETFD, GETFL, SETFL, GETLK, SETLK, SETLKW, the same for open file descriptions, DUPFD_CLOEXEC,
# GETPIPE_SZ, GET_SEALS. Not SETOWN or SETSIG: they send signals to others.
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032, 1034)

_RET_ALLOW = 0x7FFF0000
_RET_KILL = 0x80000000
_RET_ERRNO = 0x00050000

_LD_ABS = 0x20
_JEQ = 0x15
_JGE = 0x35
_JSET = 0x45
_RET = 0x06
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24  # offsets in struct seccomp_data; low halves, little-endian


def _statement(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jump_true, jump_false, value & 0xFFFFFFFF)


@functools.cache  # so that children inherit the zygote's, whose pid is theirs in a pid_ns
def program(pid: int, machine: str) -> bytes:
    """The filter for a process whose id, as it sees it, is ``pid``.

    Args:
        pid: The only process that it may send signals to.
        machine: ``x86_64`` or ``aarch64``.

    Raises:
        OSError: for any other machine.
    """
    if machine not in ("x86_64", "aarch64"):
        raise OSError(errno.ENOSYS, f"no system call table for {machine}")
    column = 0 if machine == "x86_64" else 1
    code: list[bytes] = [
        _statement(_LD_ABS, _ARCH),
        _statement(_JEQ, 0xC000003E if column == 0 else 0xC00000B7, 1, 0),
        _statement(_RET, _RET_KILL),
        _statement(_LD_ABS, _NR),
    ]
    if column == 0:
        code += [_statement(_JGE, 0x40000000, 0, 1), _statement(_RET, _RET_KILL)]
    for entries, answer in ((_ALLOWED, _RET_ALLOW), (_PRETENDED, _RET_ERRNO)):
        for entry in entries.split():
            number = entry.split(":")[1 + column]
            if number != "-":
                code += [_statement(_JEQ, int(number), 0, 1), _statement(_RET, answer)]

    def checked(call: tuple[int, int], body: list[bytes]) -> None:
        code.append(_statement(_JEQ, call[column], 0, len(body)))
        code.extend(body)

    def one_of(offset: int, values: tuple[int, ...], refusal: int) -> list[bytes]:
        body = [_statement(_LD_ABS, offset)]
        for value in values:
            body += [_statement(_JEQ, value, 0, 1), _statement(_RET, _RET_ALLOW)]
        return [*body, _statement(_RET, _RET_ERRNO | refusal)]

    checked(
        _CLONE,
        [
            _statement(_LD_ABS, _ARG0),
            _statement(_JSET, _CLONE_NAMESPACES, 2, 0),
            _statement(_JSET, _CLONE_THREAD, 0, 1),
            _statement(_RET, _RET_ALLOW),
            _statement(_RET, _RET_ERRNO | errno.EPERM),
        ],
    )
    checked(_KILL, one_of(_ARG0, (pid,), errno.EPERM))
    checked(_TGKILL, one_of(_ARG0, (pid,), errno.EPERM))
    checked(_PRCTL, one_of(_ARG0, _PRCTL_OPTIONS, errno.EPERM))
    checked(_PRLIMIT, one_of(_ARG0, (0, pid), errno.EPERM))
    checked(_IOCTL, one_of(_ARG1, _IOCTL_REQUESTS, errno.ENOTTY))
    checked(_FCNTL, one_of(_ARG1, _FCNTL_COMMANDS, errno.EPERM))
    code += [
        _statement(_JGE, _FIRST_COMMON, 0, 1),
        _statement(_RET, _RET_ERRNO | errno.ENOSYS),
        _statement(_RET, _RET_ERRNO | errno.EPERM),
    ]
    return b"".join(code)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def install() -> None:
    """Put the filter on this process, for good; NO_NEW_PRIVS must be set.

    Raises:
        OSError: if the kernel refuses it.
    """
    code = program(os.getpid(), platform.machine())
    buffer = ctypes.create_string_buffer(code, len(code))
    argument = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p).value)
    linux.prctl(linux.PR_SET_SECCOMP, linux.SECCOMP_MODE_FILTER, ctypes.addressof(argument))
