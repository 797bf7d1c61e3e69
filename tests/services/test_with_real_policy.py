"""The same way with the real policy on the real OPA: the facts the services give are those the policy asks for."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "policies"))

from opa_server import OPA, PORTAL, free_port, start
from sqlalchemy import select

from sandbox.adapters.opa import Policy
from sandbox.domain.errors import Refusal
from sandbox.services import agreements, applications, catalogue, people, projects
from sandbox.store.tables import RoleGrant

pytestmark = pytest.mark.opa


@pytest.fixture(scope="module")
def policy():
    assert OPA.exists(), f"no OPA at {OPA}: make setup builds it"
    server = start(OPA, free_port())
    asked = Policy(server.url, PORTAL)
    yield asked
    asked.close()
    server.process.kill()
    server.process.wait()


def refused(world, who, act, /, *args, **named):
    with pytest.raises(Refusal) as refusal, world.as_(who) as ctx:
        act(ctx, *args, **named)
    return refusal.value.code


def test_from_roles_to_revocation(world, policy):
    world.policy = policy
    with world.as_("administrator") as ctx:
        people.create_person(ctx, login="newcomer", name="新", email="n@example.org", password="long enough pw")
        grant = people.request_role(ctx, login="newcomer", role="reviewer", body="air").id
    with world.as_("officer") as ctx:
        assert people.confirm_role(ctx, grant).state == "active"
    world.dataset()
    one = world.prepared()
    with world.as_("auditor") as ctx:
        assert [a.id for a in agreements.agreements(ctx)] == [one]
        assert len(applications.applications(ctx)) == 1
        assert [d.name for d in catalogue.datasets(ctx)] == ["flights"]
    with world.as_("steward") as ctx:
        agreements.lift(ctx, agreements.hold(ctx, one, ground="第十一条", reason="核实").id)
    with world.as_("administrator") as ctx:
        assert agreements.revoke(ctx, one, ground="第十一条", reason="违反约定").epoch == 3


def test_what_policy_refuses_has_its_reason(world, policy):
    world.policy = policy
    world.dataset()
    one = world.submitted()
    assert refused(world, "researcher", people.persons) == "role_missing"
    assert refused(world, "steward2", catalogue.publish, "flights", 1) == "other_body"
    assert refused(world, "researcher2", applications.application, one) == "not_visible"
    assert refused(world, "steward", projects.create_project, title="t", purpose="p") == "role_missing"
    assert refused(world, "administrator", people.request_role, login="administrator", role="officer") == "own_request"
    agreement = world.approve(one)
    with world.as_("researcher") as ctx:
        digest = agreements.agreement(ctx, agreement).text_digest
    assert refused(world, "researcher", agreements.sign, agreement, text_digest=digest, side="owner") == "own_project"
    assert refused(world, "researcher", agreements.revoke, agreement, ground="g", reason="r") == "role_missing"


def test_a_founding_role_is_confirmed_by_nobody_later(world, policy):
    world.policy = policy
    with world.database.reading() as db:
        grant = db.scalars(select(RoleGrant).where(RoleGrant.role == "administrator")).one().id
    assert refused(world, "officer", people.confirm_role, grant) == "state_conflict"


def test_a_steward_does_not_lift_the_officers_hold(world, policy):
    world.policy = policy
    world.dataset()
    one = world.prepared()
    with world.as_("officer") as ctx:
        hold = agreements.hold(ctx, one, ground="第十一条", reason="核实").id
    for who in ("steward", "administrator"):
        assert refused(world, who, agreements.lift, hold) == "hold_of_other_side"
    with world.as_("officer") as ctx:
        assert agreements.lift(ctx, hold).lifted_at is not None
