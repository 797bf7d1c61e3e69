"""Stop a container's processes by writing to its cgroup: less than a millisecond, where `docker pause` takes a hundred.

Cgroup v1 (freezer) and v2. The order that lets no user code run again: freeze, SIGKILL to all, thaw. On v1 a frozen process acts on
nothing until thawed, and then dies in the kernel before it returns to user mode; on v2 a frozen process dies at once.
"""

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")


class FreezeError(OSError):
    """The processes did not all stop in time; kill them all the same."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    """Where a container's processes are frozen: a directory of the v1 freezer or of v2."""

    path: Path
    v2: bool

    @classmethod
    def of(cls, pid: int, container: str, root: Path = ROOT, proc: Path = PROC) -> "Cgroup":
        """Return the cgroup of `pid` (a host PID); raise ProcessLookupError unless it is that of `container`, so that a PID used again is seen."""
        try:
            lines = (proc / str(pid) / "cgroup").read_text().splitlines()
        except FileNotFoundError as error:
            raise ProcessLookupError(f"process {pid} has ended") from error
        found = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
        v2 = "freezer" not in found
        path = found.get("" if v2 else "freezer", "")
        if container not in path:
            raise ProcessLookupError(f"process {pid} is not in the cgroup of container {container[:12]}")
        base = root if v2 else root / "freezer"
        return cls(base / path.lstrip("/"), v2)

    def freeze(self) -> None:
        """Ask the kernel to stop every process of the cgroup and of those below. Raises OSError."""
        self._write("cgroup.freeze", "1") if self.v2 else self._write("freezer.state", "FROZEN")

    def thaw(self) -> None:
        """Let them run again: only for processes that are already killed. Well when the cgroup is gone."""
        with contextlib.suppress(FileNotFoundError):
            self._write("cgroup.freeze", "0") if self.v2 else self._write("freezer.state", "THAWED")

    def frozen(self) -> bool:
        """Tell whether every process stands still (False when the cgroup is gone)."""
        try:
            if self.v2:
                return "frozen 1" in (self.path / "cgroup.events").read_text().splitlines()
            return (self.path / "freezer.state").read_text().strip() == "FROZEN"
        except FileNotFoundError:
            return False

    def kill(self) -> None:
        """Send SIGKILL to every process of the cgroup and below; frozen ones cannot fork away meanwhile."""
        if self.v2 and (self.path / "cgroup.kill").exists():
            self._write("cgroup.kill", "1")
            return
        for procs in self.path.rglob("cgroup.procs"):
            for pid in procs.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    def _write(self, name: str, value: str) -> None:
        (self.path / name).write_text(value)


async def freeze(cgroup: Cgroup, seconds: float = 1.0) -> None:
    """Freeze and wait until the kernel says that all stand still. Raises FreezeError after `seconds`, OSError if it cannot be written."""
    deadline = time.monotonic() + seconds
    cgroup.freeze()
    while not cgroup.frozen():
        if time.monotonic() > deadline:
            raise FreezeError(f"{cgroup.path.name[:12]} did not freeze in {seconds} s")
        await asyncio.sleep(0.001)


async def gone(pid: int) -> None:
    """Wait until process `pid` has ended; when it is a container's first, all of its others have ended too."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
