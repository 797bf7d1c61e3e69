"""What two requests at once must not both do is refused by the database itself, whatever the services say."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError, StatementError

from sandbox.domain.ids import new_id
from sandbox.store import tables as t

NOW = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)


def row(db, table, **values):
    values = {"id": new_id(), "created": NOW, **values}
    db.execute(insert(table).values(**values))
    return values["id"]


@pytest.fixture
def things(database):
    """One of each, in the state of an offered agreement."""
    with database.writing() as db:
        party = row(db, t.Party, kind="natural", name="甲")
        people = [
            row(db, t.Person, login=f"p{n}", name="甲", email="a@b", lang="en", active=True, password_hash="", party_id=party)
            for n in range(3)
        ]
        body = row(db, t.Body, code="air", kind="government", name_zh="局", name_en="b", party_id=party)
        project = row(db, t.Project, title="t", purpose="p", state="active", author_id=people[0], party_id=party)
        words = {"purpose": "", "scenario": "", "security_measures": "", "wanted": [], "profile": "x"}
        application = row(db, t.Application, project_id=project, author_id=people[0], state="submitted", round=1, **words)
        terms = {"application_id": application, "project_id": project, "body_id": body, "party_id": party, "profile": "x"}
        agreement = row(db, t.Agreement, state="offered", epoch=1, template="t", period_days=1, text="", text_digest="d" * 64, **terms)
    return {"people": people, "body": body, "project": project, "application": application, "agreement": agreement, "terms": terms}


def sandbox(db, things, **changed):
    values = {"state": "running", "desired": "running", "generation": 0, "changed": NOW, "executions": 0, **changed}
    return row(db, t.Sandbox, project_id=things["project"], person_id=things["people"][0], **values)


def session(db, sandbox_id, **changed):
    return row(db, t.SandboxSession, **{"sandbox_id": sandbox_id, "boot": new_id(), "state": "starting", "epoch": 1, **changed})


def assessment(db, things, decision, number):
    given = {"ticks": [], "reason": "", "assessor_id": things["people"][1]}
    return row(db, t.Assessment, application_id=things["application"], body_id=things["body"], round=number, decision=decision, **given)


def signature(db, things, side, person):
    return row(db, t.Signature, agreement_id=things["agreement"], side=side, person_id=things["people"][person], text_digest="d" * 64)


def grant(db, things, **changed):
    return row(db, t.RoleGrant, **{"person_id": things["people"][0], "role": "researcher", "state": "active", **changed})


TWICE = {
    "two signatures of one side": lambda db, x: [signature(db, x, "owner", 0), signature(db, x, "owner", 1)],
    "one person signs both sides": lambda db, x: [signature(db, x, "owner", 0), signature(db, x, "user", 0)],
    "two final decisions of a body": lambda db, x: [assessment(db, x, "approve", 1), assessment(db, x, "reject", 2)],
    "two decisions in a round": lambda db, x: [assessment(db, x, "changes", 1), assessment(db, x, "approve", 1)],
    "two live sandboxes": lambda db, x: [sandbox(db, x), sandbox(db, x, state="stopped")],
    "two live sessions": lambda db, x: [session(db, one := sandbox(db, x)), session(db, one)],
    "two open applications": lambda db, x: row(
        db,
        t.Application,
        project_id=x["project"],
        author_id=x["people"][0],
        state="draft",
        round=0,
        purpose="",
        scenario="",
        security_measures="",
        wanted=[],
        profile="x",
    ),
    "a role held twice": lambda db, x: [grant(db, x), grant(db, x, state="requested")],
    "a role confirmed by who asked": lambda db, x: grant(db, x, requested_by=x["people"][1], confirmed_by=x["people"][1]),
    "a role confirmed by who gets it": lambda db, x: grant(db, x, requested_by=x["people"][1], confirmed_by=x["people"][0]),
    "an active agreement without end": lambda db, x: db.execute(t.Agreement.__table__.update().values(state="active")),
    "an epoch below one": lambda db, x: db.execute(t.Agreement.__table__.update().values(epoch=0)),
    "a thing that does not exist": lambda db, x: sandbox(db, {**x, "project": "nothing"}),
    "deleting what is referred to": lambda db, x: db.execute(t.Project.__table__.delete()),
}


@pytest.mark.parametrize("what", TWICE)
def test_the_database_refuses(database, things, what):
    with pytest.raises(IntegrityError) as refused, database.writing() as db:
        TWICE[what](db, things)
    assert "not null" not in str(refused.value.orig).lower().replace("-", " "), "the row itself was not whole"


def test_history_is_kept_beside_the_live_one(database, things):
    with database.writing() as db:
        old = sandbox(db, things, state="cut", desired="cut")
        new = sandbox(db, things)
        session(db, new, ended_at=NOW + timedelta(seconds=1))
        session(db, new)
        assessment(db, things, "changes", 1)
        assessment(db, things, "approve", 2)
        grant(db, things, state="ended")
        grant(db, things)
        assert old != new


def test_a_state_outside_the_domain_is_not_stored(database, things):
    with pytest.raises(StatementError), database.writing() as db:
        sandbox(db, things, state="levitating")
