"""What a session must still know when its process was killed and is started again: kernels, notebooks, what is on its way.

A journal of JSON lines in the door's directory, which the kernel container has read-only: what stands there was written by this
session's own user (checked), so kernels can be taken up again without believing a word of the container they run in
(docs/adr/0016-stay-up.md). A line is in the page cache when `note` returns, which outlives this process; nothing in it
outlives the sandbox. The log, not this file, is the record.
"""

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "session.journal"
COMPACT_BYTES = 512 * 1024
MAX_BYTES = 4 * 1024 * 1024
# An act on its way: nothing of it can have been delivered / it may have been.
RECORDING, DELIVERING = "recording", "delivering"


@dataclass
class Memory:
    """The journal and what it says. `load` before the first `note`."""

    path: Path
    boot: str
    kernels: dict[str, dict[str, Any]] = field(default_factory=dict)  # id -> {"name","key","port","cwd","language"}
    notebooks: dict[str, dict[str, Any]] = field(default_factory=dict)  # Jupyter's session id -> its row
    open: dict[str, dict[str, Any]] = field(default_factory=dict)  # msg_id -> {"kernel","kind","state"}
    executions: int = 0
    restarts: int = 0
    _file: int = -1
    _size: int = 0

    @classmethod
    def of(cls, door: Path, boot: str) -> "Memory":
        """The journal of the session whose door is there."""
        return cls(door / NAME, boot)

    def load(self) -> bool:
        """Read what an earlier process of this boot left; False when there was none. A line cut short by its end is its last."""
        lines = self._lines()
        if not lines or lines[0] != {"boot": self.boot}:
            self._write_anew()
            return False
        for line in lines[1:]:
            self._apply(line)
        self.restarts += 1
        self._write_anew()
        return True

    def _lines(self) -> list[dict[str, Any]]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return []
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_nlink != 1 or about.st_size > MAX_BYTES:
                return []
            found = []
            for raw in file.read(MAX_BYTES).splitlines():
                try:
                    line = json.loads(raw)
                except ValueError:
                    break
                if isinstance(line, dict):
                    found.append(line)
            return found

    def _apply(self, line: dict[str, Any]) -> None:
        match line:
            case {"kernel": str(number), "name": str(), "key": str(), "port": int(), "cwd": str(), "language": str()}:
                self.kernels[number] = line
            case {"kernel_gone": str(number)}:
                self.kernels.pop(number, None)
            case {"notebook": str(number), "kernel_id": str()}:
                self.notebooks[number] = line
            case {"notebook_gone": str(number)}:
                self.notebooks.pop(number, None)
            case {"act": str(number), "of": str(), "kind": str(kind), "state": ("recording" | "delivering") as state}:
                self.open[number] = line
                self.executions += (kind, state) == ("cell", DELIVERING)
            case {"act_done": str(number)}:
                self.open.pop(number, None)
            case {"executions": int(count), "restarts": int(restarts)}:
                self.executions, self.restarts = count, restarts

    def note(self, **line: Any) -> None:
        """Write one line; OSError if it cannot be: then what it announces must not happen."""
        self._apply(line)
        if self._size > COMPACT_BYTES:
            self._write_anew()
            return
        raw = json.dumps(line).encode() + b"\n"
        os.write(self._file, raw)
        self._size += len(raw)

    def _write_anew(self) -> None:
        """Replace the journal by what still holds. 0600: the sockets' keys are nobody else's."""
        counted_again = sum((act["kind"], act["state"]) == ("cell", DELIVERING) for act in self.open.values())
        counts = {"executions": self.executions - counted_again, "restarts": self.restarts}
        lines = [{"boot": self.boot}, counts, *self.kernels.values(), *self.notebooks.values(), *self.open.values()]
        raw = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        fresh = self.path.with_name(f".{NAME}.new")
        fresh.unlink(missing_ok=True)
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.write(file, raw)
        fresh.rename(self.path)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size = file, len(raw)

    # what is on its way

    def recording(self, number: str, kernel: str, kind: str) -> None:
        """An act is about to be recorded: until `delivering`, nothing of it reaches a kernel."""
        self.note(act=number, of=kernel, kind=kind, state=RECORDING)

    def delivering(self, number: str) -> None:
        """An act is on record and about to be delivered."""
        self.note(**(self.open[number] | {"state": DELIVERING}))

    def done(self, number: str) -> None:
        """Its closing entry is written, or it needs none."""
        if number in self.open:
            self.note(act_done=number)
