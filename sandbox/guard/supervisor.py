"""The guard's side of `/sock/supervisor.sock`. What comes back was said by the container that runs user code: data, not truth."""

import asyncio
import base64
import itertools
import json
import os
import socket
import stat
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from sandbox.domain.errors import Refusal

LINE = 48 * 1024 * 1024
SECONDS = 10.0
CODES = {
    "not_found": 404,
    "exists": 409,
    "too_large": 413,
    "disk_full": 507,
    "is_directory": 409,
    "not_a_file": 409,
    "bad_path": 400,
    "changed": 409,
}


WORDS = ("path", "to", "cwd")  # what a browser may choose of a request
READS = frozenset({"fs.stat", "fs.list", "fs.read"})
AGAIN = 60.0  # seconds in which the same question about the same path is the same fact
Blobs = Sequence[tuple[str, str, bytes]]
Entry = tuple[str, dict[str, Any], Blobs]  # kind, data, blobs of what goes on record before a request


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
    """One connection a boot, one request at a time.

    The socket's directory belongs to user code, which could put a listener of its own there: the connection made before any kernel
    ran is the only one of this process, and its loss is the end of the kernel container. A session that was killed makes a new one:
    what could listen there then gains nothing by it (docs/adr/0016-stay-up.md). Words a browser chose are on record before they are sent,
    because what arrives there could be read by user code (W11, W16).
    """

    def __init__(self, sock: Path, record: Callable[[str, dict[str, Any], Blobs], Awaitable[object]], on_lost: Callable[[], None]) -> None:
        self.path = sock / "supervisor.sock"
        self._record, self._on_lost = record, on_lost
        self._said: OrderedDict[str, float] = OrderedDict()
        self._lost = False
        self._ids = itertools.count(1)
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, verb: str, *, seconds: float = SECONDS, entry: Entry | None = None, **fields: Any) -> dict[str, Any]:
        """Record `entry` (for a read: that it was asked), then ask for one act and return its result.

        Raises SupervisorDown (nobody there), TimeoutError (frozen or stuck), Refusal with code `workspace_<code>`.
        """
        if self._lost:
            raise SupervisorDown("the kernel container does not answer")
        await self._tell(verb, {name: str(fields[name]) for name in WORDS if fields.get(name)}, entry)
        async with asyncio.timeout(seconds), self._turn:
            answer = await self._exchange({"id": next(self._ids), "verb": verb, **fields})
        result = answer.get("result")
        if answer.get("ok") is True and isinstance(result, dict):
            return result
        error = answer.get("error")
        code = str(error.get("code"))[:40] if isinstance(error, dict) else "bad_answer"
        raise Refusal(f"workspace_{code}" if code in CODES else "workspace_failed", status=CODES.get(code, 502), verb=verb)

    async def _tell(self, verb: str, words: dict[str, str], entry: Entry | None) -> None:
        """Put every word that is about to be sent on record; ValueError if a caller's entry leaves one out."""
        if entry is not None:
            if any(entry[1].get(name) != word for name, word in words.items()):
                raise ValueError("the entry does not name what is sent")
            await self._record(*entry)
        elif words:
            if verb not in READS:
                raise ValueError(f"{verb} needs an entry")
            path, now = words["path"], time.monotonic()
            if now - self._said.get(path, float("-inf")) < AGAIN:
                return
            await self._record("file.asked", {"path": path}, ())
            self._said[path] = now
            self._said.move_to_end(path)
            while len(self._said) > 1024:
                self._said.popitem(last=False)

    async def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._streams is None:
            try:
                self._streams = await asyncio.open_unix_connection(sock=connect(self.path), limit=LINE)
            except OSError as gone:
                raise SupervisorDown("the kernel container does not answer") from gone
        reader, writer = self._streams
        if writer.transport.get_write_buffer_size() > LINE:
            raise TimeoutError  # frozen, and already asked more than it should have to take in
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            await writer.drain()
            while True:
                answer = json.loads(await reader.readuntil(b"\n"))
                number = answer.get("id") if isinstance(answer, dict) else None
                if not isinstance(number, int) or number > request["id"]:
                    raise ValueError("an answer out of turn")  # noqa: TRY301 - it ends the connection like any other garbage
                if number == request["id"]:
                    return dict(answer)
                # otherwise it is the late answer to a request that nobody waits for any more
        except TimeoutError:
            raise
        except (OSError, ValueError, RecursionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as lost:
            self._lost = True
            writer.close()
            self._on_lost()
            raise SupervisorDown("the kernel container does not answer") from lost

    async def read(self, path: str, limit: int) -> tuple[dict[str, Any], bytes]:
        """Read a file of the workspace, at most `limit` bytes."""
        found = await self.call("fs.read", path=path, limit=limit)
        data = base64.b64decode(str(found.get("base64", "")))
        if len(data) > limit:
            raise Refusal("workspace_too_large", status=413)
        return found, data

    async def write(self, path: str, data: bytes, entry: Entry) -> dict[str, Any]:
        """Record, then write a file of the workspace."""
        return await self.call("fs.write", entry=entry, path=path, base64=base64.b64encode(data).decode())
