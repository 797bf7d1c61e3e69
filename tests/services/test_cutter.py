"""The cut: guard first, then the warden, again and again until it is done; the record only follows."""

import asyncio

import pytest
from sqlalchemy import select
from tasks import Work, running, until

from sandbox.adapters.hub import FakeHub
from sandbox.adapters.warden import FakeWarden
from sandbox.domain.errors import Refusal
from sandbox.domain.states import Desired, SandboxState, SessionState
from sandbox.services import agreements
from sandbox.services import cutter as module
from sandbox.services.cutter import Cutter
from sandbox.services.leases import Cut, Leases
from sandbox.store.tables import Agreement, Outbox, Person, Sandbox, SandboxSession


@pytest.fixture
def live(world):
    """The world with a running sandbox of an agreement in force: `world.sandbox`."""
    world.dataset()
    world.agreement = world.prepared()
    with world.database.writing() as db:
        sandbox = Sandbox(
            created=world.now,
            project_id=db.get_one(Agreement, world.agreement).project_id,
            person_id=db.scalars(select(Person.id).where(Person.login == "researcher")).one(),
            state=SandboxState.RUNNING,
            desired=Desired.RUNNING,
            generation=1,
            changed=world.now,
            executions=0,
        )
        db.add(sandbox)
        db.flush()
        db.add(SandboxSession(created=world.now, sandbox_id=sandbox.id, boot="b", state=SessionState.RUNNING, epoch=1))
        world.sandbox = sandbox.id
    return world


def state(world):
    with world.database.reading() as db:
        return db.get_one(Sandbox, world.sandbox).state.value


def revoke(world):
    with world.as_("administrator") as ctx:
        agreements.revoke(ctx, world.agreement, ground="第十一条", reason="违反约定")


def evidence(world):
    with world.database.reading() as db:
        return [row.data for row in db.scalars(select(Outbox).where(Outbox.kind == "sandbox.cut"))]


class Order(FakeWarden):
    """Notes what the guard had been told when the warden was called."""

    def __init__(self, told):
        super().__init__()
        self.told, self.knew = told, []

    async def cut(self, sandbox, reason):
        await asyncio.sleep(0)
        self.knew.append(self.told.qsize())
        return await super().cut(sandbox, reason)


async def test_the_guard_is_told_before_the_warden_and_the_hub_forgets_the_server(live):
    leases, hub = Leases(), FakeHub()
    hub.servers["researcher", live.sandbox] = "running"
    with leases.stream(live.sandbox) as told:
        warden = Order(told)
        async with running(Cutter(Work(live), leases, warden, hub)) as cutter:
            revoke(live)
            cutter.kick()
            await until(lambda: state(live) == "cut")
            await until(lambda: not hub.servers)
        assert await told.get() == Cut("agreement_revoked")
    assert warden.knew[0] >= 1
    assert warden.calls == [("cut", (live.sandbox, "agreement_revoked"))]
    assert [data["code"] for data in evidence(live)] == ["agreement_revoked"]


async def test_a_warden_that_is_away_is_asked_again_until_it_has_cut(live, monkeypatch):
    monkeypatch.setattr(module, "TICK_SECONDS", 0.05)
    warden = FakeWarden(refusal=Refusal("warden_unavailable", status=503))
    async with running(Cutter(Work(live), Leases(), warden, FakeHub())):
        revoke(live)
        await until(lambda: len(warden.calls) >= 2)
        assert state(live) == "running"
        warden.refusal = None
        await until(lambda: state(live) == "cut")
    assert len(evidence(live)) == 1


async def test_a_hub_that_is_away_does_not_keep_a_cut_open(live):
    class Away(FakeHub):
        async def stop(self, login, server, *, remove=False):
            raise Refusal("hub_unavailable", status=503)

    async with running(Cutter(Work(live), Leases(), FakeWarden(), Away())) as cutter:
        revoke(live)
        cutter.kick()
        await until(lambda: state(live) == "cut")
    assert len(evidence(live)) == 1


async def test_a_cut_that_an_earlier_portal_left_is_done_at_the_start(live):
    revoke(live)
    async with running(Cutter(Work(live), Leases(), FakeWarden(), FakeHub())):
        await until(lambda: state(live) == "cut")
    assert evidence(live)[0]["was_running"] is False


async def test_a_cut_waits_for_no_record(live):
    """No shipper runs here: nothing ever gets to a log, and the cut is complete."""
    warden = FakeWarden()
    async with running(Cutter(Work(live), Leases(), warden, FakeHub())) as cutter:
        revoke(live)
        cutter.kick()
        await until(lambda: state(live) == "cut")
    with live.database.reading() as db:
        kinds = Outbox.kind.in_(["agreement.revoked", "sandbox.cut"])
        assert db.scalars(select(Outbox.shipped_index).where(kinds)).all() == [None, None]


async def test_a_term_ends_also_while_somebody_always_commits(live, monkeypatch):
    monkeypatch.setattr(module, "TICK_SECONDS", 0.1)
    cutter = Cutter(Work(live), Leases(), FakeWarden(), FakeHub())

    async def busy():
        while True:
            cutter.kick()
            await asyncio.sleep(0.005)

    async with running(cutter):
        kicks = asyncio.create_task(busy())
        await until(lambda: state(live) == "running")
        live.later(days=31)
        await until(lambda: state(live) == "cut")
        kicks.cancel()
    assert evidence(live)[0]["code"] == "agreement_expired"


async def test_one_sandbox_that_cannot_be_cut_does_not_hold_up_another(live):
    release = asyncio.Event()

    class Stuck(FakeWarden):
        async def cut(self, sandbox, reason):
            if sandbox != live.sandbox:
                await release.wait()
            return await super().cut(sandbox, reason)

    with live.database.writing() as db:
        first = db.get_one(Sandbox, live.sandbox)
        other = db.scalars(select(Person.id).where(Person.login == "researcher2")).one()
        columns = {"project_id": first.project_id, "person_id": other, "state": SandboxState.RUNNING, "desired": Desired.RUNNING}
        db.add(Sandbox(created=live.now, generation=1, changed=live.now, executions=0, **columns))
    async with running(Cutter(Work(live), Leases(), Stuck(), FakeHub())) as cutter:
        revoke(live)
        cutter.kick()
        await until(lambda: state(live) == "cut")
        release.set()
        await until(lambda: len(evidence(live)) == 2)
