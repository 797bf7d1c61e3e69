"""The lease streams of the guards: who listens, and how a cut reaches them at once.

A lease makes the end certain (it runs out by itself); the push makes it fast. Nothing here is state: a guard that is not
connected holds a lease that ends.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Leases:
    """The guards that are connected now, by sandbox. `cut` may be called from any thread."""

    def __init__(self) -> None:
        self._streams: dict[str, set[asyncio.Queue[str]]] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def stream(self, sandbox: str) -> Iterator[asyncio.Queue[str]]:
        """Register one guard of `sandbox`; its queue gets the code of a cut."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str] = asyncio.Queue()
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
        return self._tell(sandbox, code)

    def connected(self) -> list[str]:
        """Return the sandboxes whose guard is connected."""
        with self._lock:
            return sorted(self._streams)

    def _tell(self, sandbox: str, word: str) -> int:
        with self._lock:
            queues = list(self._streams.get(sandbox, ()))
        if self._loop is not None:
            for queue in queues:
                self._loop.call_soon_threadsafe(queue.put_nowait, word)
        return len(queues)
