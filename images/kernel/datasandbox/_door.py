"""Requests to the door: newline JSON over `/door/door.sock`, the bytes of files after it.

One connection is kept open, because a new one for each request costs more than most answers. Files go over one of their own: after a
refused upload a stream is out of step.
"""

import contextlib
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

from datasandbox._texts import say

DOOR = Path(os.environ.get("DATASANDBOX_DOOR", "/door")) / "door.sock"
CONNECT_SECONDS = 5
ANSWER_SECONDS = 180


class SandboxError(Exception):
    """Something the sandbox refused or could not do: a stable `code`, and what to do in the person's language."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.field = field

    def _render_traceback_(self) -> list[str]:
        """Tell IPython to show the message alone: the way through this package explains nothing."""
        return [str(self)]


class _Kept:
    """The kept connection of this process. Whatever interrupts an exchange ends it: an answer must never meet another question."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner = 0  # a forked child must not share its parent's connection
        self.door: Any = None
        self.answers: Any = None
        self.unread = 0  # answers on the way that nobody waits for

    def exchange(self, request: bytes) -> bytes:
        """Send a request and return the line that answers it; once more if the connection was an old one and has ended."""
        with self.lock:
            old = self._open()
            line = self._exchange(request, once=not old)
            if not line and old:
                self._open()
                line = self._exchange(request, once=True)
            return line

    def tell(self, request: bytes) -> None:
        """Send a request whose answer nobody waits for; the next exchange reads over it."""
        with self.lock:
            self._open()
            try:
                self.door.sendall(request)
                self.unread += 1
            except BaseException:
                self.close()
                raise

    def _open(self) -> bool:
        """Have a connection; return whether it is an old one."""
        if self.door is not None and self.owner == os.getpid():
            return True
        self.door, self.owner, self.unread = connect(), os.getpid(), 0
        self.answers = self.door.makefile("rb")
        return False

    def _exchange(self, request: bytes, *, once: bool) -> bytes:
        line = b""
        try:
            self.door.sendall(request)
            for _ in range(self.unread):
                self.answers.readline()
            self.unread = 0
            line = self.answers.readline()
        except (BrokenPipeError, ConnectionResetError):
            if once:
                raise
        finally:
            if not line:
                self.close()
        return bytes(line)

    def close(self) -> None:
        """Let go of the connection; the next request makes another."""
        for part in (self.answers, self.door):
            if part is not None:
                part.close()
        self.door = self.answers = None


_kept = _Kept()


def connect() -> socket.socket:
    """Return a new connection to the door. OSError if nobody listens."""
    door = socket.socket(socket.AF_UNIX)
    try:
        door.settimeout(CONNECT_SECONDS)
        door.connect(str(DOOR))
        door.settimeout(ANSWER_SECONDS)
    except BaseException:
        door.close()
        raise
    return door


def ask(verb: str, /, *, send: list[Path] | None = None, **fields: Any) -> dict[str, Any]:
    """Ask for one act and return its result; SandboxError if it was refused or nobody answered."""
    try:
        request = _line(verb, fields)
        answer = json.loads(_kept.exchange(request) if send is None else _upload(request, send))
    except (OSError, ValueError) as error:
        raise SandboxError("door_unavailable", say("door_unavailable")) from error
    if not answer.get("ok"):
        problem = answer.get("error", {})
        raise SandboxError(problem.get("code", "unknown"), problem.get("message", ""), problem.get("field"))
    result: dict[str, Any] = answer["result"]
    return result


def tell(verb: str, /, **fields: Any) -> None:
    """Say something that needs no answer, in its turn among the requests."""
    with contextlib.suppress(OSError):
        _kept.tell(_line(verb, fields))


def _line(verb: str, fields: dict[str, Any]) -> bytes:
    return json.dumps({"verb": verb, **fields}, ensure_ascii=False).encode() + b"\n"


def _upload(request: bytes, files: list[Path]) -> bytes:
    with connect() as door:
        try:
            door.sendall(request)
            for path in files:
                with path.open("rb") as file:
                    door.sendfile(file)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was refused before all was read: the answer says why
        return door.makefile("rb").readline()
