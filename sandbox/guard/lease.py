"""The right to work: granted by the portal for seconds at a time, at an epoch, and gone without renewal.

`Lease` is the pure state with an injected clock; `LeaseStream` keeps it renewed over one WebSocket to the portal.
A cut is pushed and final for this process; a lapse (portal unreachable) heals when the portal grants again.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import aiohttp

MAX_SECONDS = 30.0
RETRY = 1.0
_log = logging.getLogger(__name__)


def boottime() -> float:
    """Seconds since boot, counting sleep; nobody can set this clock back."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """What the portal last granted. `reason` says why there is none: `lease_ended` or the code of a cut."""

    def __init__(self, clock: Callable[[], float] = boottime) -> None:
        self.clock = clock
        self.epoch = -1
        self.until = float("-inf")
        self.facts: dict[str, Any] = {}
        self.cut_code: str | None = None

    @property
    def live(self) -> bool:
        """Whether work is allowed at this moment."""
        return self.cut_code is None and self.clock() < self.until

    @property
    def reason(self) -> str:
        """The code to refuse with when there is no live lease."""
        return self.cut_code or "lease_ended"

    def grant(self, epoch: int, seconds: float, facts: dict[str, Any]) -> bool:
        """Take a grant; one of an older epoch (a replay) or after a cut changes nothing."""
        if self.cut_code is not None or epoch < self.epoch or not 0 < seconds <= MAX_SECONDS:
            return False
        self.epoch, self.until, self.facts = epoch, self.clock() + seconds, facts
        return True

    def cut(self, code: str) -> None:
        """End it for good."""
        self.cut_code = self.cut_code or code

    def input(self) -> dict[str, Any]:
        """The lease as policy sees it."""
        return {"live": self.live, "epoch": self.epoch}


class LeaseStream:
    """Holds the WebSocket to the portal: takes grants and cuts, sends activity. Ends only when cancelled."""

    def __init__(
        self,
        url: str,
        token: str,
        boot: str,
        lease: Lease,
        *,
        on_cut: Callable[[str], None],
        on_grant: Callable[[], None],
        on_lapse: Callable[[], None],
        on_logout: Callable[[], None],
        activity: Callable[[], dict[str, Any]],
    ) -> None:
        self.url, self.token, self.boot, self.lease = url, token, boot, lease
        self.on_cut, self.on_grant, self.on_lapse, self.activity = on_cut, on_grant, on_lapse, activity
        self.on_logout = on_logout
        self._lapse: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Stay connected; between attempts wait a second. The lease itself ends by the clock, whatever happens here."""
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.token}"}) as http:
            while self.lease.cut_code is None:
                try:
                    await self._once(http)
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                    _log.warning("lease stream: %s", error)
                await asyncio.sleep(RETRY)

    async def _once(self, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(f"{self.url}/internal/session/lease", heartbeat=10, max_msg_size=1 << 20) as ws:
            await ws.send_json({"type": "hello", "boot": self.boot})
            async for message in ws:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                self.take(json.loads(message.data))
                if self.lease.cut_code is not None:
                    return
                await ws.send_json({"type": "activity", **self.activity()})

    def take(self, message: Any) -> None:
        """Act on one message of the portal; what is not understood grants nothing."""
        match message:
            case {"type": "cut"}:
                self.on_cut(str(message.get("code") or "lease_cut"))
            case {"type": "logout"}:
                self.on_logout()
            case {"type": "lease", "epoch": int(epoch), "seconds": int() | float() as seconds, "facts": dict(facts)}:
                if self.lease.grant(epoch, seconds, facts):
                    self._watch(seconds)
                    self.on_grant()
            case _:
                _log.warning("lease stream: a message that is neither lease nor cut")

    def _watch(self, seconds: float) -> None:
        """Have the lapse acted upon when it comes, not when somebody next asks."""
        if self._lapse:
            self._lapse.cancel()
        self._lapse = asyncio.get_running_loop().call_later(seconds, self._lapsed)

    def _lapsed(self) -> None:
        # The loop's clock may stop in a sleep, the lease's does not; it never runs behind.
        if self.lease.live:
            self._watch(max(0.01, self.lease.until - self.lease.clock()))
        else:
            with contextlib.suppress(Exception):
                self.on_lapse()
