"""A small world to act in: people, a policy written in Python after `policies/sandbox/portal`, one transaction an act."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from sandbox.domain.actor import service
from sandbox.services import accounts, agreements, applications, catalogue, people, projects, releases
from sandbox.services.context import Context
from sandbox.store import Database, open_engine
from sandbox.store.tables import Agreement, DisplayBucket, Job, LoginCounter, Outbox, UsedCode

PASSWORD = "correct horse battery"
ANYONE, BODY, MEMBER, AUTHOR = "anyone", "steward", "member", "author"
NEEDS = {
    "body:create": {"administrator"},
    "person:create": {"administrator"},
    "person:deactivate": {"administrator", "officer"},
    "person:read": {"administrator", "officer", "auditor"},
    "role:request": {"administrator"},
    "role:end": {"administrator"},
    "role:confirm": {"officer"},
    "dataset:read": {ANYONE},
    "dataset:register": {BODY},
    "dataset:import": {BODY},
    "dataset:classify": {BODY},
    "dataset:publish": {BODY},
    "project:create": {"researcher"},
    "project:read": {MEMBER},
    "project:add_member": {AUTHOR},
    "application:write": {MEMBER},
    "application:submit": {MEMBER},
    "application:read": {MEMBER, BODY, "auditor"},
    "application:assess": {BODY},
    "agreement:read": {MEMBER, BODY, "auditor", "administrator", "officer"},
    "agreement:sign owner": {BODY},
    "agreement:sign user": {AUTHOR},
    "agreement:revoke": {BODY, "administrator", "officer"},
    "agreement:hold": {BODY, "administrator", "officer"},
    "hold:lift": {BODY, "administrator", "officer"},
}


@dataclass
class Decision:
    """A decision of the fake."""

    allow: bool
    reasons: list[str]
    obligations: dict[str, Any] = field(default_factory=dict)
    decision_id: str | None = "decision"
    revision: str | None = "test"


class FakePolicy:
    """The portal's policy in short; `down` makes it give no answer."""

    def __init__(self) -> None:
        self.down = False
        self.asked: list[dict[str, Any]] = []

    def decide(self, package: str, facts: Any, /) -> Decision:
        assert package == "sandbox.portal"
        self.asked.append(dict(facts))
        if self.down:
            return Decision(allow=False, reasons=["policy_unavailable"])
        person, thing = facts["person"], facts["resource"]
        act = f"{facts['act']} {thing.get('side')}" if facts["act"] == "agreement:sign" else facts["act"]
        is_ = {ANYONE} | {r["role"] for r in person["roles"]} - {"steward"}
        is_ |= {BODY} if {"role": "steward", "body": thing.get("body"), "body_kind": "government"} in person["roles"] else set()
        is_ |= {MEMBER} if person["login"] in thing.get("members", []) else set()
        is_ |= {AUTHOR} if person["login"] == thing.get("author") else set()
        own = act in {"application:assess", "role:confirm", "role:end", "person:deactivate"} and person["login"] in {
            thing.get("author"),
            thing.get("subject"),
        }
        if not person["active"] or own:
            return Decision(allow=False, reasons=["own_request" if own else "person_inactive"])
        return Decision(allow=True, reasons=[]) if is_ & NEEDS[act] else Decision(allow=False, reasons=["role_missing"])


class World:
    """People and what they do; `as_(login)` is one request's transaction."""

    def __init__(self, database: Database, policy: Any = None) -> None:
        self.database = database
        self.now = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
        self.policy = policy or FakePolicy()

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    @contextmanager
    def as_(self, login: str) -> Iterator[Context]:
        """Act as a person in one transaction that must leave a record of what it changed."""
        with self.database.writing() as db, recorded(db):
            person = accounts.by_login(db, login)
            assert person is not None
            yield Context(db, accounts.actor_of(person), self.now, self.policy)

    @contextmanager
    def runner(self) -> Iterator[Context]:
        with self.database.writing() as db, recorded(db):
            yield Context(db, service("portal"), self.now, self.policy)

    def people(self) -> None:
        """Two bodies and everyone the flow needs."""
        with self.database.writing() as db:
            founders = [("administrator", "administrator"), ("officer", "officer")]
            people.bootstrap(
                db, self.now, [people.Founder(login, f"甲{login}", f"{login}@example.org", PASSWORD, role) for login, role in founders]
            )
        with self.as_("administrator") as ctx:
            for code in ("air", "health"):
                people.create_body(ctx, code=code, name_zh=f"{code}局", name_en=f"Bureau of {code}", kind="government")
            for login, role, body in [
                ("steward", "steward", "air"),
                ("steward2", "steward", "health"),
                ("researcher", "researcher", None),
                ("researcher2", "researcher", None),
                ("auditor", "auditor", None),
            ]:
                people.create_person(ctx, login=login, name=f"乙{login}", email=f"{login}@example.org", password=PASSWORD)
                people.request_role(ctx, login=login, role=role, body=body)
        with self.as_("officer") as ctx:
            for grant in people.grants(ctx, state="requested"):
                people.confirm_role(ctx, grant.id)

    def dataset(self, name: str = "flights", body: str = "air", steward: str = "steward") -> None:
        """A published dataset with one column of each class but non_open, and one non_open."""
        classes = {"carrier": "open", "delay": "conditional", "age": "personal", "zper": "identifier", "secret": "non_open"}
        with self.as_(steward) as ctx:
            catalogue.register_dataset(
                ctx,
                name=name,
                body=body,
                title_zh=f"{name} 数据",
                title_en=name,
                description="",
                source="a public file",
                licence="CC0-1.0",
                conditions={
                    "access_modes": ["mounted", "queried"],
                    "min_cell": 10,
                    "documents": ["安全方案"],
                    "requirements": ["仅限研究"],
                },
            )
            version = catalogue.start_version(ctx, name, upload_path="uploads/abc", file_name="data.csv").id
        columns = [{"name": c, "type": "int64", "title": "", "nulls": 0, "distinct": 3, "proposed_class": k} for c, k in classes.items()]
        with self.runner() as ctx:
            profile = {"rows": 100, "sha256": "a" * 64, "size": 1234, "columns": columns}
            catalogue.finish_import(ctx, version, {"ok": True, "errors": [], "result": profile})
        with self.as_(steward) as ctx:
            decided = [{"name": c, "class": k, "person_key": c == "zper"} for c, k in classes.items()]
            catalogue.set_columns(ctx, name, 1, decided)
            catalogue.publish(ctx, name, 1)

    def project(self, login: str = "researcher") -> str:
        with self.as_(login) as ctx:
            return projects.create_project(ctx, title="延误研究", purpose="研究").id

    def fields(self, **changed: Any) -> dict[str, Any]:
        items = [{"dataset": "flights", "columns": ["carrier", "delay"], "access": "mounted"}]
        return {
            "purpose": "研究延误",
            "scenario": "论文",
            "security_measures": "只在沙箱内",
            "period_days": 30,
            "items": items,
            **changed,
        }

    def submitted(self, **changed: Any) -> str:
        """A submitted application of `researcher`."""
        project = self.project()
        with self.as_("researcher") as ctx:
            one = applications.create_draft(ctx, project=project, fields=self.fields(**changed))
            return applications.submit(ctx, one.id).id

    def approve(self, application: str, steward: str = "steward") -> str:
        """Approve; return the agreement's id."""
        with self.as_(steward) as ctx:
            applications.assess(ctx, application, decision="approve", ticks=self.ticks(ctx, application))
            return ctx.db.scalars(select(Agreement.id).order_by(Agreement.created.desc(), Agreement.id)).first() or ""

    @staticmethod
    def ticks(ctx: Context, application: str) -> list[dict[str, Any]]:
        items = applications.application(ctx, application).items
        own = {grant.body for grant in ctx.actor.roles}
        return [{"condition": c.id, "ok": True, "evidence": "见附件"} for i in items if i.body.code in own for c in i.dataset.conditions]

    def active(self) -> str:
        """An active agreement on `flights`, its release not yet prepared."""
        one = self.approve(self.submitted())
        for login in ("steward", "researcher"):
            with self.as_(login) as ctx:
                agreements.sign(ctx, one, text_digest=agreements.agreement(ctx, one).text_digest)
        return one

    def prepared(self) -> str:
        """An active agreement whose release is ready."""
        one = self.active()
        with self.runner() as ctx:
            release = releases.of_agreement(ctx.db, one)[0]
            manifest = {"rows": 100, "columns": [], "files": [{"name": "data.parquet", "sha256": "b" * 64, "size": 99}]}
            releases.finish_prepare(ctx, release.id, {"ok": True, "errors": [], "result": manifest})
        return one


# What may change without a record: what leaves after the commit, and counters whose event is recorded elsewhere.
UNRECORDED = (Outbox, Job, LoginCounter, UsedCode, DisplayBucket)


@contextmanager
def recorded(db: Session) -> Iterator[None]:
    """Fail if the block changed any other table and added no record in the same transaction."""
    changed: list[str] = []
    before = db.scalar(select(func.count()).select_from(Outbox))

    def note(session: Session, _context: Any, _instances: Any = None) -> None:
        rows = [*session.new, *(row for row in session.dirty if session.is_modified(row)), *session.deleted]
        changed.extend(type(row).__name__ for row in rows if not isinstance(row, UNRECORDED))

    event.listen(db, "before_flush", note)
    yield
    db.flush()
    event.remove(db, "before_flush", note)
    after = db.scalar(select(func.count()).select_from(Outbox))
    assert not changed or after > before, f"{changed} changed without a record"


CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(scope="session")
def worlds(servers: Any) -> dict[str, str]:
    """A database with the world's people, of each kind; made once, copied for each test."""

    class Worlds(dict[str, str]):
        def __missing__(self, kind: str) -> str:
            self[kind] = servers[kind].fresh()
            engine = open_engine(self[kind])
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(people, "HASHER", CHEAP)
                World(Database(engine)).people()
            engine.dispose()
            return self[kind]

    return Worlds()


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, servers: Any, worlds: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world with its people; hashing is made cheap here, what it costs is the library's own matter."""
    monkeypatch.setattr(accounts, "HASHER", CHEAP)
    monkeypatch.setattr(people, "HASHER", CHEAP)
    engine = open_engine(servers[request.param].fresh(worlds[request.param]))
    yield World(Database(engine))
    engine.dispose()
