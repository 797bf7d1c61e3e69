"""The display budget kept with the portal: reserved ahead, beside the work; given back when nobody works and at an orderly end."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from sandbox.guard.budget import IN_HAND, Budget, Figures

SECONDS = 2.0  # an answer of the portal; output waits no longer
AGAIN = 1.0  # after a failure
QUIET = 60.0  # without output, after which what is in hand goes back
PATH = "/internal/session/display"
_log = logging.getLogger(__name__)


class Meter:
    """Asks the portal; one request at a time, each with a name of its own, so that one sent twice counts once."""

    def __init__(self, url: str, token: str, budget: Budget, *, on_change: Callable[[], None], on_out: Callable[[str], None]) -> None:
        self.url, self.token, self.budget = url, token, budget
        self.on_change, self.on_out = on_change, on_out
        self._lock = asyncio.Lock()
        self._again: asyncio.TimerHandle | None = None
        self._topping: asyncio.Task[None] | None = None
        self._quiet: asyncio.TimerHandle | None = None
        self._pending: dict[str, Any] | None = None  # sent, and not known whether it arrived
        self._out = ""  # the limit whose end was said
        self._tasks: set[asyncio.Task[Any]] = set()

    def facts(self, said: Mapping[str, Any]) -> None:
        """Take the figures that come with the lease; they say when there is budget again."""
        if (figures := Figures.of(said)) is None:
            return
        first, self.budget.figures = self.budget.figures is None, figures
        if first or self.budget.wanted():
            self.ahead()
        self.on_change()

    def charge(self, size: int, digest: str) -> bool:
        """Take a payload that is about to be shown, if it is covered now."""
        shown = self.budget.charge(size, digest)
        if shown:
            self.ahead()
            self.on_change()
        return shown

    async def take(self, size: int, digest: str, *, vital: bool = False) -> bool:
        """Take a payload that is about to be shown; waits for a reservation where one can be had, and a vital one takes the last."""
        while not self.charge(size, digest):
            if not await self.more(size, digest):
                return vital and self.budget.charge(size, digest, vital=True)
        return True

    async def more(self, size: int, digest: str) -> bool:
        """Reserve so that a payload is covered; False if it cannot be."""
        async with self._lock:
            if not self.budget.covers(size, digest) and self.budget.may_ask(size, digest):
                await self._ask({"reserve": self.budget.wanted(self.budget.cost(size, digest)), "return": 0})
        return self.budget.covers(size, digest)

    def ahead(self) -> None:
        """Have some in hand, beside the work."""
        if self._quiet:
            self._quiet.cancel()
        self._quiet = asyncio.get_running_loop().call_later(QUIET, self._rest)
        figures = self.budget.figures
        possible = self.budget.reachable and figures is not None and figures.left > 0
        if possible and self.budget.wanted() and (self._topping is None or self._topping.done()):
            self._topping = asyncio.get_running_loop().create_task(self._top_up())

    async def _top_up(self) -> None:
        async with self._lock:
            if wanted := self.budget.wanted():
                await self._ask({"reserve": wanted, "return": 0})

    def out(self, code: str) -> None:
        """Note once that the hour's or the day's budget does not suffice."""
        if code != self._out and code in {"display_hour", "display_day"}:
            self._out = code
            self.on_out(code)

    def _rest(self) -> None:
        task = asyncio.get_running_loop().create_task(self.give_back(IN_HAND))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def give_back(self, keep: int = 0) -> None:
        """Return what is in hand: from here on it cannot be shown."""
        async with self._lock:
            if (over := self.budget.give_back(keep)) or self._pending:
                await self._ask({"reserve": 0, "return": over})

    async def _ask(self, body: dict[str, Any]) -> None:
        """Ask the portal; whatever was sent before and not answered is sent first, by its old name."""
        for one in [*([self._pending] if self._pending else []), {"request": secrets.token_hex(12), **body}]:
            if not (one["reserve"] or one["return"]):
                continue
            self._pending = one
            try:
                said = await self._post(one)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as down:
                _log.warning("display budget: %r", down)
                self._unreachable()
                return
            self._pending, self.budget.reachable = None, True
            figures, granted = Figures.of(said), said.get("granted")
            if figures is not None:
                self.budget.figures = figures
            if type(granted) is int and 0 < granted <= one["reserve"]:
                self.budget.grant(granted)
                self._out = ""
        self.on_change()

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            asyncio.timeout(SECONDS),
            aiohttp.ClientSession(headers=headers, trust_env=False) as http,
            http.post(self.url + PATH, json=body) as answer,
        ):
            answer.raise_for_status()
            said = await answer.json()
            if not isinstance(said, dict):
                raise ValueError("an answer that is no object")  # noqa: TRY004 - it is input, not a programming error
            return said

    def _unreachable(self) -> None:
        """Ask no more for a moment; what is covered can still be shown."""
        self.budget.reachable = False
        if self._again:
            self._again.cancel()
        self._again = asyncio.get_running_loop().call_later(AGAIN, self._retry)

    def _retry(self) -> None:
        self.budget.reachable = True
        self.ahead()

    async def close(self) -> None:
        """Give everything back; the session ends."""
        for timer in (self._quiet, self._again):
            if timer:
                timer.cancel()
        if self._topping is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._topping
        await self.give_back()
