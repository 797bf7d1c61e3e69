"""The guard's side of `/sock/supervisor.sock`. What comes back was said by the container that runs user code: data, not truth."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

from sandbox.domain.errors import Refusal

LINE = 48 * 1024 * 1024
SECONDS = 10.0
CODES = {"not_found": 404, "exists": 409, "too_large": 413, "disk_full": 507, "is_directory": 409, "not_a_file": 409, "bad_path": 400}


class SupervisorDown(OSError):  # noqa: N818 - it names the state of the other side
    """Nobody listens on the socket: the kernel container has ended."""


def connect(path: Path) -> socket.socket:
    """Connect to a UNIX socket without following a link that user code put in its place (F9)."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise SupervisorDown(f"{path.name} is not a socket")
        found = socket.socket(socket.AF_UNIX)
        try:
            found.setblocking(False)
            found.connect(f"/proc/self/fd/{descriptor}")
        except BaseException:
            found.close()
            raise
        return found
    finally:
        os.close(descriptor)


class Supervisor:
    """One connection, one request at a time, made anew when it was lost."""

    def __init__(self, sock: Path) -> None:
        self.path = sock / "supervisor.sock"
        self._ids = itertools.count(1)
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, verb: str, *, seconds: float = SECONDS, **fields: Any) -> dict[str, Any]:
        """Ask for one act and return its result.

        Raises SupervisorDown (nobody there), TimeoutError (frozen or stuck), Refusal with code `workspace_<code>`.
        """
        async with asyncio.timeout(seconds), self._turn:
            try:
                answer = await self._exchange({"id": next(self._ids), "verb": verb, **fields})
            except BaseException:
                self._close()  # a half-read answer must never be taken for the next one
                raise
        result = answer.get("result")
        if answer.get("ok") is True and isinstance(result, dict):
            return result
        error = answer.get("error")
        code = str(error.get("code"))[:40] if isinstance(error, dict) else "bad_answer"
        raise Refusal(f"workspace_{code}" if code in CODES else "workspace_failed", status=CODES.get(code, 502), verb=verb)

    async def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._streams is None:
            try:
                self._streams = await asyncio.open_unix_connection(sock=connect(self.path), limit=LINE)
            except OSError as gone:
                raise SupervisorDown("the kernel container does not answer") from gone
        reader, writer = self._streams
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            await writer.drain()
            line = await reader.readuntil(b"\n")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as lost:
            raise SupervisorDown("the kernel container does not answer") from lost
        answer = json.loads(line)
        if not isinstance(answer, dict) or answer.get("id") != request["id"]:
            raise SupervisorDown("the kernel container answers out of turn")
        return answer

    def _close(self) -> None:
        if self._streams:
            with contextlib.suppress(Exception):
                self._streams[1].close()
        self._streams = None

    async def read(self, path: str, limit: int) -> tuple[dict[str, Any], bytes]:
        """Read a file of the workspace, at most `limit` bytes."""
        found = await self.call("fs.read", path=path, limit=limit)
        data = base64.b64decode(str(found.get("base64", "")))
        if len(data) > limit:
            raise Refusal("workspace_too_large", status=413)
        return found, data

    async def write(self, path: str, data: bytes) -> dict[str, Any]:
        """Write a file of the workspace. Record it first."""
        return await self.call("fs.write", path=path, base64=base64.b64encode(data).decode())
