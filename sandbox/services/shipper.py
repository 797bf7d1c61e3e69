"""From the outbox to the log: committed records in order, again and again until the log has them.

A row is marked with its index only when the log has acknowledged it. If the portal ends in between, the row goes out once more
under the new boot: twice on record is better than not at all, and `data.outbox` tells the two apart from two events.
"""

import asyncio
import contextlib
import logging
import threading
from datetime import datetime
from typing import Any

from audit.client import Blob, LogRefused, Source
from sandbox.domain.clock import system_clock
from sandbox.domain.errors import Refusal
from sandbox.store import outbox
from sandbox.store.db import Database
from sandbox.store.tables import Outbox

_log = logging.getLogger(__name__)
IDLE_SECONDS = 1.0
# What the log says of a leaf that it can never take; any other refusal is about us and ends the process.
UNFIT = frozenset({"log.too_large", "log.bad_leaf"})


class Shipper:
    """The one task that ships; `kick` from any thread, `wait_recorded` from any thread but the loop's."""

    def __init__(self, database: Database, url: str, token: str) -> None:
        self._database = database
        self._time: datetime = system_clock()
        # No time-out: the row waits as long as the log is away; who must know asks `wait_recorded`.
        self._source = Source(url, token, "portal", clock=lambda: self._time, timeout=float("inf"))
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shipped = threading.Condition()
        self._unfit: set[int] = set()

    async def run(self) -> None:
        """Ship until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                for row in await asyncio.to_thread(self._pending):
                    await self._ship(row)
                if not self._wake.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(IDLE_SECONDS):  # wait_for of 3.11 can lose a cancellation
                            await self._wake.wait()
        finally:
            await self._source.close()

    def kick(self) -> None:
        """Something was committed."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    def wait_recorded(self, outbox_id: int, seconds: float = 2.0) -> None:
        """Return when that row is on record; Refusal `log_unavailable` (503) if that takes longer, `record_refused` if it cannot be."""
        self.kick()
        with self._shipped:
            if not self._shipped.wait_for(lambda: self._is_recorded(outbox_id), timeout=seconds):
                raise Refusal("log_unavailable", status=503)
        if outbox_id in self._unfit:
            raise Refusal("record_refused", status=503, reason="log.unfit")

    def _is_recorded(self, outbox_id: int) -> bool:
        with self._database.reading() as db:
            row = db.get(Outbox, outbox_id)
            return row is not None and row.shipped_index is not None

    def _pending(self) -> list[dict[str, Any]]:
        with self._database.reading() as db:
            return [
                {
                    "id": row.id,
                    "created": row.created,
                    "kind": row.kind,
                    "actor": row.actor,
                    "refs": row.refs,
                    "data": row.data,
                    "blobs": [Blob(name, "text", text.encode(), bytes.fromhex(row.salts[name])) for name, text in row.texts.items()],
                }
                for row in outbox.pending(db)
            ]

    async def _ship(self, row: dict[str, Any]) -> None:
        self._time = row["created"]
        data = {**row["data"], "outbox": row["id"]}
        try:
            index = await self._source.append(row["kind"], actor=row["actor"], refs=row["refs"], data=data, blobs=row["blobs"])
        except LogRefused as refused:
            if refused.code not in UNFIT:
                raise
            # One record that does not fit must not keep all later ones out: what took its place says so, the row keeps its content.
            _log.exception("record %s (%s) does not fit the log", row["id"], row["kind"])
            told = {"outbox": row["id"], "kind": row["kind"], "code": refused.code}
            index = await self._source.append("record.refused", actor=row["actor"], refs={}, data=told)
            self._unfit.add(row["id"])
            await asyncio.to_thread(self._mark, row["id"], index, keep=True)
        else:
            await asyncio.to_thread(self._mark, row["id"], index)

    def _mark(self, row_id: int, index: int, *, keep: bool = False) -> None:
        with self._database.writing() as db:
            row = db.get(Outbox, row_id)
            if row is not None:
                texts = row.texts
                outbox.mark_shipped(row, index)
                row.texts = texts if keep else row.texts
        with self._shipped:
            self._shipped.notify_all()
