"""The system calls that a Python program needs, and their numbers on x86-64 and on AArch64.

Facts of the Linux kernel's ABI (its ``unistd`` headers). What is not named here does not exist for a program in the
sandbox. `ALLOWED` is what files, memory, processes and threads of its own, time and signals take; calls that are
allowed for some arguments only are in `smcs.sandbox._seccomp`. `REFUSED` are those that a program may try and that
deserve "operation not permitted" instead of "not implemented".
"""

from __future__ import annotations

MACHINES = ("x86_64", "aarch64")
"""In the order of the numbers below."""

_FILES = """
    read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
    preadv2 327 286, pwritev2 328 287, lseek 8 62, close 3 57, close_range 436 436, dup 32 23, dup2 33 -, dup3 292 24,
    pipe 22 -, pipe2 293 59, flock 73 32, fsync 74 82, fdatasync 75 83, ftruncate 77 46, fallocate 285 47,
    sendfile 40 71, copy_file_range 326 285, fadvise64 221 223, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79,
    statx 332 291, access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -, readlinkat 267 78, getcwd 79 17,
    chdir 80 49, fchdir 81 50, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -,
    renameat 264 38, renameat2 316 276, getdents 78 -, getdents64 217 61, statfs 137 43, fstatfs 138 44, umask 95 166
"""
_EVENTS = """
    poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create 213 -, epoll_create1 291 20, epoll_ctl 233 21,
    epoll_wait 232 -, epoll_pwait 281 22, epoll_pwait2 441 441, eventfd 284 -, eventfd2 290 19, timerfd_create 283 85,
    timerfd_settime 286 86, timerfd_gettime 287 87, signalfd 282 -, signalfd4 289 74
"""
_MEMORY = """
    mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, brk 12 214, madvise 28 233, msync 26 227,
    mincore 27 232, membarrier 324 283
"""
_PROCESSES = """
    fork 57 -, vfork 58 -, wait4 61 260, waitid 247 95, exit 60 93, exit_group 231 94, getpid 39 172, getppid 110 173,
    gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177, getresuid 118 148,
    getresgid 120 150, getgroups 115 158, getpgid 121 155, getpgrp 111 -, getsid 124 156, setsid 112 157,
    setpgid 109 154, sched_yield 24 124, sched_getaffinity 204 123, sched_getparam 143 121, sched_getscheduler 145 120,
    sched_get_priority_max 146 125, sched_get_priority_min 147 126, getpriority 140 141, getrlimit 97 163,
    setrlimit 160 164, getrusage 98 165, times 100 153, sysinfo 99 179, uname 63 160, arch_prctl 158 -,
    set_tid_address 218 96, set_robust_list 273 99, get_robust_list 274 100, rseq 334 293, futex 202 98,
    futex_waitv 449 449, getcpu 309 168, getrandom 318 278
"""
_TIME_AND_SIGNALS = """
    rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigtimedwait 128 137,
    rt_sigsuspend 130 133, sigaltstack 131 132, pause 34 -, alarm 37 -, setitimer 38 103, getitimer 36 102,
    timer_create 222 107, timer_settime 223 110, timer_gettime 224 108, timer_delete 226 111, timer_getoverrun 225 109,
    restart_syscall 219 128, clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101,
    gettimeofday 96 169, time 201 -
"""
_PAIRED_SOCKETS = """
    recvfrom 45 207, recvmsg 47 212, shutdown 48 210, getsockopt 55 209, setsockopt 54 208, getsockname 51 204,
    getpeername 52 205
"""
_BY_ARGUMENT = """
    open 2 -, openat 257 56, clone 56 220, socketpair 53 199, sendto 44 206, prctl 157 167, ioctl 16 29, fcntl 72 25,
    prlimit64 302 261, kill 62 129, tkill 200 130, tgkill 234 131
"""
_LAUNCH = """
    execve 59 221, setresuid 117 147, setresgid 119 149, setgroups 116 159
"""
_REFUSED = """
    socket 41 198, connect 42 203, bind 49 200, listen 50 201, accept 43 202, accept4 288 242, sendmsg 46 211,
    sendmmsg 307 269, ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, pidfd_open 434 434,
    pidfd_getfd 438 438, pidfd_send_signal 424 424, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, chmod 90 -,
    fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, chown 92 -, lchown 94 -, fchown 93 55, fchownat 260 54,
    truncate 76 45, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, utime 132 -, utimes 235 -,
    futimesat 261 -, utimensat 280 88, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, removexattr 197 14,
    lremovexattr 198 15, fremovexattr 199 16, mknod 133 -, mknodat 259 33, mount 165 40, umount2 166 39, setns 308 268,
    unshare 272 97, chroot 161 51, pivot_root 155 41, setuid 105 146, setgid 106 144, setreuid 113 145,
    setregid 114 143, setresuid 117 147, setresgid 119 149, setgroups 116 159, capset 126 91, bpf 321 280,
    perf_event_open 298 241, keyctl 250 219, add_key 248 217, request_key 249 218, memfd_create 319 279,
    memfd_secret 447 447, userfaultfd 323 282, open_by_handle_at 304 265, name_to_handle_at 303 264, shmget 29 194,
    shmat 30 196, msgget 68 186, semget 64 190, mq_open 240 180, sched_setaffinity 203 122, sched_setscheduler 144 119,
    sched_setparam 142 118, setpriority 141 140, ioprio_set 251 30, kcmp 312 272, personality 135 92, sync 162 81,
    execve 59 221, execveat 322 281, kill 62 129, tkill 200 130, tgkill 234 131
"""


def numbers(machine: str) -> dict[str, int]:
    """Number of every call named in this module that the machine has.

    Raises:
        KeyError: no table for this machine.
    """
    if machine not in MACHINES:
        raise KeyError(machine)
    column = 1 + MACHINES.index(machine)
    table = _rows(ALLOWED_TEXT + "," + _BY_ARGUMENT + "," + _LAUNCH + "," + _REFUSED)
    return {row[0]: int(row[column]) for row in table if row[column] != "-"}


def _rows(text: str) -> list[list[str]]:
    return [row.split() for row in text.split(",")]


def _names(text: str) -> tuple[str, ...]:
    return tuple(row[0] for row in _rows(text))


ALLOWED_TEXT = ",".join((_FILES, _EVENTS, _MEMORY, _PROCESSES, _TIME_AND_SIGNALS, _PAIRED_SOCKETS))
ALLOWED = _names(ALLOWED_TEXT)
LAUNCH = _names(_LAUNCH)
"""What bubblewrap and our own start-up code need after the filter is in force; harmless where there is no privilege
and nothing to execute but the interpreter."""
SIGNALLING = ("kill", "tkill", "tgkill")
REFUSED = _names(_REFUSED)
