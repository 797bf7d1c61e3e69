"""PID 1 of the kernel container: starts, signals and ends kernels, and reads and writes the workspace for the session.

Standard library only. It runs as the same user as the code it starts, so nothing it says is trusted: the guard treats
its answers as data (sizes capped, names checked). It listens on `/sock/supervisor.sock`; one JSON object a line:

    {"id": 1, "verb": "start", …}  ->  {"id": 1, "ok": true, "result": …} | {"id": 1, "ok": false, "error": {"code", "message"}}

| verb | takes | result |
|---|---|---|
| hello | keep (kernels the session still knows) | `{"version": 1, "ended": n, "alive": [kernel…], "empty": bool}`; ends every other kernel |
| start | kernel, connection (ipc: `ip` is `/sock/<name>`), cwd, language (`python3`, `ir`) | `{"pid"}` |
| poll | kernel | `{"status": null while it runs, else the exit status}` |
| interrupt | kernel | SIGINT to the kernel's process group |
| signal | kernel, signum | that signal to the group |
| kill | kernel | SIGKILL to the group, then its sockets and connection file are unlinked |
| fs.stat, fs.list, fs.read | path (fs.list: limit; fs.read: limit in bytes) | an entry, entries, `{…entry, "base64"}` |
| fs.append | path, base64, size (what the file has now) | the entry |
| fs.write, fs.rename, fs.copy, fs.delete, fs.mkdir | path, base64 or to | the new entry |

Paths are relative to the workspace. Links made by user code resolve here, in the container that may see what they name, and nowhere else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import ctypes
import errno
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOCK = Path(os.environ.get("DATASANDBOX_SOCK", "/sock"))
HOME = Path(os.environ.get("DATASANDBOX_WORKSPACE", "/home/researcher"))
RUN = Path(os.environ.get("DATASANDBOX_TMP", "/tmp"))  # noqa: S108 - a tmpfs of this container alone

LINE = 48 * 1024 * 1024  # one request: a 32 MiB file in base64 with room
FILE = 32 * 1024 * 1024
ENTRIES = 5000
PR_SET_DUMPABLE = 4
NAME = re.compile(r"[0-9a-z]{4,40}")
# `%%sql` from the start; the record is the history, a database of it in the workspace would only cost space.
# What runs for a kernel's name: nothing that comes over the socket is ever part of a command but the connection file we wrote.
KERNELS = {
    "python3": [
        sys.executable,
        "-m",
        "ipykernel_launcher",
        "--IPKernelApp.extra_extensions=['datasandbox']",
        "--HistoryManager.enabled=False",
        "-f",
    ],
    "ir": ["/usr/bin/R", "--no-echo", "--no-save", "--no-restore", "-e", "datasandbox:::.kernel()", "--args"],
}
PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is not carried out; `code` goes to the guard."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


class Kernels:
    """The kernels of this container: at most a handful, each its own process group."""

    limit = 8

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        self.status: dict[str, int] = {}
        self.names: dict[str, str] = {}

    def start(self, kernel: str, connection: dict[str, Any], cwd: str = "", language: str = "python3") -> dict[str, Any]:
        """Start a kernel of that language on the given ipc sockets. The connection file stays in this container's /tmp."""
        argv = KERNELS.get(language)
        if argv is None or not Path(argv[0]).exists():
            raise Refused("kernel_unknown", language)
        name = Path(str(connection["ip"])).name
        if connection["transport"] != "ipc" or str(connection["ip"]) != str(SOCK / name) or not NAME.fullmatch(name):
            raise Refused("bad_connection")
        if kernel in self.pids:
            raise Refused("kernel_running")
        if len(self.pids) >= self.limit:
            raise Refused("too_many_kernels", f"at most {self.limit} kernels run at once")
        ports = {port: int(connection[port]) for port in PORTS}
        file = RUN / f"kernel-{name}.json"
        keep = {"transport": "ipc", "ip": str(SOCK / name), "key": str(connection["key"]), "signature_scheme": "hmac-sha256", **ports}
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as out:
            json.dump(keep, out)
        where = workspace(cwd)
        process = subprocess.Popen(
            [*argv, str(file)],
            cwd=where if where.is_dir() else HOME,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pids[kernel], self.names[kernel] = process.pid, name
        self.status.pop(kernel, None)
        process.returncode = 0  # the reaper below waits for it, not the destructor of Popen
        return {"pid": process.pid}

    def poll(self, kernel: str) -> dict[str, Any]:
        """Say whether a kernel still runs; one never heard of counts as ended."""
        return {"status": None if kernel in self.pids else self.status.get(kernel, -int(signal.SIGKILL))}

    def signal(self, kernel: str, signum: int) -> dict[str, Any]:
        """Send a signal to the kernel's process group."""
        pid = self.pids.get(kernel)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.Signals(signum))
        return {}

    def interrupt(self, kernel: str) -> dict[str, Any]:
        """Interrupt what the kernel is running."""
        return self.signal(kernel, signal.SIGINT)

    def kill(self, kernel: str) -> dict[str, Any]:
        """End a kernel for good; the session cannot unlink in /sock, so this side does."""
        self.signal(kernel, signal.SIGKILL)
        self._unlink(kernel)
        return {}

    def kill_all(self, keep: frozenset[str] = frozenset()) -> int:
        """End every kernel but those to keep, and remove every socket but theirs and our own, also those an earlier run left."""
        ending = [kernel for kernel in self.pids if kernel not in keep]
        for kernel in ending:
            self.kill(kernel)
        kept = {self.names[kernel] for kernel in self.pids if kernel in keep}
        for path in SOCK.iterdir():
            if path.name != "supervisor.sock" and path.name.rsplit("-", 1)[0] not in kept:
                with contextlib.suppress(OSError):
                    path.unlink()
        return len(ending)

    def reap(self) -> None:
        """Wait for every child that ended, ours or adopted (PID 1), and clean up after kernels."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for kernel, known in list(self.pids.items()):
                if known == pid:
                    del self.pids[kernel]
                    self.status[kernel] = os.waitstatus_to_exitcode(status)
                    self._unlink(kernel)

    def _unlink(self, kernel: str) -> None:
        name = self.names.get(kernel)
        if name is None:
            return
        for path in [*SOCK.glob(f"{name}-*"), RUN / f"kernel-{name}.json"]:
            with contextlib.suppress(OSError):
                path.unlink()


def workspace(path: str) -> Path:
    """Return the place of a relative path in the workspace; `..`, NUL and absolute paths are refused."""
    parts = [part for part in str(path).split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in str(path):
        raise Refused("bad_path")
    return HOME.joinpath(*parts)


def entry(path: Path) -> dict[str, Any]:
    """Describe a file or directory; anything else (sockets, devices, broken links) does not exist for the session."""
    about = path.stat()
    if stat.S_ISDIR(about.st_mode):
        kind = "directory"
    elif stat.S_ISREG(about.st_mode):
        kind = "file"
    else:
        raise Refused("not_found")
    return {
        "name": path.name,
        "type": kind,
        "size": about.st_size if kind == "file" else 0,
        "modified": about.st_mtime,
        "created": about.st_ctime,
        "writable": os.access(path, os.W_OK),
    }


def fs_stat(path: str) -> dict[str, Any]:
    """Describe one path."""
    return entry(workspace(path))


def fs_list(path: str, limit: int = ENTRIES) -> dict[str, Any]:
    """List a directory, at most `limit` entries, hidden ones left out."""
    entries: list[dict[str, Any]] = []
    with os.scandir(workspace(path)) as found:
        for item in found:
            if item.name.startswith("."):
                continue
            if len(entries) >= min(limit, ENTRIES):
                break
            with contextlib.suppress(OSError, Refused, UnicodeError):
                item.name.encode()
                entries.append(entry(Path(item.path)))
    return {"entries": entries}


def fs_read(path: str, limit: int = FILE) -> dict[str, Any]:
    """Read a whole file of at most `limit` bytes."""
    place = workspace(path)
    about = entry(place)
    if about["type"] != "file":
        raise Refused("not_a_file")
    with place.open("rb") as file:
        data = file.read(min(limit, FILE) + 1)
    if len(data) > min(limit, FILE):
        raise Refused("too_large", str(about["size"]))
    return {**about, "size": len(data), "base64": base64.b64encode(data).decode()}


def fs_write(path: str, base64: str) -> dict[str, Any]:
    """Write a whole file: to a temporary name, then renamed, so that a full disk loses nothing."""
    place = workspace(path)
    if place == HOME or place.is_dir():
        raise Refused("is_directory")
    data = binascii.a2b_base64(base64)
    if len(data) > FILE:
        raise Refused("too_large")
    part = place.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(data)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
    return entry(place)


def fs_append(path: str, base64: str, size: int) -> dict[str, Any]:
    """Write the next part of an upload to the end of a regular file that has exactly `size` bytes now."""
    place = workspace(path)
    descriptor = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "ab") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            raise Refused("changed")
        file.write(binascii.a2b_base64(base64))
    return entry(place)


def fs_rename(path: str, to: str) -> dict[str, Any]:
    """Rename; an existing target is not replaced."""
    source, target = workspace(path), workspace(to)
    if HOME in (source, target):
        raise Refused("bad_path")
    if target.exists() or target.is_symlink():
        raise Refused("exists")
    source.rename(target)
    return entry(target)


def fs_copy(path: str, to: str) -> dict[str, Any]:
    """Copy one file inside the workspace, making the target's directory; no byte leaves this container."""
    source, target = workspace(path), workspace(to)
    if entry(source)["type"] != "file" or target == HOME:
        raise Refused("not_a_file")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return entry(target)


def fs_delete(path: str) -> dict[str, Any]:
    """Delete a file, a link, or a directory with all it holds."""
    place = workspace(path)
    if place == HOME:
        raise Refused("bad_path")
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()
    return {}


def fs_mkdir(path: str) -> dict[str, Any]:
    """Make a directory; its parent must exist."""
    place = workspace(path)
    place.mkdir()
    return entry(place)


class Supervisor:
    """Answers the guard's requests, one after the other per connection."""

    def __init__(self) -> None:
        self.kernels = Kernels()
        self.verbs: dict[str, Callable[..., dict[str, Any]]] = {
            "hello": self.hello,
            "start": self.kernels.start,
            "poll": self.kernels.poll,
            "interrupt": self.kernels.interrupt,
            "signal": self.kernels.signal,
            "kill": self.kernels.kill,
            "fs.stat": fs_stat,
            "fs.list": fs_list,
            "fs.read": fs_read,
            "fs.write": fs_write,
            "fs.append": fs_append,
            "fs.rename": fs_rename,
            "fs.copy": fs_copy,
            "fs.delete": fs_delete,
            "fs.mkdir": fs_mkdir,
        }

    def hello(self, keep: list[str] | None = None) -> dict[str, Any]:
        """Begin a session, or go on with one that was killed: kernels it does not know end, because nobody can reach them any more."""
        ended = self.kernels.kill_all(frozenset(keep or ()))
        return {"version": 1, "ended": ended, "alive": sorted(self.kernels.pids), "empty": not fs_list("", 1)["entries"]}

    def answer(self, line: bytes) -> dict[str, Any]:
        """Carry out one request; whatever goes wrong becomes an answer."""
        number: Any = None
        try:
            request = json.loads(line)
            number = request.pop("id", None)
            result = self.verbs[request.pop("verb")](**request)
        except Refused as refused:
            error = {"code": refused.code, "message": str(refused)}
        except FileNotFoundError:
            error = {"code": "not_found", "message": ""}
        except OSError as failed:
            full = failed.errno in (errno.ENOSPC, errno.EDQUOT)
            error = {"code": "disk_full" if full else "io_error", "message": failed.strerror or ""}
        except (KeyError, TypeError, ValueError) as bad:
            error = {"code": "bad_request", "message": f"{type(bad).__name__}: {bad}"}
        else:
            return {"id": number, "ok": True, "result": result}
        return {"id": number, "ok": False, "error": error}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it closes."""
        with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            while line := await reader.readline():
                writer.write(json.dumps(self.answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()


def undumpable() -> None:
    """Keep this process's memory from the code it starts, which has the same uid (F4): programs started by exec are as ever."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


async def main() -> None:
    """Listen until SIGTERM, then end every kernel. Sockets are 0770: the session reaches them by the group."""
    os.umask(0o007)
    undumpable()
    supervisor = Supervisor()
    path = SOCK / "supervisor.sock"
    path.unlink(missing_ok=True)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGCHLD, supervisor.kernels.reap)
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    server = await asyncio.start_unix_server(supervisor.serve, path, limit=LINE)
    # Under gVisor the setgid directory does not hand its group on; the directory (2710) already keeps others out.
    path.chmod(0o666)
    await stop.wait()
    server.close()
    supervisor.kernels.kill_all()
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    asyncio.run(main())
