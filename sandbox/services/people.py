"""Bodies, persons and their roles (A3, A5). A role is asked for by one person and confirmed by another, the security officer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyotp
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sandbox.domain import fields
from sandbox.domain.actor import service
from sandbox.domain.errors import Refusal
from sandbox.domain.permissions import Permission
from sandbox.domain.roles import check_body, check_together
from sandbox.domain.states import GRANT_STEPS, BodyKind, GrantState, PartyKind, Role, step
from sandbox.services import sandboxes
from sandbox.services.accounts import HASHER, by_login
from sandbox.services.context import Context, not_visible
from sandbox.store import outbox
from sandbox.store.db import unique_or
from sandbox.store.tables import Body, Party, Person, RoleGrant


@dataclass(frozen=True)
class Founder:
    """A person to begin with."""

    login: str
    name: str
    email: str
    password: str
    role: str
    lang: str = "zh-CN"


def bodies(ctx: Context) -> Sequence[Body]:
    """Return all bodies by code; who opens data is public (A5)."""
    return ctx.db.scalars(select(Body).order_by(Body.code)).all()


def create_body(ctx: Context, *, code: str, name_zh: str, name_en: str, kind: str) -> Body:
    """Register an owner body or the authority; `body_code_taken` (409) when there is one of that code."""
    ctx.require(Permission.BODY_CREATE)
    code = fields.matching(code, "code", fields.CODE)
    name_zh = fields.required(name_zh, "name_zh", longest=200)
    body = Body(
        created=ctx.now,
        code=code,
        name_zh=name_zh,
        name_en=fields.required(name_en, "name_en", longest=200),
        kind=fields.one_of(kind, "kind", BodyKind),
        party_id=_party(ctx.db, ctx.now, PartyKind.ORGANISATION, name_zh).id,
    )
    with unique_or(ctx.db, "body_code_taken", field="code", body=code):
        ctx.db.add(body)
    ctx.record(
        "body.created", refs={"body": body.code}, data={"kind": body.kind.value}, texts={"name_zh": name_zh, "name_en": body.name_en}
    )
    return body


def persons(ctx: Context) -> Sequence[Person]:
    """Return all persons by login."""
    ctx.require(Permission.PERSON_READ)
    return ctx.db.scalars(select(Person).order_by(Person.login)).all()


def create_person(ctx: Context, *, login: str, name: str, email: str, password: str, lang: str = "zh-CN") -> Person:
    """Make an account, without any role; `login_taken` (409), `login_reserved`, `password_weak`."""
    ctx.require(Permission.PERSON_CREATE)
    person = _person(ctx.db, ctx.now, login=login, name=name, email=email, password=password, lang=lang)
    ctx.record("person.created", refs={"person": person.id}, data={"login": person.login})
    return person


def request_role(ctx: Context, *, login: str, role: str, body: str | None = None) -> RoleGrant:
    """Ask for a role for a person; it counts once the officer has confirmed it. `person_unknown`, `body_unknown`, `role_held`."""
    ctx.require(Permission.ROLE_REQUEST, subject=login)
    person = by_login(ctx.db, login)
    if person is None:
        raise Refusal("person_unknown", field="login", login=login)
    kind = fields.one_of(role, "role", Role)
    check_body(kind, body)
    check_together((grant.role for grant in person.grants if grant.state is not GrantState.ENDED), kind)
    grant = RoleGrant(
        created=ctx.now,
        person=person,
        role=kind,
        body=find_body(ctx.db, body) if body else None,
        state=GrantState.REQUESTED,
        requested_by=ctx.actor.id,
    )
    with unique_or(ctx.db, "role_held", field="role", login=login, role=kind.value):
        ctx.db.add(grant)
    ctx.record("role.requested", refs={"person": person.id, "body": body}, data={"grant": grant.id, "role": kind.value, "login": login})
    return grant


def grants(ctx: Context, *, state: str | None = None) -> Sequence[RoleGrant]:
    """Return role grants, newest first; of one state if asked."""
    ctx.require(Permission.PERSON_READ)
    query = select(RoleGrant).order_by(RoleGrant.created.desc(), RoleGrant.id)
    if state:
        query = query.where(RoleGrant.state == fields.one_of(state, "state", GrantState))
    return ctx.db.scalars(query).all()


def confirm_role(ctx: Context, grant_id: str) -> RoleGrant:
    """Confirm a role as security officer; nobody confirms what they asked for or what is their own. `state_conflict` (409)."""
    grant = ctx.db.get(RoleGrant, grant_id, with_for_update=True)
    if grant is None or not ctx.may(Permission.PERSON_READ):
        raise not_visible("role")
    asker = ctx.db.get(Person, grant.requested_by) if grant.requested_by else None
    ctx.require(Permission.ROLE_CONFIRM, author=asker.login if asker else "", subject=grant.person.login)
    check_together((other.role for other in grant.person.grants if other.state is GrantState.ACTIVE), grant.role)
    grant.state = step(GRANT_STEPS, grant.state, GrantState.ACTIVE)
    grant.confirmed_by, grant.confirmed_at = ctx.actor.id, ctx.now
    ctx.record(
        "role.confirmed",
        refs={"person": grant.person_id, "body": grant.body.code if grant.body else None},
        data={"grant": grant.id, "role": grant.role.value, "login": grant.person.login},
    )
    return grant


def end_role(ctx: Context, grant_id: str) -> RoleGrant:
    """End a role, or withdraw what was asked for: at once and by one person, since it only takes away. `state_conflict` (409).

    Who is no researcher any more loses their live sandboxes.
    """
    grant = ctx.db.get(RoleGrant, grant_id, with_for_update=True)
    if grant is None or not ctx.may(Permission.PERSON_READ):
        raise not_visible("role")
    ctx.require(Permission.ROLE_END, subject=grant.person.login)
    grant.state = step(GRANT_STEPS, grant.state, GrantState.ENDED)
    grant.ended_at = ctx.now
    ctx.record(
        "role.ended",
        refs={"person": grant.person_id, "body": grant.body.code if grant.body else None},
        data={"grant": grant.id, "role": grant.role.value, "login": grant.person.login},
    )
    if grant.role is Role.RESEARCHER:
        sandboxes.cut_all_of(ctx, grant.person_id, "role_missing")
    return grant


def deactivate(ctx: Context, login: str) -> Person:
    """End an account at once (never one's own): sessions, pages and sandboxes refuse from the commit on. `person_unknown`."""
    ctx.require(Permission.PERSON_DEACTIVATE, subject=login)
    person = by_login(ctx.db, login)
    if person is None:
        raise Refusal("person_unknown", field="login", login=login)
    person.active = False
    ctx.record("person.deactivated", refs={"person": person.id}, data={"login": login})
    sandboxes.cut_all_of(ctx, person.id, "person_inactive")
    return person


def bootstrap(db: Session, now: datetime, people: Sequence[Founder]) -> list[Person]:
    """Make the first people of an empty deployment, each with a platform role that nobody could confirm yet; recorded as such.

    `already_set_up` (409) as soon as anyone exists: every later role takes two people.
    """
    if db.scalar(select(func.count()).select_from(Person)):
        raise Refusal("already_set_up", status=409)
    made = []
    for one in people:
        role = fields.one_of(one.role, "role", Role)
        check_body(role, None)
        person = _person(db, now, login=one.login, name=one.name, email=one.email, password=one.password, lang=one.lang)
        db.add(RoleGrant(created=now, person=person, role=role, state=GrantState.ACTIVE, confirmed_at=now))
        data = {"login": person.login, "role": role.value}
        outbox.record(db, "person.founded", now=now, actor=service("portal").record(), refs={"person": person.id}, data=data)
        made.append(person)
    return made


def find_body(db: Session, code: str) -> Body:
    """Return a body by code; Refusal `body_unknown`."""
    body = db.scalars(select(Body).where(Body.code == code)).one_or_none()
    if body is None:
        raise Refusal("body_unknown", field="body", body=code)
    return body


def _person(db: Session, now: datetime, *, login: str, name: str, email: str, password: str, lang: str) -> Person:
    login, name = fields.login(login), fields.required(name, "name", longest=100)
    email = fields.matching(email, "email", fields.EMAIL)
    # Checked before the slow hash; the constraint has the last word.
    if db.scalar(select(Person.id).where(Person.login == login)):
        raise Refusal("login_taken", field="login", status=409, login=login)
    person = Person(
        created=now,
        login=login,
        name=name,
        email=email,
        lang=fields.language(lang),
        active=True,
        password_hash=HASHER.hash(fields.password(password)),
        totp_secret=pyotp.random_base32(),
        party_id=_party(db, now, PartyKind.NATURAL, name).id,
    )
    with unique_or(db, "login_taken", field="login", login=login):
        db.add(person)
    return person


def _party(db: Session, now: datetime, kind: PartyKind, name: str) -> Party:
    party = Party(created=now, kind=kind, name=name)
    db.add(party)
    db.flush()
    return party
