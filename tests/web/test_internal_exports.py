"""Packages on the real internal port: which bytes stay, whatever order the requests end in."""

import asyncio
import hashlib
import time
from types import SimpleNamespace

import httpx
import pytest
from sqlalchemy import select

from audit import tokens
from audit.tokens import load_private
from sandbox.services import exports
from sandbox.services.leases import Leases
from sandbox.store.tables import SandboxSession
from sandbox.web.internal import create_internal
from sandbox.web.process import Work

pytestmark = pytest.mark.opa

GOOD = b"carrier,n\nUA,58665\n"
OTHER = b"carrier,n\nUA,00001\n"


@pytest.fixture
def process(runtime):
    work = Work(runtime.database, runtime.policy, runtime.clock, lambda: None)
    key = load_private((runtime.settings.home / "secrets/portal/launch.key").read_bytes())
    return SimpleNamespace(settings=runtime.settings, key=key, work=work, leases=Leases())


@pytest.fixture
def session(process, runtime, seeded):
    """A client with the session's token."""
    with runtime.database.reading() as db:
        boot = db.scalars(select(SandboxSession.boot).where(SandboxSession.sandbox_id == seeded.sandbox)).one()
    token = tokens.sign(process.key, sandbox=seeded.sandbox, boot=boot, exp=int(time.time()) + 60)
    transport = httpx.ASGITransport(create_internal(process))
    return lambda: httpx.AsyncClient(transport=transport, base_url="http://portal", headers={"Authorization": f"Bearer {token}"})


def test_bytes_that_arrive_after_the_package_was_submitted_change_nothing(process, session, seeded, runtime):
    file = {"name": "a.csv", "size": len(GOOD), "sha256": hashlib.sha256(GOOD).hexdigest()}

    async def attack():
        async with session() as client:
            made = await client.post("/internal/session/exports", json={"title": "t", "context": "c", "check_only": False, "files": [file]})
            one = made.json()["export"]
            path = f"/internal/session/exports/{one}/files/0"

            async def slowly():
                yield OTHER[:1]
                assert (await client.put(path, content=GOOD)).status_code == 204
                await asyncio.to_thread(process.work.run, lambda ctx: exports.submit(ctx, sandbox=seeded.sandbox, export=one).id)
                yield OTHER[1:]

            return one, await client.put(path, content=slowly())

    one, late = asyncio.run(attack())
    assert (late.status_code, late.json()["error"]["code"]) == (409, "state_conflict")
    assert (process.settings.home / f"exports/{one}/0").read_bytes() == GOOD
    assert [path.name for path in (process.settings.home / "exports").iterdir() if path.name.startswith(".")] == []
    with runtime.database.reading() as db:
        assert exports.check_job_spec(db, one)["job"]["files"] == [file]


def test_other_bytes_than_announced_leave_no_file(process, session):
    file = {"name": "a.csv", "size": len(GOOD), "sha256": hashlib.sha256(GOOD).hexdigest()}

    async def send():
        async with session() as client:
            made = await client.post("/internal/session/exports", json={"title": "t", "context": "c", "check_only": False, "files": [file]})
            one = made.json()["export"]
            return one, [
                (await client.put(f"/internal/session/exports/{one}/files/0", content=sent)).status_code for sent in (OTHER, GOOD * 2)
            ]

    one, answers = asyncio.run(send())
    assert answers == [409, 409]
    assert list((process.settings.home / f"exports/{one}").iterdir()) == []
