"""Two requests at once: one wins, the other is told why."""

import threading

import pytest
from sqlalchemy import func, select

from sandbox.domain.errors import Refusal
from sandbox.services import accounts, agreements, applications
from sandbox.store.tables import Agreement, LoginCounter, Release


def both(world, acts):
    """Run two acts in threads that start together; return what each came to."""
    outcomes, together = [], threading.Barrier(2, timeout=20)

    def run(who, act):
        together.wait()
        try:
            with world.as_(who) as ctx:
                act(ctx)
            outcomes.append("done")
        except Refusal as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=run, args=pair) for pair in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return sorted(outcomes)


def test_one_of_two_decisions_counts(world):
    world.dataset()
    one = world.submitted()
    with world.as_("steward") as ctx:
        ticks = world.ticks(ctx, one)

    def approve(ctx):
        applications.assess(ctx, one, decision="approve", ticks=ticks)

    assert both(world, [("steward", approve)] * 2) == ["already_decided", "done"]
    with world.database.reading() as db:
        assert db.scalar(select(func.count()).select_from(Agreement)) == 1


def test_both_sides_signing_at_once_make_one_active_agreement(world):
    world.dataset()
    one = world.approve(world.submitted())
    with world.as_("researcher") as ctx:
        digest = agreements.agreement(ctx, one).text_digest

    def sign(ctx):
        agreements.sign(ctx, one, text_digest=digest)

    assert both(world, [("steward", sign), ("researcher", sign)]) == ["done", "done"]
    with world.database.reading() as db:
        assert db.get_one(Agreement, one).state == "active"
        assert db.scalar(select(func.count()).select_from(Release)) == 1


@pytest.mark.parametrize("known", [True, False])
def test_failures_at_once_are_all_counted(world, known):
    together = threading.Barrier(3, timeout=20)

    def fail():
        together.wait()
        with world.database.writing() as db:
            login = "researcher" if known else "nobody"
            accounts.authenticate(db, world.now, login=login, password="wrong password", otp=None, address="198.51.100.7", demo=True)

    threads = [threading.Thread(target=fail) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    with world.database.reading() as db:
        counted = sorted(row.failures for row in db.scalars(select(LoginCounter)))
        assert counted == ([0, 3, 3] if known else [3, 3, 3]), "the account, the account from this place, names nobody has"
