"""The cut: what must end, ends. Level-triggered, so that it also ends what an earlier attempt, or an earlier portal, left.

The guard is told first (it closes both ways in microseconds), then the warden freezes and kills, then the hub forgets the server.
A cut never waits for the log; its record follows.
"""

import asyncio
import contextlib
import logging
import time
from functools import partial
from typing import Any, Protocol

from sandbox.services import sandboxes
from sandbox.services.leases import Leases

_log = logging.getLogger(__name__)
TICK_SECONDS = 1.0


class Warden(Protocol):
    """What the cutter needs of `sandbox.adapters.warden`."""

    async def cut(self, sandbox: str, reason: str) -> dict[str, Any]:
        """Freeze, kill, reap; idempotent; returns the evidence."""
        ...


class Hub(Protocol):
    """What the cutter needs of `sandbox.adapters.hub`."""

    async def stop(self, login: str, server: str, *, remove: bool = False) -> None:
        """End and forget a named server; one that is not there is well."""
        ...


class Work(Protocol):
    """Transactions, as the portal process gives them (`web.serve`)."""

    def run(self, act: Any, *args: Any) -> Any:
        """Call `act(ctx, *args)` in one transaction as the service `portal`, and commit."""
        ...

    def look(self, act: Any, *args: Any) -> Any:
        """Call `act(ctx, *args)` without changing anything."""
        ...


class Cutter:
    """One task; `kick` from any thread after a commit that wants a cut."""

    def __init__(self, work: Work, leases: Leases, warden: Warden, hub: Hub) -> None:
        self._work, self._leases, self._warden, self._hub = work, leases, warden, hub
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy: dict[str, asyncio.Task[None]] = {}

    def kick(self) -> None:
        """Look now."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Reconcile until cancelled: at each kick, and every second for what time or a failure left."""
        self._loop = asyncio.get_running_loop()
        looked = float("-inf")
        while True:
            self._wake.clear()  # before looking: a kick while it looks counts for the next round
            try:
                await self._once()
            except Exception:  # noqa: BLE001 - the cutter must never end
                _log.exception("the cutter's round failed; it looks again")
            # By the clock, not only when nobody kicks: on a busy portal there is always somebody who does.
            if time.monotonic() - looked >= TICK_SECONDS:
                await self._expire()
                looked = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):  # wait_for of 3.11 can lose a cancellation
                    await self._wake.wait()

    async def _once(self) -> None:
        for sandbox, login, reason in await asyncio.to_thread(self._work.look, lambda ctx: sandboxes.to_cut(ctx.db)):
            self._leases.cut(sandbox, reason)
            if sandbox not in self._busy:
                task = asyncio.create_task(self._cut(sandbox, login, reason))
                self._busy[sandbox] = task
                task.add_done_callback(partial(self._done, sandbox))

    def _done(self, sandbox: str, _task: asyncio.Task[None]) -> None:
        self._busy.pop(sandbox, None)

    async def _cut(self, sandbox: str, login: str, reason: str) -> None:
        begun = time.monotonic()
        try:
            evidence = await self._warden.cut(sandbox, reason)
            evidence["seconds_ms"] = round((time.monotonic() - begun) * 1000)
            await asyncio.to_thread(self._work.run, sandboxes.cut_done, sandbox, evidence)
        except Exception:  # noqa: BLE001 - the cutter must never end
            # Still wanted: the next round tries again. The lease ends by itself meanwhile.
            _log.exception("cut of %s did not complete; it is tried again", sandbox)
            return
        try:
            await self._hub.stop(login, sandbox, remove=True)
        except Exception:  # noqa: BLE001 - the cutter must never end
            _log.exception("the hub still lists the server of %s; nothing runs in it", sandbox)

    async def _expire(self) -> None:
        try:
            await asyncio.to_thread(self._work.run, sandboxes.expire)
        except Exception:  # noqa: BLE001 - the cutter must never end
            _log.exception("looking for ended terms failed; leases end by themselves")
