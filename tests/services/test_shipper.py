"""From the outbox to the real log: in order, once each, waiting while the log is away."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parents[1] / "audit"))

from log_support import make_log, make_secrets
from tasks import running, until

from audit.checkpoint import Signer
from audit.client import Reader
from audit.server import Callers, Service
from sandbox.domain.errors import Refusal
from sandbox.services.shipper import Shipper
from sandbox.store import outbox
from sandbox.store.tables import Outbox

TOKEN = "token-of-portal"
ACTOR = {"type": "person", "id": "p1", "login": "researcher"}


class TheLog:
    """A real log on one port that can go away and come back."""

    def __init__(self, folder):
        signer = Signer.generate("test.log")
        self.log = make_log(folder / "audit", signer)
        self.callers = Callers.load(make_secrets(folder / "secrets", signer))
        self.port, self.server = None, None

    async def up(self):
        self.server = TestServer(Service(self.log, self.callers).app(), port=self.port)
        await self.server.start_server()
        self.port = self.server.port

    async def down(self):
        await self.server.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def leaves(self):
        reader = Reader(self.url, TOKEN)
        entries = (await reader.entries()).entries
        await reader.close()
        return [entry["leaf"] for entry in entries if not entry["leaf"]["kind"].startswith("source.")]


@pytest.fixture
async def log(tmp_path):
    log = TheLog(tmp_path)
    await log.up()
    yield log
    await log.down()
    log.log.close()


def write(database, kind, **more):
    with database.writing() as db:
        given = {"now": datetime(2026, 11, 23, 6, 5, tzinfo=UTC), "actor": ACTOR, "refs": {"project": "p"}, "data": {}} | more
        return outbox.record(db, kind, **given).id


def gone(database):
    with database.writing() as db:
        outbox.record(db, "test.gone", now=datetime(2026, 11, 23, 6, 5, tzinfo=UTC), actor=ACTOR, refs={}, data={})
        raise RuntimeError("the act fails")


def waiting(database):
    with database.reading() as db:
        return [row.kind for row in outbox.pending(db)]


async def test_rows_arrive_in_order_once_with_their_texts_and_time(database, log):
    for n in range(3):
        write(database, f"test.n{n}", texts={"reason": f"因为{n}"})
    async with running(Shipper(database, log.url, TOKEN)):
        await until(lambda: not waiting(database))
    leaves = await log.leaves()
    assert [(leaf["kind"], leaf["data"]["outbox"], leaf["time"]) for leaf in leaves] == [
        (f"test.n{n}", n + 1, "2026-11-23T06:05:00.000Z") for n in range(3)
    ]
    with database.reading() as db:
        assert [(row.texts, row.shipped_index is not None) for row in db.scalars(select(Outbox))] == [({}, True)] * 3


async def test_rows_wait_while_the_log_is_away_and_come_in_order_when_it_is_back(database, log):
    async with running(Shipper(database, log.url, TOKEN)) as shipper:
        write(database, "test.before")
        shipper.kick()
        await until(lambda: not waiting(database))
        await log.down()
        ids = [write(database, f"test.n{n}") for n in range(4)]
        shipper.kick()
        with pytest.raises(Refusal) as refusal:
            await asyncio.to_thread(shipper.wait_recorded, ids[0], 0.3)
        assert (refusal.value.code, refusal.value.status) == ("log_unavailable", 503)
        assert waiting(database) == [f"test.n{n}" for n in range(4)]
        await log.up()
        await asyncio.to_thread(shipper.wait_recorded, ids[-1], 15)
    assert [leaf["data"]["outbox"] for leaf in await log.leaves()] == [1, *ids]


async def test_waiting_for_a_row_that_is_never_committed_ends(database, log):
    async with running(Shipper(database, log.url, TOKEN)) as shipper:
        with pytest.raises(Refusal, match="log_unavailable"):
            await asyncio.to_thread(shipper.wait_recorded, 999, 0.1)


async def test_what_is_rolled_back_is_never_on_record(database, log):
    async with running(Shipper(database, log.url, TOKEN)) as shipper:
        with pytest.raises(RuntimeError, match="the act fails"):
            gone(database)
        one = write(database, "test.kept")
        await asyncio.to_thread(shipper.wait_recorded, one, 15)
    assert [leaf["kind"] for leaf in await log.leaves()] == ["test.kept"]


async def test_another_portal_goes_on_where_the_last_one_ended(database, log):
    for n in range(2):
        write(database, f"test.n{n}")
        async with running(Shipper(database, log.url, TOKEN)):
            await until(lambda: not waiting(database))
    leaves = await log.leaves()
    assert [leaf["kind"] for leaf in leaves] == ["test.n0", "test.n1"]
    assert len({leaf["boot"] for leaf in leaves}) == 2


@pytest.mark.parametrize("more", [{"data": {"codes": ["x" * 100] * 1000}}, {"refs": {"sandbox": ""}}])
async def test_a_row_that_does_not_fit_is_told_and_keeps_no_other_out(database, log, more):
    bad = write(database, "test.bad", texts={"reason": "原文"}, **more)
    good = write(database, "test.good")
    async with running(Shipper(database, log.url, TOKEN)) as shipper:
        await asyncio.to_thread(shipper.wait_recorded, good, 15)
        with pytest.raises(Refusal, match="record_refused"):
            await asyncio.to_thread(shipper.wait_recorded, bad, 1)
    refused, other = await log.leaves()
    assert (refused["kind"], refused["data"]["outbox"], refused["data"]["kind"]) == ("record.refused", bad, "test.bad")
    assert other["kind"] == "test.good"
    with database.reading() as db:
        assert db.get_one(Outbox, bad).texts == {"reason": "原文"}
