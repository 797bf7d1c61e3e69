"""The display budget: windows that slide, belong to person and project, and give nothing twice; on both databases, with the real policy."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from test_at_once import both
from test_sandboxes import lease, policy, ready, revoke, running
from world import Decision

from sandbox.domain.clock import stamp
from sandbox.domain.errors import Refusal
from sandbox.services import display, extensions, sandboxes
from sandbox.services.context import Context
from sandbox.store import jobs
from sandbox.store.tables import DisplayBucket, DisplayRequest, Outbox, Sandbox

__all__ = ["policy", "ready"]
pytestmark = pytest.mark.opa
MIB = 1 << 20
MORE = {"cell_bytes": 512 * 1024, "hour_bytes": 10 * MIB, "day_bytes": 40 * MIB}


def asked(world, session, reserve=0, give_back=0, request=None):
    sandbox, boot = session
    with world.database.reading() as db:
        allowed = display.session_limits(Context(db, None, world.now, world.policy), sandbox_id=sandbox, boot=boot)
    with world.runner() as ctx:
        return display.reserve(ctx, sandbox_id=sandbox, boot=boot, reserve=reserve, give_back=give_back, allowed=allowed, request=request)


def started(world):
    """A session; the start's job is done, as the runner would have it."""
    session = running(world)
    with world.runner() as ctx:
        jobs.finish(jobs.claim(ctx.db, ctx.now, frozenset({"start"})), ctx.now)
    return session


def refusal_of(act):
    with pytest.raises(Refusal) as refusal:
        act()
    return refusal.value.code, refusal.value.status


def test_the_hour_slides_and_the_day_bounds_the_hours(ready):
    session = running(ready)
    first = asked(ready, session, 6 * MIB)
    assert first == {
        "granted": 5 * MIB, "cell_bytes": 262144, "hour_bytes": 5 * MIB, "day_bytes": 20 * MIB, "hour_left": 0, "day_left": 15 * MIB, "extension_until": None,
    }  # fmt: skip
    ready.later(minutes=59)
    assert asked(ready, session, 1)["granted"] == 0
    ready.later(minutes=2)
    assert asked(ready, session, 5 * MIB)["granted"] == 5 * MIB
    for _ in range(2):
        ready.later(minutes=61)
        assert asked(ready, session, 5 * MIB)["granted"] == 5 * MIB
    ready.later(minutes=61)
    assert asked(ready, session, 1) | {"hour_left": 0} == first | {"granted": 0, "hour_left": 0, "day_left": 0}
    ready.later(hours=21)
    assert asked(ready, session, MIB)["granted"] == MIB
    with ready.database.reading() as db:
        assert db.scalar(select(func.min(DisplayBucket.minute))) >= int((ready.now - timedelta(hours=24)).timestamp()) // 60, (
            "old ones are removed"
        )


def test_what_is_given_back_can_be_used_again_but_no_more_than_was_granted(ready):
    session = running(ready)
    asked(ready, session, 4 * MIB)
    ready.later(seconds=70)
    assert asked(ready, session, MIB)["granted"] == MIB
    assert asked(ready, session, 0, 2 * MIB)["hour_left"] == 2 * MIB, "from the newest minute first, then the one before"
    assert asked(ready, session, 0, 100 * MIB) | {} == asked(ready, session, 0)
    assert asked(ready, session, 9 * MIB)["granted"] == 5 * MIB


def test_a_repeated_request_is_answered_again_and_counted_once(ready):
    session = running(ready)
    first = asked(ready, session, MIB, request="r1")
    assert asked(ready, session, MIB, request="r1") == first
    assert asked(ready, session, 0, MIB, request="r2") == asked(ready, session, 0, MIB, request="r2")
    asked(ready, session, MIB, request="r3")
    assert asked(ready, session, 0)["hour_left"] == 4 * MIB


def test_a_restart_or_a_new_sandbox_gives_nothing_new(ready):
    sandbox, boot = started(ready)
    asked(ready, (sandbox, boot), 5 * MIB)
    with ready.runner() as ctx:
        sandboxes.stopped(ctx, sandbox)
    assert refusal_of(lambda: asked(ready, (sandbox, boot), 1)) == ("session_ended", 409)
    ready.later(minutes=1)
    again = started(ready)
    assert again[0] == sandbox
    assert asked(ready, again, 1)["granted"] == 0
    assert asked(ready, again, 0, 5 * MIB)["hour_left"] == 0, "a session gives back nothing of another's"
    with ready.runner() as ctx:
        sandboxes.want_cut(ctx, ctx.db.get_one(Sandbox, sandbox), "agreement_held")
    assert refusal_of(lambda: asked(ready, again, 1)) == ("agreement_held", 409)
    with ready.runner() as ctx:
        sandboxes.cut_done(ctx, sandbox, {})
    other = started(ready)
    assert other[0] != sandbox
    assert asked(ready, other, 1)["granted"] == 0


def test_the_lease_tells_the_budget_and_nothing_is_left_while_policy_is_away(ready):
    session = running(ready)
    asked(ready, session, MIB)
    known = lease(ready, *session)["facts"]["display"]
    assert known == {
        "cell_bytes": 262144,
        "hour_bytes": 5 * MIB,
        "day_bytes": 20 * MIB,
        "hour_left": 4 * MIB,
        "day_left": 19 * MIB,
        "extension_until": None,
    }

    class Down:
        def decide(self, package, facts, /):
            return Decision(allow=False, reasons=["policy_unavailable"])

    ready.policy = Down()
    assert set(lease(ready, *session)["facts"]["display"].values()) == {0, None}
    assert refusal_of(lambda: asked(ready, session, 1)) == ("policy_unavailable", 503)


def test_two_requests_at_once_share_one_budget(ready):
    session = running(ready)
    with ready.database.reading() as db:
        allowed = display.session_limits(Context(db, None, ready.now, ready.policy), sandbox_id=session[0], boot=session[1])
    granted, together = [], threading.Barrier(4, timeout=20)

    def run():
        together.wait()
        with ready.runner() as ctx:
            answer = display.reserve(ctx, sandbox_id=session[0], boot=session[1], reserve=3 * MIB, give_back=0, allowed=allowed)
        granted.append(answer["granted"])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(granted) == [0, 0, 2 * MIB, 3 * MIB]


# More of it --------------------------------------------------------------------------------------------------------------


def wanted(world, **changed):
    given = {"figures": MORE, "until": world.now + timedelta(days=7), "reason": "大图"} | changed
    with world.as_("researcher") as ctx:
        return extensions.ask(ctx, world.project_id, **given).id


def decided(world, request, who="steward", answer="approve", **more):
    with world.as_(who) as ctx:
        extensions.decide(ctx, request, answer=answer, reason="合理", **more)
        return extensions.request(ctx, request).state.value


def test_an_approved_request_raises_the_limits_until_its_time_and_is_on_record(ready):
    session = running(ready)
    request = wanted(ready)
    assert asked(ready, session, 0)["hour_bytes"] == 5 * MIB, "asking gives nothing"
    until = ready.now + timedelta(days=3)
    smaller = {"day_bytes": 30 * MIB, "hour_bytes": 900 * MIB}
    assert decided(ready, request, figures=smaller, until=until) == "approved"
    answer = asked(ready, session, 30 * MIB)
    assert (answer["granted"], answer["day_bytes"], answer["extension_until"]) == (10 * MIB, 30 * MIB, stamp(until)), (
        "never more than asked"
    )
    with ready.database.reading() as db:
        row = db.scalars(select(Outbox).where(Outbox.kind == "display.decided")).one()
        assert (row.data["answer"], row.data["day_bytes"], row.data["until"]) == ("approve", 30 * MIB, stamp(until))
    ready.later(days=3)
    answer = asked(ready, session, 30 * MIB)
    assert (answer["granted"], answer["extension_until"]) == (5 * MIB, None)


def test_a_request_beyond_the_ceiling_gets_the_ceiling(ready):
    session = running(ready)
    decided(ready, wanted(ready, figures=dict.fromkeys(MORE, 1 << 30)))
    answer = asked(ready, session, 1 << 30)
    assert (answer["granted"], answer["cell_bytes"], answer["day_bytes"]) == (20 * MIB, MIB, 80 * MIB)


@pytest.mark.parametrize("who", ["steward", "administrator", "officer"])
def test_a_revoked_one_ends_at_once(ready, who):
    session = running(ready)
    request = wanted(ready)
    decided(ready, request)
    asked(ready, session, 8 * MIB)
    with ready.as_(who) as ctx:
        extensions.revoke(ctx, request, reason="不再需要")
    answer = asked(ready, session, MIB)
    assert (answer["granted"], answer["hour_left"], answer["hour_bytes"]) == (0, 0, 5 * MIB)
    assert refusal_of(lambda: decided(ready, request)) in {("already_decided", 409), ("state_conflict", 409)}


def test_who_may_decide_and_who_may_see(ready):
    request = wanted(ready)
    for who, code in [
        ("researcher", "own_project"),
        ("administrator", "role_missing"),
        ("steward2", "not_visible"),
        ("researcher2", "not_visible"),
    ]:
        assert refusal_of(lambda who=who: decided(ready, request, who))[0] == code
    for who, seen in [("researcher", 1), ("steward", 1), ("auditor", 1), ("steward2", 0), ("researcher2", 0)]:
        with ready.as_(who) as ctx:
            assert len(extensions.requests(ctx)) == seen
            assert len(extensions.requests(ctx, inbox=True)) == (who == "steward")


def test_one_waits_at_a_time_and_can_be_withdrawn(ready):
    request = wanted(ready)
    assert refusal_of(lambda: wanted(ready)) == ("display_pending", 409)
    with ready.as_("researcher") as ctx:
        assert extensions.withdraw(ctx, request).state == "withdrawn"
    assert refusal_of(lambda: decided(ready, request)) == ("state_conflict", 409)
    wanted(ready)


def test_bad_figures_and_times_name_their_field(ready):
    for changed, code in [
        ({"figures": MORE | {"day_bytes": -1}}, "number_out_of_range"),
        ({"figures": {}}, "field_required"),
        ({"until": ready.now}, "time_not_ahead"),
        ({"until": None}, "field_required"),
        ({"reason": " "}, "field_required"),
    ]:
        assert refusal_of(lambda changed=changed: wanted(ready, **changed))[0] == code
    with ready.as_("researcher2") as ctx, pytest.raises(Refusal) as refusal:
        extensions.ask(ctx, ready.project_id, figures=MORE, until=ready.now + timedelta(days=1), reason="x")
    assert refusal.value.code == "not_visible"
    revoke(ready)
    assert refusal_of(lambda: wanted(ready)) == ("no_agreement", 409)


def test_a_body_whose_data_came_later_has_agreed_to_nothing(ready):
    session = running(ready)
    decided(ready, wanted(ready))
    assert asked(ready, session, 0)["hour_bytes"] == 10 * MIB
    with ready.runner() as ctx:
        one = ctx.db.scalars(select(DisplayRequest)).one()
        one.bodies = ["health"]
        ctx.record("display.asked", refs={}, data={})
    assert asked(ready, session, 0)["hour_bytes"] == 5 * MIB


def test_every_body_decides_and_the_smallest_holds(ready):
    request = wanted(ready)
    with ready.runner() as ctx:  # as if an agreement of the other body had been in force when it was asked
        ctx.db.get_one(DisplayRequest, request).bodies = ["air", "health"]
        ctx.record("display.asked", refs={}, data={})
    assert decided(ready, request) == "requested"
    assert decided(ready, request, "steward2", figures={"hour_bytes": 6 * MIB}, until=ready.now + timedelta(days=1)) == "approved"
    with ready.as_("auditor") as ctx:
        given = extensions.granted(extensions.request(ctx, request))
    assert given == MORE | {"hour_bytes": 6 * MIB, "until": stamp(ready.now + timedelta(days=1))}


def test_of_two_decisions_at_once_one_counts(ready):
    request = wanted(ready)

    def approve(ctx):
        extensions.decide(ctx, request, answer="approve", reason="好")

    def reject(ctx):
        extensions.decide(ctx, request, answer="reject", reason="不")

    outcomes = both(ready, [("steward", approve), ("steward", reject)])
    assert outcomes in (["already_decided", "done"], ["done", "state_conflict"])
