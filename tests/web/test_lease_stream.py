"""The guard's stream on the real internal port: what a log-out, a deactivation and a cut say on it, and when it goes on."""

import time
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from starlette.websockets import WebSocketDisconnect

from audit import tokens
from audit.tokens import load_private
from sandbox.services.leases import Leases
from sandbox.store.tables import Outbox, SandboxSession
from sandbox.web import internal
from sandbox.web.internal import create_internal
from sandbox.web.process import Work

pytestmark = pytest.mark.opa


@pytest.fixture
def process(runtime):
    """What the internal port needs of the portal's process."""
    work = Work(runtime.database, runtime.policy, runtime.clock, lambda: None)
    key = load_private((runtime.settings.home / "secrets/portal/launch.key").read_bytes())
    return SimpleNamespace(settings=runtime.settings, key=key, work=work, leases=Leases())


@pytest.fixture
def stream(process, runtime, seeded):
    with runtime.database.reading() as db:
        boot = db.scalars(select(SandboxSession.boot).where(SandboxSession.sandbox_id == seeded.sandbox)).one()
    token = tokens.sign(process.key, sandbox=seeded.sandbox, boot=boot, exp=int(time.time()) + 60)
    client = TestClient(create_internal(process))
    return lambda: client.websocket_connect("/internal/session/lease", headers={"Authorization": f"Bearer {token}"})


def test_a_log_out_is_told_and_the_lease_goes_on(process, stream, seeded, monkeypatch):
    monkeypatch.setattr(internal, "RENEW_SECONDS", 600.0)  # whatever comes now comes because it was pushed
    with stream() as guard:
        assert guard.receive_json()["type"] == "lease"
        assert process.leases.log_out(seeded.sandbox) == 1
        assert guard.receive_json() == {"type": "logout"}
        assert guard.receive_json()["type"] == "lease"
        process.leases.cut(seeded.sandbox, "agreement_revoked")
        assert guard.receive_json() == {"type": "cut", "code": "agreement_revoked"}
        with pytest.raises(WebSocketDisconnect) as closed:
            guard.receive_json()
        assert closed.value.code == 4403


def test_the_portals_log_out_tells_the_persons_own_live_sandboxes_and_is_recorded(runtime, browse, seeded):
    browse("researcher2").post("/logout")
    assert runtime.logged_out == []
    assert browse("researcher").post("/logout").status_code == 303
    assert runtime.logged_out == [seeded.sandbox]
    with runtime.database.reading() as db:
        assert [r.refs["sandbox"] for r in db.scalars(select(Outbox).where(Outbox.kind == "session.logged_out"))] == [seeded.sandbox]
