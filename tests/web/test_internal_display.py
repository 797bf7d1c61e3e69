"""The display budget on the real internal port, as a guard asks for it."""

import time
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from audit import tokens
from audit.tokens import load_private
from sandbox.services.leases import Leases
from sandbox.store.tables import DisplayBucket, SandboxSession
from sandbox.web.internal import create_internal
from sandbox.web.process import Work

pytestmark = pytest.mark.opa
MIB = 1 << 20
PATH = "/internal/session/display"


@pytest.fixture
def guard(runtime, seeded):
    """What a guard posts, and the answer; `boot` may be another one."""
    key = load_private((runtime.settings.home / "secrets/portal/launch.key").read_bytes())
    work = Work(runtime.database, runtime.policy, runtime.clock, lambda: None)
    client = TestClient(create_internal(SimpleNamespace(settings=runtime.settings, key=key, work=work, leases=Leases())))
    with runtime.database.reading() as db:
        own = db.scalars(select(SandboxSession.boot).where(SandboxSession.sandbox_id == seeded.sandbox)).one()

    def post(body, boot=own, token=None):
        token = token or tokens.sign(key, sandbox=seeded.sandbox, boot=boot, exp=int(time.time()) + 60)
        return client.post(PATH, json=body, headers={"Authorization": f"Bearer {token}"})

    return post


def test_what_is_granted_is_committed_before_it_is_said(guard, runtime):
    answer = guard({"reserve": MIB, "return": 0, "request": "a"}).json()
    assert answer == {
        "granted": MIB, "cell_bytes": 262144, "hour_bytes": 5 * MIB, "day_bytes": 20 * MIB, "hour_left": 4 * MIB, "day_left": 19 * MIB, "extension_until": None,
    }  # fmt: skip
    with runtime.database.reading() as db:
        assert db.scalar(select(func.sum(DisplayBucket.granted))) == MIB
    assert guard({"reserve": MIB, "return": 0, "request": "a"}).json() == answer
    assert guard({"reserve": 9 * MIB, "return": MIB, "request": "b"}).json()["granted"] == 5 * MIB
    assert guard({"reserve": 1, "return": 0}).json()["granted"] == 0


@pytest.mark.parametrize(
    "body", [{"reserve": -1}, {"reserve": "x"}, {"reserve": 1, "return": -5}, {"reserve": 1 << 50}, {"granted": 1}, {"request": ""}]
)
def test_bad_figures_are_refused(guard, body):
    assert guard(body).status_code == 422


def test_another_boot_or_token_gets_nothing(guard):
    assert (guard({"reserve": 1}, boot="another").status_code, guard({"reserve": 1}, token="x.y").status_code) == (409, 401)
