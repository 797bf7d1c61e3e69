"""The system calls a kernel or data container may make; everything not named here fails with EPERM.

`python -m sandbox.warden.seccomp > images/kernel/seccomp.json` writes the copy for readers and for `docker run`; a test holds the two
together.
Left out on purpose (security.md): N3 N6 N7 raw, packet, netlink, vsock, alg … sockets · F2 K7 every mount call · F6 device nodes ·
K2 namespaces · K3 ptrace, process_vm · K4 bpf, perf, userfaultfd · K5 keys · K6 io_uring · K8 modules, kexec, reboot, swap, syslog,
file handles · K1 changes of user, group and capabilities · D sync of all the host's disks · splice, tee, memfd_create, execveat, inotify,
personality, protection keys: nothing that a notebook does was seen to use them (`tests/warden/test_libraries.py`) · the clock, 32-bit and x32 calls (any of these kills the process: the profile names no second architecture).
"""

import json
import sys
from typing import Any

MEMORY = """brk madvise mlock mmap mprotect mremap msync munlock munmap membarrier"""

FILES = """access chdir chmod close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
fchdir fchmod fchmodat fchmodat2 fchown fchownat chown lchown fcntl fdatasync flock fstat fstatfs fsync ftruncate getcwd getdents
getdents64 ioctl lseek link linkat lstat mkdir mkdirat newfstatat open openat pread64 preadv preadv2 pwrite64 pwritev pwritev2
read readlink readlinkat readv rename renameat renameat2 rmdir sendfile stat statfs statx symlink symlinkat truncate umask unlink
unlinkat utime utimensat utimes write writev fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr
lremovexattr lsetxattr removexattr setxattr"""

EVENTS = """epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 pipe pipe2 poll ppoll
pselect6 select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime"""

# Sockets are of UNIX or of loopback only (there is no other interface): the families are chosen below.
SOCKETS = """accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg
sendto setsockopt shutdown"""

PROCESSES = """alarm arch_prctl execve exit exit_group fork futex getegid geteuid getgid getgroups getitimer getpgid getpgrp
getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid get_robust_list kill nanosleep pause
pidfd_open pidfd_send_signal prctl restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend
rt_sigtimedwait sched_getaffinity sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
sched_setaffinity sched_setscheduler sched_yield setitimer setpgid setpriority setrlimit setsid set_robust_list set_tid_address
sigaltstack tgkill time times uname vfork wait4 waitid clock_getres clock_gettime clock_nanosleep gettimeofday getcpu getrandom
sysinfo timer_create timer_delete timer_getoverrun timer_gettime timer_settime"""

# New calls whose absence the C library and others handle: ENOSYS, as from an older Linux, so that they fall back.
# clone3 hides its flags behind a pointer, which no filter can read; fork and threads then use clone, which is filtered below.
ABSENT = """clone3 memfd_create futex_waitv openat2 io_uring_setup io_uring_enter io_uring_register process_madvise cachestat mseal memfd_secret landlock_create_ruleset
landlock_add_rule landlock_restrict_self map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount setxattrat getxattrat
listxattrat removexattrat"""

EPERM, ENOSYS, EOPNOTSUPP = 1, 38, 95
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
SOCK_TYPE, SOCK_STREAM, SOCK_DGRAM = 0xF, 1, 2
IPPROTO_TCP, IPPROTO_UDP = 6, 17
# CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
NAMESPACES = 0x7E020000
S_IFMT, S_IFIFO = 0o170000, 0o010000


def profile() -> dict[str, Any]:
    """Return the profile in the form Docker and runc read."""
    plain = sorted(set(f"{MEMORY} {FILES} {EVENTS} {SOCKETS} {PROCESSES}".split()))
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            _allow(plain),
            _allow(["prlimit64"], _equal(0, 0)),  # one's own limits; PID 1 is of the same uid (K3)
            _allow(["clone"], _masked(0, NAMESPACES, 0)),
            _allow(["socket"], _equal(0, AF_UNIX)),
            *(
                _allow(["socket"], _equal(0, family), _masked(1, SOCK_TYPE, kind), _equal(2, protocol))
                for family in (AF_INET, AF_INET6)
                for kind, protocols in ((SOCK_STREAM, (0, IPPROTO_TCP)), (SOCK_DGRAM, (0, IPPROTO_UDP)))
                for protocol in protocols
            ),
            _allow(["socketpair"], _equal(0, AF_UNIX)),
            _allow(["mknod"], _masked(1, S_IFMT, S_IFIFO)),
            _allow(["mknodat"], _masked(2, S_IFMT, S_IFIFO)),
            # ipykernel's stream thread binds loopback TCP by libzmq, which lists the interfaces first: without netlink it goes on for
            # this error only, and aborts the kernel for EPERM (libzmq, ip_resolver.cpp).
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": EOPNOTSUPP, "args": [_equal(0, AF_NETLINK)]},
            {"names": sorted(ABSENT.split()), "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS},
        ],
    }


def _allow(names: list[str], *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ALLOW", "args": list(conditions)}


def _equal(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


if __name__ == "__main__":
    json.dump(profile(), sys.stdout, indent=1)
    sys.stdout.write("\n")
