"""Jobs: taken up again after a dead portal, given up with a code, and policy's reason is the one that stays."""

import asyncio
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from tasks import Work, running, until
from world import Decision

from sandbox.adapters.hub import FakeHub
from sandbox.adapters.warden import FakeWarden
from sandbox.domain.errors import Refusal
from sandbox.domain.spec import verify
from sandbox.services import catalogue, sandboxes
from sandbox.services import runner as module
from sandbox.services.runner import Runner
from sandbox.settings import Settings
from sandbox.store import jobs
from sandbox.store.tables import Agreement, Job, Release, Sandbox, Version

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0)
    for folder in ("uploads", "sources", "releases", "jobs"):
        (tmp_path / folder).mkdir()
    images = {"data": "sha256:" + "0" * 64, "kernel": "k", "session": "s"}
    return Settings(tmp_path, tmp_path / "run", "0123abcd", "http://sandbox.localhost:8000", images=images)


class DataWarden(FakeWarden):
    """Leaves what a data container would: a result, or nothing."""

    def __init__(self, home, result=None):
        super().__init__()
        self.home, self.result, self.specs = home, result, []

    async def data(self, envelope):
        spec = envelope["spec"]
        verify(envelope, KEY.public_key(), module.system_clock())
        out = self.home / spec["output"]
        self.specs.append((spec["task"], json.loads((out.parent / "job.json").read_text()), sorted(i["target"] for i in spec["inputs"])))
        out.mkdir()
        (out / "data.parquet").write_bytes(b"PAR1")
        if self.result is not None:
            (out / "result.json").write_text(self.result if isinstance(self.result, str) else json.dumps(self.result))
        return await super().data(envelope)


def version(world):
    """A version that waits for its import."""
    with world.as_("steward") as ctx:
        catalogue.register_dataset(
            ctx,
            name="weather",
            body="air",
            title_zh="天气",
            title_en="Weather",
            description="",
            source="a file",
            licence="CC0-1.0",
            conditions={"access_modes": ["mounted"], "min_cell": 10, "documents": [], "requirements": []},
        )
        return catalogue.start_version(ctx, "weather", upload_path="uploads/abc", file_name="data.csv").id


def ended(world, kind):
    with world.database.reading() as db:
        return db.scalars(select(Job.state).where(Job.kind == kind, Job.state.in_(["done", "failed"]))).first()


def version_of(world, name):
    with world.database.reading() as db:
        one = db.get_one(Version, name)
        return one.state.value, [error["code"] for error in one.errors], one.rows


PROFILE = {
    "ok": True,
    "errors": [],
    "result": {"rows": 3, "sha256": "a" * 64, "size": 4, "columns": [{"name": "t", "type": "int64", "nulls": 0, "distinct": 3, "proposed_class": "open"}]},
}  # fmt: skip


def made(world, settings, warden=None, hub=None):
    return Runner(Work(world), settings, KEY, hub or FakeHub(), warden or FakeWarden())


async def test_an_import_runs_in_a_data_container_from_a_signed_spec_and_keeps_its_files(world, settings):
    one, warden = version(world), DataWarden(settings.home, PROFILE)
    async with running(made(world, settings, warden)):
        assert await until(lambda: ended(world, "import")) == "done"
    assert version_of(world, one) == ("imported", [], 3)
    assert warden.specs[0][0::2] == ("import", ["/in/upload"])
    assert [path.name for path in (settings.home / "sources" / one).iterdir()] == ["data.parquet"]
    assert not list((settings.home / "jobs").iterdir())


@pytest.mark.parametrize("result", [None, "not json", "[]", {"ok": True, "errors": [], "result": {"rows": "x", "columns": [{}]}}])
async def test_a_data_container_that_leaves_no_usable_result_fails_with_its_code(world, settings, result):
    one, warden = version(world), DataWarden(settings.home, result)
    async with running(made(world, settings, warden)):
        assert await until(lambda: ended(world, "import")) == "failed"
    assert version_of(world, one) == ("failed", ["data_task_failed"], None)
    assert len(warden.specs) == jobs.ATTEMPTS
    assert not list((settings.home / "jobs").iterdir())


async def test_a_refused_file_keeps_its_reasons_and_is_not_tried_again(world, settings):
    errors = [{"code": "csv_row_broken", "line": 7, "params": {"line": 7}}]
    one, warden = version(world), DataWarden(settings.home, {"ok": False, "errors": errors, "result": {}})
    async with running(made(world, settings, warden)):
        assert await until(lambda: ended(world, "import")) == "done"
    assert version_of(world, one) == ("failed", ["csv_row_broken"], None)
    assert len(warden.specs) == 1


async def test_a_warden_that_is_away_is_asked_again(world, settings):
    one, warden = version(world), DataWarden(settings.home, PROFILE)
    tries = []

    async def data(envelope):
        tries.append(1)
        if len(tries) < 3:
            raise Refusal("warden_unavailable", status=503)
        return await DataWarden.data(warden, envelope)

    warden.data = data
    async with running(made(world, settings, warden)):
        assert await until(lambda: ended(world, "import")) == "done"
    assert version_of(world, one)[0] == "imported"


async def test_a_job_of_a_dead_portal_is_taken_up_again(world, settings):
    one, warden = version(world), DataWarden(settings.home, PROFILE)
    with world.database.writing() as db:
        assert jobs.claim(db, world.now).kind == "import"
    async with running(made(world, settings, warden)):
        assert await until(lambda: ended(world, "import")) == "done"
    assert version_of(world, one)[0] == "imported"


async def test_a_job_at_which_every_portal_died_is_given_up_where_it_was_asked_for(world, settings):
    one = version(world)
    for number in range(jobs.ATTEMPTS):
        with world.database.writing() as db:
            jobs.claim(db, world.now)
            if number < jobs.ATTEMPTS - 1:
                jobs.reclaim(db, world.now)
    async with running(made(world, settings)):
        assert await until(lambda: ended(world, "import")) == "failed"
    assert version_of(world, one) == ("failed", ["data_task_failed"], None)


# Starts ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def requested(world):
    """The world with a sandbox that is to start: `world.sandbox`."""
    world.dataset()
    agreement = world.prepared()
    with world.database.writing() as db:  # what the world's agreement left to do is done
        for job in db.scalars(select(Job)):
            db.delete(job)
        project = db.get_one(Agreement, agreement).project_id
        assert db.scalars(select(Release)).one().state == "ready"
    with world.as_("researcher") as ctx:
        world.policy.decide = allow(world.policy.decide)
        world.sandbox = sandboxes.open_sandbox(ctx, project).id
    return world


def allow(decide):
    """The world's policy, which also lets members open and authorises starts unless `deny` is set."""

    def decided(package, facts):
        if package == "sandbox.session":
            return Decision(allow=not decided.deny, reasons=decided.deny)
        return Decision(allow=True, reasons=[]) if facts["act"].startswith("sandbox:") else decide(package, facts)

    decided.deny = []
    return decided


class AskingHub(FakeHub):
    """A hub whose spawner asks the portal first, as the real one does."""

    def __init__(self, world, settings, outcome=None):
        super().__init__()
        self.world, self.settings, self.outcome = world, settings, outcome

    async def start(self, login, server):
        launch = Work(self.world).run(lambda ctx: sandboxes.authorise(ctx, self.settings, login=login, server=server), name="hub")
        if isinstance(launch, Refusal):
            raise Refusal("start_refused", status=403)
        if self.outcome:
            raise Refusal(self.outcome, status=503)
        await super().start(login, server)


def sandbox_of(world):
    with world.database.reading() as db:
        one = db.get_one(Sandbox, world.sandbox)
        return one.state.value, one.reason


async def test_a_start_ends_in_a_running_sandbox(requested, settings):
    hub = AskingHub(requested, settings)
    async with running(made(requested, settings, hub=hub)):
        assert await until(lambda: ended(requested, "start")) == "done"
    assert sandbox_of(requested) == ("running", None)
    assert hub.servers == {("researcher", requested.sandbox): "running"}


async def test_a_refused_start_keeps_policys_reason(requested, settings):
    requested.policy.decide.deny = ["too_many_sandboxes"]
    async with running(made(requested, settings, hub=AskingHub(requested, settings))):
        assert await until(lambda: ended(requested, "start")) == "done"
    assert sandbox_of(requested) == ("refused", "too_many_sandboxes")


@pytest.mark.parametrize("code", ["start_failed", "hub_unavailable"])
async def test_a_start_that_fails_says_so_and_another_can_follow(requested, settings, code):
    async with running(made(requested, settings, hub=AskingHub(requested, settings, code))):
        assert await until(lambda: ended(requested, "start")) == "done"
    assert sandbox_of(requested) == ("refused", code)
    with requested.as_("researcher") as ctx:
        project = ctx.db.get_one(Sandbox, requested.sandbox).project_id
        assert sandboxes.open_sandbox(ctx, project).id == requested.sandbox


async def test_a_start_at_which_every_portal_died_does_not_stay_pending(requested, settings):
    for number in range(jobs.ATTEMPTS):
        with requested.database.writing() as db:
            jobs.claim(db, requested.now)
            if number < jobs.ATTEMPTS - 1:
                jobs.reclaim(db, requested.now)
    async with running(made(requested, settings)):
        assert await until(lambda: ended(requested, "start")) == "failed"
    assert sandbox_of(requested) == ("refused", "start_failed")


async def test_a_close_ends_the_server_and_the_sandbox_can_be_opened_again(requested, settings):
    hub = AskingHub(requested, settings)
    async with running(made(requested, settings, hub=hub)):
        await until(lambda: ended(requested, "start"))
        with requested.as_("researcher") as ctx:
            sandboxes.close_sandbox(ctx, requested.sandbox)
        assert await until(lambda: ended(requested, "stop")) == "done"
    assert sandbox_of(requested) == ("stopped", None)
    assert hub.servers == {("researcher", requested.sandbox): "stopped"}


async def test_a_start_does_not_wait_behind_long_imports(requested, settings, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 1)
    version(requested)
    release = asyncio.Event()

    class Slow(DataWarden):
        async def data(self, envelope):
            await release.wait()
            return await super().data(envelope)

    warden = Slow(settings.home, PROFILE)
    async with running(made(requested, settings, warden, AskingHub(requested, settings))):
        assert await until(lambda: ended(requested, "start")) == "done"
        assert ended(requested, "import") is None
        release.set()
        assert await until(lambda: ended(requested, "import")) == "done"
