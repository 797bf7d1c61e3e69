"""A sandbox from the request to its end, with the real policy: each refusal has its code, and nothing undoes a cut."""

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parents[1] / "policies"))

from opa_server import OPA, PORTAL, free_port, start
from test_at_once import both
from world import Decision

from sandbox.adapters.opa import Policy
from sandbox.domain.errors import Refusal
from sandbox.domain.spec import canonical
from sandbox.services import agreements, people, projects, releases, sandboxes
from sandbox.services.context import Context
from sandbox.settings import Settings
from sandbox.store import jobs
from sandbox.store.tables import Job, Lease, Outbox, Person, Sandbox, SandboxSession

pytestmark = pytest.mark.opa
SETTINGS = Settings(Path("/home"), Path("/run"), "0123abcd", "http://sandbox.localhost:8000", images={"kernel": "k", "session": "s"})


@pytest.fixture(scope="module")
def policy():
    assert OPA.exists(), f"no OPA at {OPA}: make setup builds it"
    server = start(OPA, free_port())
    asked = Policy(server.url, PORTAL)
    yield asked
    asked.close()
    server.process.kill()
    server.process.wait()


@pytest.fixture
def ready(world, policy):
    """The world with the real policy, one dataset, and an agreement of `researcher` whose release is ready: `world.agreement`."""
    world.policy = policy
    world.dataset()
    world.agreement = world.prepared()
    with world.runner() as ctx:
        world.project_id = agreements.of_project(ctx.db, ctx.db.get_one(agreements.Agreement, world.agreement).project_id)[0].project_id
    return world


def opened(world, who="researcher"):
    with world.as_(who) as ctx:
        return sandboxes.open_sandbox(ctx, world.project_id).id


def authorised(world, sandbox, login="researcher"):
    with world.runner() as ctx:
        hub = Context(ctx.db, replace(ctx.actor, id="hub"), ctx.now, ctx.policy)
        return sandboxes.authorise(hub, SETTINGS, login=login, server=sandbox)


def running(world):
    sandbox = opened(world)
    launch = authorised(world, sandbox)
    with world.runner() as ctx:
        sandboxes.started(ctx, sandbox)
    return sandbox, launch.boot


def seen(world, sandbox):
    with world.database.reading() as db:
        one = db.get_one(Sandbox, sandbox)
        return one.state.value, one.desired.value, one.reason


def kinds(world):
    with world.database.reading() as db:
        return list(db.scalars(select(Outbox.kind).order_by(Outbox.id)))


def last(world):
    with world.database.reading() as db:
        row = db.scalars(select(Outbox).order_by(Outbox.id.desc())).first()
        return row.kind, row.data.get("code")


def refused_open(world, who="researcher"):
    with pytest.raises(Refusal) as refusal, world.as_(who) as ctx:
        sandboxes.open_sandbox(ctx, world.project_id)
    return refusal.value.code, refusal.value.status


def lease(world, sandbox, boot):
    with world.database.reading() as db:
        return sandboxes.lease_of(Context(db, None, world.now, world.policy), SETTINGS, sandbox_id=sandbox, boot=boot)


def revoke(world):
    with world.as_("administrator") as ctx:
        agreements.revoke(ctx, world.agreement, ground="第十一条", reason="违反约定")


# Opening -----------------------------------------------------------------------------------------------------------------


def test_without_an_agreement_nothing_opens(world, policy):
    world.policy = policy
    world.project_id = world.project()
    assert refused_open(world) == ("no_agreement", 409)


def test_an_agreement_that_is_not_signed_opens_nothing(world, policy):
    world.policy = policy
    world.dataset()
    agreement = world.approve(world.submitted())
    with world.runner() as ctx:
        world.project_id = ctx.db.get_one(agreements.Agreement, agreement).project_id
    assert refused_open(world) == ("agreement_not_active", 409)


def test_nothing_opens_before_the_release_is_ready(world, policy):
    world.policy = policy
    world.dataset()
    agreement = world.active()
    with world.runner() as ctx:
        world.project_id = ctx.db.get_one(agreements.Agreement, agreement).project_id
    assert refused_open(world) == ("release_not_ready", 409)


def test_who_is_no_member_does_not_see_the_project(ready):
    assert refused_open(ready, "researcher2") == ("not_visible", 404)


def test_a_second_open_waits_for_the_first(ready):
    opened(ready)
    assert refused_open(ready) == ("start_pending", 409)


def test_two_opens_at_once_make_one_start(ready):
    acts = [("researcher", lambda ctx: sandboxes.open_sandbox(ctx, ready.project_id))] * 2
    assert both(ready, acts) == ["done", "start_pending"]
    with ready.database.reading() as db:
        assert [job.kind for job in db.scalars(select(Job).where(Job.kind == "start"))] == ["start"]


def test_a_running_sandbox_is_given_back(ready):
    sandbox, _ = running(ready)
    with ready.as_("researcher") as ctx:
        assert sandboxes.open_sandbox(ctx, ready.project_id).id == sandbox


def test_until_a_cut_is_complete_nothing_opens_and_then_a_new_one_does(ready):
    sandbox, _ = running(ready)
    with ready.as_("steward") as ctx:
        hold = agreements.hold(ctx, ready.agreement, ground="第十一条", reason="核实").id
    assert refused_open(ready) == ("agreement_held", 409)
    with ready.as_("steward") as ctx:
        agreements.lift(ctx, hold)
    assert refused_open(ready) == ("sandbox_being_cut", 409)
    with ready.runner() as ctx:
        sandboxes.cut_done(ctx, sandbox, {"frozen_ms": 1})
    assert opened(ready) != sandbox


@pytest.mark.parametrize(("days", "code"), [(29, None), (31, "agreement_expired")])
def test_the_term_is_compared_at_the_opening(ready, days, code):
    ready.later(days=days)
    assert (refused_open(ready)[0] if code else opened(ready) and None) == code


# Authorising -------------------------------------------------------------------------------------------------------------


def test_an_authorised_start_has_the_releases_and_no_token(ready):
    sandbox = opened(ready)
    launch = authorised(ready, sandbox)
    assert launch.spec["sandbox"] == sandbox
    assert [release["dataset"] for release in launch.spec["kernel"]["releases"]] == ["flights"]
    assert launch.spec["session"]["environment"] == {"DATASANDBOX_KERNELS": "python3"}
    assert b"token" not in canonical(launch.spec)
    assert last(ready) == ("session.authorised", None)


def test_a_start_nobody_asked_for_is_refused_and_recorded(ready):
    sandbox, _ = running(ready)
    with ready.as_("researcher") as ctx:
        sandboxes.close_sandbox(ctx, sandbox)
    with ready.runner() as ctx:
        sandboxes.stopped(ctx, sandbox)
    assert authorised(ready, sandbox).code == "server_not_requested"
    assert last(ready) == ("session.refused", "server_not_requested")
    assert seen(ready, sandbox) == ("stopped", "stopped", None)


@pytest.mark.parametrize("unknown", [True, False])
def test_another_login_starts_nothing(ready, unknown):
    sandbox = opened(ready)
    assert authorised(ready, "0" * 12 if unknown else sandbox, "researcher2").code == "start_not_requested"
    assert last(ready) == ("session.refused", "start_not_requested")
    assert seen(ready, sandbox)[0] == "requested"


def test_only_the_hub_asks_for_a_start(ready):
    sandbox = opened(ready)
    with pytest.raises(Refusal, match="not_allowed"), ready.as_("administrator") as ctx:
        sandboxes.authorise(ctx, SETTINGS, login="researcher", server=sandbox)


def test_after_a_revocation_a_start_is_refused_and_the_cut_stays_wanted(ready):
    sandbox = opened(ready)
    revoke(ready)
    assert authorised(ready, sandbox).code == "agreement_not_active"
    assert seen(ready, sandbox) == ("requested", "cut", "agreement_revoked")


def test_a_revocation_during_the_start_is_not_undone_by_its_failure(ready):
    sandbox = opened(ready)
    authorised(ready, sandbox)
    revoke(ready)
    with ready.runner() as ctx:
        sandboxes.start_failed(ctx, sandbox, "start_failed")
    assert seen(ready, sandbox) == ("starting", "cut", "agreement_revoked")
    with ready.runner() as ctx:
        assert sandboxes.to_cut(ctx.db) == [(sandbox, "researcher", "agreement_revoked")]


def test_a_hold_and_a_failing_start_at_once_end_in_a_cut(ready):
    sandbox = opened(ready)
    authorised(ready, sandbox)

    def hold(ctx):
        agreements.hold(ctx, ready.agreement, ground="第十一条", reason="核实")

    def fail(ctx):
        own = Context(ctx.db, replace(ctx.actor, type="service", id="portal"), ctx.now, ctx.policy)
        sandboxes.start_failed(own, sandbox, "start_failed")

    assert both(ready, [("steward", hold), ("administrator", fail)]) == ["done", "done"]
    assert seen(ready, sandbox)[1:] == ("cut", "agreement_held")


def test_a_start_asked_for_twice_leaves_the_one_under_way(ready):
    sandbox = opened(ready)
    authorised(ready, sandbox)
    assert authorised(ready, sandbox).code == "server_not_requested"
    with ready.runner() as ctx:
        sandboxes.started(ctx, sandbox)
        assert sandboxes.live_session(ctx.db, sandbox) is not None
    assert seen(ready, sandbox)[0] == "running"


@pytest.mark.parametrize("what", ["inactive", "down"])
def test_what_policy_denies_is_refused_with_its_reason(ready, what):
    sandbox = opened(ready)
    if what == "inactive":
        with ready.database.writing() as db:
            db.scalars(select(Person).where(Person.login == "researcher")).one().active = False
        code, status = "person_inactive", 403
    else:
        ready.policy = Down()
        code, status = "policy_unavailable", 503
    refusal = authorised(ready, sandbox)
    assert (refusal.code, refusal.status) == (code, status)
    assert seen(ready, sandbox) == ("refused", "stopped", code)
    with ready.runner() as ctx:
        sandboxes.start_failed(ctx, sandbox, "start_refused")
    assert seen(ready, sandbox) == ("refused", "stopped", code)


class Down:
    """Policy that gives no answer."""

    def decide(self, _package, _facts, /):
        return Decision(allow=False, reasons=["policy_unavailable"])


def test_a_refused_sandbox_can_be_opened_again_once_its_start_has_ended(ready):
    real, sandbox = ready.policy, opened(ready)
    ready.policy = Down()
    authorised(ready, sandbox)
    ready.policy = real
    assert refused_open(ready) == ("start_pending", 409)
    with ready.database.writing() as db:
        jobs.finish(jobs.claim(db, ready.now, frozenset({"start"})), ready.now)
    assert opened(ready) == sandbox


# Leases ------------------------------------------------------------------------------------------------------------------


def test_a_lease_tells_the_guard_what_was_agreed(ready):
    sandbox, boot = running(ready)
    message = lease(ready, sandbox, boot)
    assert (message["type"], message["seconds"]) == ("lease", sandboxes.LEASE_SECONDS)
    [facts] = message["facts"]["agreements"]
    assert (facts["dataset"], facts["access"], facts["state"], [c["name"] for c in facts["columns"]]) == (
        "flights",
        "mounted",
        "ready",
        ["carrier", "delay"],
    )


def test_a_lease_never_outlasts_the_term(ready):
    ready.later(days=29, hours=23, minutes=59, seconds=50)
    sandbox, boot = running(ready)
    with ready.database.reading() as db:
        left = (db.get_one(agreements.Agreement, ready.agreement).not_after - ready.now).total_seconds()
    ready.later(seconds=left - 3)
    assert lease(ready, sandbox, boot)["seconds"] == pytest.approx(3)
    ready.later(seconds=3)
    assert lease(ready, sandbox, boot) == "agreement_expired"


@pytest.mark.parametrize("how", ["revoked", "held", "old_boot", "stopped", "unknown", "inactive"])
def test_what_ends_a_session_has_its_code(ready, how):
    sandbox, boot = running(ready)
    code = "session_ended"
    if how == "revoked":
        revoke(ready)
        code = "agreement_revoked"
    elif how == "held":
        with ready.as_("steward") as ctx:
            agreements.hold(ctx, ready.agreement, ground="第十一条", reason="核实")
        code = "agreement_held"
    elif how == "old_boot":
        boot = "another"
    elif how == "stopped":
        with ready.runner() as ctx:
            sandboxes.stopped(ctx, sandbox)
    elif how == "unknown":
        sandbox = "0" * 12
    else:
        with ready.database.writing() as db:
            db.scalars(select(Person).where(Person.login == "researcher")).one().active = False
        code = "person_inactive"
    assert lease(ready, sandbox, boot) == code


def test_renewals_are_counted_and_the_first_is_recorded(ready):
    _, boot = running(ready)
    for _ in range(3):
        with ready.runner() as ctx:
            sandboxes.note_lease(ctx, boot)
            ctx.record("test", refs={})
    with ready.database.reading() as db:
        assert db.scalars(select(Lease)).one().renewals == 3
    assert kinds(ready).count("lease.granted") == 1


# Ends --------------------------------------------------------------------------------------------------------------------


def test_a_term_that_ends_wants_a_cut(ready):
    sandbox, _ = running(ready)
    ready.later(days=29)
    with ready.runner() as ctx:
        assert sandboxes.expire(ctx) == []
    ready.later(days=2)
    with ready.runner() as ctx:
        assert sandboxes.expire(ctx) == [sandbox]
    assert seen(ready, sandbox) == ("running", "cut", "agreement_expired")
    with ready.runner() as ctx:
        assert sandboxes.expire(ctx) == []


def test_an_account_that_ends_wants_a_cut(ready):
    sandbox, _ = running(ready)
    with ready.database.writing() as db:
        db.scalars(select(Person).where(Person.login == "researcher")).one().active = False
    with ready.runner() as ctx:
        assert sandboxes.expire(ctx) == [sandbox]
    assert seen(ready, sandbox)[2] == "person_inactive"


def test_a_log_out_names_the_persons_own_live_sandboxes_and_ends_none(ready):
    sandbox, boot = running(ready)
    with ready.as_("researcher2") as ctx:
        assert sandboxes.logged_out(ctx) == []
    with ready.as_("researcher") as ctx:
        assert sandboxes.logged_out(ctx) == [sandbox]
    assert kinds(ready)[-1] == "session.logged_out"
    assert lease(ready, sandbox, boot)["type"] == "lease"


@pytest.mark.parametrize("who", ["administrator", "officer"])
def test_who_is_deactivated_is_cut_at_once_and_starts_nothing(ready, who):
    sandbox, boot = running(ready)
    with ready.as_(who) as ctx:
        assert people.deactivate(ctx, "researcher").active is False
    assert lease(ready, sandbox, boot) == "person_inactive"
    assert seen(ready, sandbox) == ("running", "cut", "person_inactive")
    assert authorised(ready, sandbox).code == "person_inactive"
    with ready.database.reading() as db:
        assert sandboxes.to_cut(db) == [(sandbox, "researcher", "person_inactive")]


def test_whose_role_ends_is_cut_at_once_and_opens_nothing(ready):
    sandbox, boot = running(ready)
    with ready.as_("administrator") as ctx:
        grant = next(g.id for g in people.grants(ctx, state="active") if g.person.login == "researcher")
        assert people.end_role(ctx, grant).state == "ended"
    assert lease(ready, sandbox, boot) == "role_missing"
    assert authorised(ready, sandbox).code == "role_missing"
    assert refused_open(ready)[0] == "role_missing"
    with pytest.raises(Refusal) as refusal, ready.as_("administrator") as ctx:
        people.end_role(ctx, grant)
    assert refusal.value.code == "state_conflict"


def test_a_cut_already_wanted_keeps_its_first_reason(ready):
    sandbox, _ = running(ready)
    with ready.runner() as ctx:
        sandboxes.want_cut(ctx, ctx.db.get_one(Sandbox, sandbox), "agreement_held")
    with ready.runner() as ctx:
        sandboxes.cut_all_of(ctx, ctx.db.get_one(Sandbox, sandbox).person_id, "person_inactive")
        ctx.record("test.nothing", refs={})
    assert seen(ready, sandbox) == ("running", "cut", "agreement_held")


def test_nobody_ends_their_own_account_or_role_and_a_researcher_nobodys(ready):
    for who, whom, code in [("officer", "officer", "own_request"), ("researcher", "researcher2", "role_missing")]:
        with pytest.raises(Refusal) as refusal, ready.as_(who) as ctx:
            people.deactivate(ctx, whom)
        assert refusal.value.code == code
    with pytest.raises(Refusal) as refusal, ready.as_("administrator") as ctx:
        people.end_role(ctx, next(g.id for g in people.grants(ctx) if g.person.login == "administrator"))
    assert refusal.value.code == "own_request"


def test_an_agreement_over_before_the_start_does_not_end_a_sandbox_that_never_had_it(ready):
    """Two agreements in a project, one of them over: a new sandbox runs on the other."""
    ready.dataset("hospitals", "health", "steward2")
    ready.later(days=20)
    second = add_agreement(ready, "hospitals", "steward2")
    ready.later(days=20)
    sandbox, boot = running(ready)
    with ready.runner() as ctx:
        assert sandboxes.expire(ctx) == []
    assert [one["id"] for one in lease(ready, sandbox, boot)["facts"]["agreements"]] == [second]
    ready.later(days=20)
    with ready.runner() as ctx:
        assert sandboxes.expire(ctx) == [sandbox]


def test_of_two_agreements_the_first_that_ends_ends_the_lease(ready):
    ready.dataset("hospitals", "health", "steward2")
    ready.later(days=20)
    add_agreement(ready, "hospitals", "steward2")
    sandbox, boot = running(ready)
    assert isinstance(lease(ready, sandbox, boot), dict)
    ready.later(days=11)
    assert lease(ready, sandbox, boot) == "agreement_expired"


def add_agreement(world, dataset, steward):
    """Another agreement in the same project, its release ready; return its id."""
    from sandbox.services import applications  # noqa: PLC0415 - only here

    items = [{"dataset": dataset, "columns": ["carrier"], "access": "mounted"}]
    with world.as_("researcher") as ctx:
        one = applications.create_draft(ctx, project=world.project_id, fields=world.fields(items=items)).id
        applications.submit(ctx, one)
    agreement = world.approve(one, steward)
    for login in (steward, "researcher"):
        with world.as_(login) as ctx:
            agreements.sign(ctx, agreement, text_digest=agreements.agreement(ctx, agreement).text_digest)
    with world.runner() as ctx:
        release = releases.of_agreement(ctx.db, agreement)[0]
        manifest = {"rows": 100, "columns": [], "files": [{"name": "data.parquet", "sha256": "b" * 64, "size": 99}]}
        releases.finish_prepare(ctx, release.id, {"ok": True, "errors": [], "result": manifest})
    return agreement


def test_a_cut_is_final(ready):
    sandbox, boot = running(ready)
    revoke(ready)
    with ready.runner() as ctx:
        sandboxes.cut_done(ctx, sandbox, {"frozen_ms": 1.5, "killed_ms": 3})
    for act in (sandboxes.started, sandboxes.stopped):
        with ready.runner() as ctx:
            act(ctx, sandbox)
    for _ in range(2):
        with ready.runner() as ctx:
            sandboxes.cut_done(ctx, sandbox, {})
            sandboxes.start_failed(ctx, sandbox, "start_failed")
    assert seen(ready, sandbox) == ("cut", "cut", "agreement_revoked")
    assert lease(ready, sandbox, boot) == "session_ended"
    assert kinds(ready).count("sandbox.cut") == 1
    with ready.database.reading() as db:
        session = db.scalars(select(SandboxSession)).one()
        assert (session.state.value, session.reason, session.ended_at is not None) == ("cut", "agreement_revoked", True)


def test_the_hub_that_says_stopped_during_a_cut_changes_nothing(ready):
    sandbox, _ = running(ready)
    revoke(ready)
    with ready.runner() as ctx:
        sandboxes.stopped(ctx, sandbox)
    assert seen(ready, sandbox) == ("running", "cut", "agreement_revoked")


def test_a_member_who_does_not_own_the_sandbox_gets_their_own(ready):
    mine = opened(ready)
    with ready.as_("researcher") as ctx:
        projects.add_member(ctx, ready.project_id, login="researcher2")
    assert opened(ready, "researcher2") != mine
    assert authorised(ready, mine, "researcher2").code == "start_not_requested"


def test_the_lease_names_no_data_that_came_into_force_after_the_start(ready):
    sandbox, boot = running(ready)
    assert [a["dataset"] for a in lease(ready, sandbox, boot)["facts"]["agreements"]] == ["flights"]
    with ready.runner() as ctx:
        ctx.db.get_one(agreements.Agreement, ready.agreement).active_at = ready.now + timedelta(seconds=1)
        ctx.record("agreement.activated", refs={})
    assert lease(ready, sandbox, boot)["facts"]["agreements"] == []
