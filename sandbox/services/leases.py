"""The lease streams of the guards: who listens, and how a cut or a log-out reaches them at once.

A lease makes the end certain (it runs out by itself); the push makes it fast. Nothing here is state: a guard that is not
connected holds a lease that ends.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """The session must end, for the reason of this code; the last word of a stream."""

    code: str


@dataclass(frozen=True)
class LogOut:
    """The person has logged out: what their browsers hold open is closed; the session and the stream go on."""


Word = Cut | LogOut


class Leases:
    """The guards that are connected now, by sandbox. `cut` and `log_out` may be called from any thread."""

    def __init__(self) -> None:
        self._streams: dict[str, set[asyncio.Queue[Word]]] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def stream(self, sandbox: str) -> Iterator[asyncio.Queue[Word]]:
        """Register one guard of `sandbox`; its queue gets what the guard must be told."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Word] = asyncio.Queue()
        with self._lock:
            self._streams.setdefault(sandbox, set()).add(queue)
        try:
            yield queue
        finally:
            with self._lock:
                self._streams[sandbox].discard(queue)
                if not self._streams[sandbox]:
                    del self._streams[sandbox]

    def cut(self, sandbox: str, code: str) -> int:
        """Tell every guard of `sandbox` to close now; return how many were told."""
        return self._tell(sandbox, Cut(code))

    def log_out(self, sandbox: str) -> int:
        """Tell every guard of `sandbox` to close what its person's browsers hold open; return how many were told."""
        return self._tell(sandbox, LogOut())

    def connected(self) -> list[str]:
        """Return the sandboxes whose guard is connected."""
        with self._lock:
            return sorted(self._streams)

    def _tell(self, sandbox: str, word: Word) -> int:
        with self._lock:
            queues = list(self._streams.get(sandbox, ()))
        if self._loop is not None:
            for queue in queues:
                self._loop.call_soon_threadsafe(queue.put_nowait, word)
        return len(queues)
