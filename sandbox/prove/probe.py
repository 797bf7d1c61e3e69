"""Attacks on the container, run inside it with nothing but Python: prints `[{"id","what","outcome","errno"}]`.

Outcome: `refused` (the error is one of a refusal), `breached` (it worked, or the kernel got as far as looking at our deliberately
useless arguments), `absent` (this Linux does not have it). One JSON argument says where the test's own listeners and marks are.
With `userns` in it everything is tried as root of a user namespace of its own (gVisor lets anyone make one, in its own kernel).
Calls that could do harm get arguments that cannot succeed; a UDP socket that is connected sends nothing.
"""

# The calls themselves are meant, not pathlib around them; the answer goes to standard output.
# ruff: noqa: PTH101, PTH104, PTH108, PTH202, PTH208, S103, T201

import contextlib
import ctypes
import errno
import json
import os
import signal
import socket
import stat
import struct
import sys
from pathlib import Path

HERE = json.loads(sys.argv[1])
SECTIONS = HERE.get("sections") or ["network", "files", "kernel"]
LIBC = ctypes.CDLL(None, use_errno=True)
REFUSED = {
    "EPERM",
    "EACCES",
    "ENOSYS",
    "EROFS",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "ECONNREFUSED",
    "ENOENT",
    "EXDEV",
    "EADDRNOTAVAIL",
    "ELOOP",
    "ENOTSUP",
}
# x86-64
CALLS = {
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "clone": 56, "clone3": 435,
    "ptrace": 101, "prlimit64": 302, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438, "bpf": 321, "perf_event_open": 298,
    "userfaultfd": 323, "keyctl": 250, "add_key": 248, "request_key": 249, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "fsopen": 430, "fsmount": 432, "open_tree": 428, "move_mount": 429, "mount_setattr": 442, "fspick": 433,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320, "reboot": 169, "swapon": 167,
    "swapoff": 168, "syslog": 103, "open_by_handle_at": 304, "name_to_handle_at": 303, "acct": 163, "quotactl": 179, "iopl": 172,
    "ioperm": 173, "sethostname": 170, "settimeofday": 164, "fanotify_init": 300, "modify_ldt": 154, "personality": 135, "capset": 126, "sync": 162, "memfd_create": 319, "execveat": 322, "splice": 275,
}  # fmt: skip
NAMESPACES = {
    "user": 0x10000000, "mount": 0x20000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000,
    "cgroup": 0x02000000, "time": 0x80,
}  # fmt: skip
found = []


def attack(number, what, call):
    """Try one thing and note how it ended. `call` raises OSError if refused; a false result means it was not there."""
    try:
        outcome, name = ("breached", "") if call() is not False else ("refused", "")
    except OSError as error:
        name = errno.errorcode.get(error.errno, str(error))
        # a family or option this Linux was built without says so only to somebody whom no filter stopped
        outcome = "refused" if name in REFUSED else "absent" if name in {"EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"} else "error"
    found.append({"id": number, "what": what, "outcome": outcome, "errno": name})


def call(name, *arguments):
    """Make a system call with useless arguments: an error that only the looked-at arguments can cause counts as having got in."""

    def go():
        result = LIBC.syscall(CALLS[name], *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
        number = ctypes.get_errno()
        if result < 0 and errno.errorcode.get(number) in {"EPERM", "EACCES", "ENOSYS"}:
            raise OSError(number, name)
        return True

    return go


def tcp(host, port, family=socket.AF_INET):
    def go():
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(2)
            sock.connect((host, port))

    return go


def route(host, port, family=socket.AF_INET):
    def go():
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((host, port))

    return go


def udp(host, port):
    def go():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.sendto(b"probe", (host, port))
            with contextlib.suppress(TimeoutError):
                return sock.recv(16) == b"answer"
            return False

    return go


def opened(family, kind, protocol=0):
    def go():
        socket.socket(family, kind, protocol).close()

    return go


def write(path):
    """Open for writing, and write nothing."""

    def go():
        os.close(os.open(path, os.O_WRONLY))

    return go


def read(path, needle):
    def go():
        return needle.encode() in Path(path).read_bytes()

    return go


def make(path):
    def go():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(path)

    return go


def linked(kind, source, name):
    """Make a link to `source` in the workspace and read the mark through it."""

    def go():
        path = f"{HERE['workspace']}/{name}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        (os.symlink if kind == "symbolic" else os.link)(source, path)
        try:
            return bool(Path(path).read_bytes())
        finally:
            os.unlink(path)

    return go


def unix(address):
    def go():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(2)
            sock.connect(address)

    return go


def cloned(flags):
    def go():
        child = LIBC.syscall(CALLS["clone"], ctypes.c_long(flags | signal.SIGCHLD), None, None, None, None)
        if child == 0:
            os._exit(0)
        if child < 0:
            raise OSError(ctypes.get_errno(), "clone")
        os.waitpid(child, 0)

    return go


def in_child(act):
    """Try in a forked child what would change this process; its exit code is the errno."""

    def go():
        child = os.fork()
        if child == 0:
            try:
                act()
            except OSError as error:
                os._exit(error.errno or 1)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            raise OSError(abs(code), "child")

    return go


def node(mode):
    def go():
        path = f"{HERE['workspace']}/node"
        os.mknod(path, mode | 0o600, os.makedev(1, 1))
        os.unlink(path)

    return go


def status(name):
    return next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":"))


def setuid():
    """Become root, by a system call (in a child)."""
    os.setresuid(0, 0, 0)
    if os.getuid() != 0 or status("CapEff").strip("0") == "":
        raise OSError(errno.EPERM, "no root")


def environs():
    """Look for the mark in the environment of any process that can be seen."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if HERE["mark"].encode() in path.read_bytes() and path.parent.name != str(os.getpid()):
                return True
    return False


def network():
    host, port = HERE["host"], HERE["port"]
    interfaces = [line.split(":")[0].strip() for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]]
    attack("N1", "TCP to a listener of the host", tcp(host, port))
    attack("N1", "TCP to a listener on the host's loopback", tcp("127.0.0.1", port))
    attack("N1", "an interface beside lo", lambda: interfaces != ["lo"])
    attack("N2", "UDP to a listener of the host", udp(host, port))
    attack("N3", "raw ICMP socket", opened(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    attack("N3", "raw IP socket", opened(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
    attack("N3", "ping socket", opened(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP))
    attack("N3", "raw ICMPv6 socket", opened(socket.AF_INET6, socket.SOCK_RAW, 58))
    attack("N4", "route to a resolver", route(host, 53))
    attack("N5", "TCP over IPv6 to a listener on the host's loopback", tcp("::1", HERE["port6"], socket.AF_INET6))
    attack("N5", "route to an IPv6 address", route("2001:db8::1", 80, socket.AF_INET6))
    attack("N6", "packet socket", opened(17, socket.SOCK_RAW, socket.htons(3)))
    attack("N6", "cooked packet socket", opened(17, socket.SOCK_DGRAM, socket.htons(3)))
    families = {
        "netlink": (16, 3), "vsock": (40, 1), "alg": (38, 5), "xdp": (44, 3), "tipc": (30, 5), "bluetooth": (31, 3), "can": (29, 3),
        "key": (15, 3), "rds": (21, 5), "kcm": (41, 5), "qipcrtr": (42, 2), "smc": (43, 1), "nfc": (39, 5), "x25": (9, 5), "ax25": (3, 5),
    }  # fmt: skip
    for name, (family, kind) in families.items():
        attack("N7", f"socket of family {name}", opened(family, kind))
    attack("N7", "socket pair of family tipc", lambda: [end.close() for end in socket.socketpair(30, 5)])
    attack("N8", "TCP to the gateway", tcp(HERE["gateway"], port))
    attack("N8", "route to the metadata address", route("169.254.169.254", 80))
    for service, number in HERE["services"].items():
        attack("N8", f"TCP to a listener in the place of {service}", tcp(host, number))
    attack("N9", "abstract socket of the host", unix("\0" + HERE["abstract"]))
    attack("N9", "abstract socket of another sandbox", unix("\0" + HERE["abstract_other"]))


def files():
    data, workspace = HERE["data"], HERE["workspace"]
    attack("F1", "write to a file of the release", write(f"{data}/data.parquet"))
    attack("F1", "make a file beside the release", make(f"{data}/new"))
    attack("F1", "change the mode of the release", lambda: os.chmod(f"{data}/data.parquet", 0o666))
    attack(
        "F1", "rename the release", lambda: [os.rename(f"{data}/data.parquet", f"{data}/x"), os.rename(f"{data}/x", f"{data}/data.parquet")]
    )
    attack("F1", "write to the root file system", make("/usr/new"))
    remount, bind = 32, 4096
    target = ctypes.c_char_p(data.encode())
    attack("F2", "remount /data for writing", call("mount", None, target, None, remount | bind, None))
    attack("F2", "mount a tmpfs", call("mount", ctypes.c_char_p(b"x"), ctypes.c_char_p(b"/nowhere"), ctypes.c_char_p(b"tmpfs"), 0, None))
    attack("F3", "symbolic link to a host file", linked("symbolic", HERE["secret"], "link"))
    attack("F3", "hard link to a file of the release", linked("hard", f"{data}/data.parquet", "hard"))
    attack("F3", "hard link to a host file", linked("hard", HERE["secret"], "hard2"))
    attack("F4", "host file through /proc/1/root", read(f"/proc/1/root{HERE['secret']}", HERE["mark"]))
    attack("F4", "environment of another process", environs)
    attack("F4", "memory of a host process", write(f"/proc/{HERE['pid']}/mem"))
    attack("F4", "memory of PID 1, which has the same uid", write("/proc/1/mem"))
    attack("F4", "environment of PID 1", read("/proc/1/environ", ""))
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/sys/kernel/uevent_helper"):
        attack("F5", f"open {path} for writing", write(path))
    attack(
        "F5",
        "open the kernel's memory map",
        lambda: os.close(os.open("/proc/kcore", os.O_RDONLY)) if os.path.getsize("/proc/kcore") else False,
    )
    for controller in ("memory/memory.limit_in_bytes", "freezer/tasks", "devices/devices.allow", "cgroup.procs"):
        attack("F5", f"open cgroup file {controller} for writing", write(f"/sys/fs/cgroup/{controller}"))
    attack("F6", "make a character device", node(stat.S_IFCHR))
    attack("F6", "make a block device", node(stat.S_IFBLK))
    for path in ("/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/vda", "/dev/sda", "/dev/fuse", "/dev/net/tun", "/dev/loop-control"):
        attack("F6", f"open {path}", write(path))
    attack("F7", "Docker's socket", unix("/var/run/docker.sock"))
    attack("F7", "Docker's socket under /run", unix("/run/docker.sock"))
    attack("F7", "a host file by its path", read(HERE["secret"], HERE["mark"]))
    attack("F8", "another sandbox's socket", unix(HERE["other_socket"]))
    attack("F8", "another sandbox's workspace", lambda: bool(os.listdir(HERE["other_workspace"])))
    attack("F8", "another sandbox's mark among the mounts", read("/proc/self/mountinfo", HERE["other"]))
    attack("F8", "another sandbox's file one up", read(f"{workspace}/../{HERE['other']}/mark", HERE["mark"]))


def kernel():
    for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
        attack("K1", f"a capability in {name}", lambda name=name: bool(status(name).strip("0")))
    attack("K1", "privileges may grow", lambda: status("NoNewPrivs") != "1")
    attack("K1", "no filter of system calls", lambda: status("Seccomp") != "2")
    attack("K1", "become root", in_child(setuid))
    attack("K1", "change one's capabilities", call("capset", None, None))
    for name, flag in NAMESPACES.items():
        attack("K2", f"unshare {name}", in_child(lambda flag=flag: call("unshare", flag)()))
        if name != "time":
            attack("K2", f"clone with a new {name} namespace", cloned(flag))
    attack("K2", "clone3", call("clone3", None, 0))
    attack("K2", "setns", call("setns", -1, 0))
    attack("K3", "ptrace: be traced", in_child(call("ptrace", 0, 0, 0, 0)))
    attack("K3", "ptrace: seize PID 1 (with options that cannot be)", call("ptrace", 0x4206, 1, 0, -1))
    attack("K3", "process_vm_readv of PID 1", call("process_vm_readv", 1, None, 0, None, 0, 0))
    attack("K3", "process_vm_writev of PID 1", call("process_vm_writev", 1, None, 0, None, 0, 0))
    attack("K3", "limits of PID 1", call("prlimit64", 1, 9, None, None))
    attack("K3", "kcmp", call("kcmp", 1, 1, 0, 0, 0))
    attack("K3", "pidfd_getfd", call("pidfd_getfd", -1, 0, 0))
    attack("K4", "bpf", call("bpf", 0, None, 0))
    attack("K4", "perf_event_open", call("perf_event_open", None, 0, -1, -1, 0))
    attack("K4", "userfaultfd", call("userfaultfd", 1))
    attack("K5", "keyctl", call("keyctl", 0, -3, 0))
    attack("K5", "add_key", call("add_key", None, None, None, 0, -3))
    attack("K5", "request_key", call("request_key", None, None, None, 0))
    for name in ("io_uring_setup", "io_uring_enter", "io_uring_register"):
        attack("K6", name, call(name, 0xFFFFFFFF, 0, 0, 0, 0, 0))
    for name in ("umount2", "pivot_root", "chroot", "fsopen", "fsmount", "open_tree", "move_mount", "mount_setattr", "fspick"):
        attack("K7", name, call(name, -1, -1, 0, 0, 0))
    attack("K7", "mount", call("mount", None, -1, None, 0, None))
    for name in ("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "swapon", "swapoff", "acct", "quotactl"):
        attack("K8", name, call(name, -1, -1, -1, -1, -1))
    attack("K8", "reboot (with a wrong magic number)", call("reboot", 1, 2, 0, 0))
    attack("K8", "syslog: size of the buffer", call("syslog", 10, 0, 0))
    attack("K8", "open_by_handle_at", call("open_by_handle_at", -1, None, 0))
    attack("K8", "name_to_handle_at", call("name_to_handle_at", -1, None, None, None, 0))
    attack("K8", "iopl", call("iopl", 4))
    attack("K8", "ioperm", call("ioperm", -1, -1, 1))
    attack("K8", "sethostname", call("sethostname", None, -1))
    attack("K8", "settimeofday", call("settimeofday", -1, 0))
    attack("K8", "fanotify_init", call("fanotify_init", -1, 0))
    attack("K8", "modify_ldt", call("modify_ldt", 99, None, 0))
    attack("K8", "personality without randomised addresses", in_child(call("personality", 0x0040000)))


def become_root():
    """Enter a new user and mount namespace as its root; OSError where that is refused."""
    uid = os.getuid()
    if LIBC.unshare(NAMESPACES["user"] | NAMESPACES["mount"]) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    if os.getuid() != 0 or not status("CapEff").strip("0"):
        raise OSError(errno.EPERM, "no root")


if struct.calcsize("P") == 8 and os.uname().machine == "x86_64":
    if HERE.get("userns"):
        become_root()
    for section in SECTIONS:
        {"network": network, "files": files, "kernel": kernel}[section]()
    print(json.dumps(found))
else:
    sys.exit("the probe knows the call numbers of x86-64 only")
