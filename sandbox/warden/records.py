"""How the warden speaks to the log: acts on data wait for the record, protective acts never do."""

import asyncio
import logging
from typing import Any, Protocol

from audit.client import LogError, LogUnavailable
from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id

WARDEN = {"type": "service", "id": "warden"}
RETRY_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Source(Protocol):
    """What the warden needs of `audit.client.Source`."""

    async def append(self, kind: str, *, actor: dict[str, str], refs: dict[str, str], data: dict[str, Any]) -> int:
        """Append and return the index once it is on disk. Raises LogError."""


class Recorder:
    """The warden's source in the log. Each record carries `act`, so that one sent again after a lost answer is seen to be the same."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._later: asyncio.Queue[tuple[str, dict[str, str], dict[str, Any], dict[str, str]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def before(self, kind: str, refs: dict[str, str], data: dict[str, Any], actor: dict[str, str] = WARDEN) -> None:
        """Record an act of `actor` that is about to happen. Raises Refusal `log_unavailable` (503): then it must not happen."""
        try:
            await self._source.append(kind, actor=actor, refs=refs, data={"act": new_id(), **data})
        except LogError as error:
            _log.warning("%s refused: %s", kind, error)
            raise Refusal("log_unavailable", status=503) from error

    def later(self, kind: str, refs: dict[str, str], data: dict[str, Any], actor: dict[str, str] = WARDEN) -> None:
        """Record what has happened, as soon as the log can take it."""
        self._later.put_nowait((kind, refs, {"act": new_id(), **data}, actor))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(), name="records")

    async def settle(self) -> None:
        """Wait until nothing is left to record."""
        await self._later.join()

    async def _drain(self) -> None:
        while not self._later.empty():
            await self._append(*self._later.get_nowait())
            self._later.task_done()

    async def _append(self, kind: str, refs: dict[str, str], data: dict[str, Any], actor: dict[str, str]) -> None:
        while True:
            try:
                await self._source.append(kind, actor=actor, refs=refs, data=data)
            except LogUnavailable:
                _log.warning("the log is unavailable; %s waits", kind)
                await asyncio.sleep(RETRY_SECONDS)
            except LogError:
                _log.exception("the log does not take %s %s %s", kind, refs, data)
                return
            else:
                return
