"""More display: a researcher asks for themselves in one project, and every owner body whose data is in the sandbox must agree.

What holds is the smallest of what the bodies agreed to, until the earliest of their times, and only while each body whose
agreement is in force is among them: data that came later was not agreed to be shown so much. Policy has a ceiling above all.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sandbox.domain import agreements as rules
from sandbox.domain import fields
from sandbox.domain.clock import stamp
from sandbox.domain.errors import Refusal
from sandbox.domain.permissions import Permission
from sandbox.domain.states import DISPLAY_STEPS, Answer, DisplayState, Role, step
from sandbox.services import agreements as agreed
from sandbox.services import projects
from sandbox.services.context import Context, not_visible
from sandbox.store.db import unique_or
from sandbox.store.tables import Agreement, Body, DisplayDecision, DisplayRequest, Member

FIGURES = ("cell_bytes", "hour_bytes", "day_bytes")
SEE_ALL = (Role.AUDITOR, Role.ADMINISTRATOR, Role.OFFICER)
# What a form takes at most; what policy lets through is less.
MOST_BYTES = 1 << 30


def requests(ctx: Context, *, project: str | None = None, inbox: bool = False) -> list[DisplayRequest]:
    """Return the requests the actor may see, newest first; with `inbox` those that wait for their decision."""
    query = select(DisplayRequest).order_by(DisplayRequest.created.desc(), DisplayRequest.id)
    if project:
        query = query.where(DisplayRequest.project_id == project)
    if not any(ctx.actor.has(role) for role in SEE_ALL):
        mine = select(Member.project_id).where(Member.person_id == ctx.actor.id)
        own = select(Body.id).where(Body.code.in_([grant.body for grant in ctx.actor.roles if grant.role is Role.STEWARD]))
        theirs = select(Agreement.project_id).where(Agreement.body_id.in_(own))
        query = query.where(or_(DisplayRequest.project_id.in_(mine), DisplayRequest.project_id.in_(theirs)))
    found = [one for one in ctx.db.scalars(query) if _may_see(ctx, one)]
    return [one for one in found if waiting_bodies(ctx, one)] if inbox else found


def request(ctx: Context, request_id: str, *, lock: bool = False) -> DisplayRequest:
    """Return a request the actor may see; 404 `not_visible`."""
    one = ctx.db.get(DisplayRequest, request_id, with_for_update=True if lock else None, populate_existing=lock)
    if one is None:
        raise not_visible("display")
    ctx.visible_in(Permission.DISPLAY_READ, _resources(one))
    return one


def ask(ctx: Context, project_id: str, *, figures: Mapping[str, Any], until: datetime | None, reason: str) -> DisplayRequest:
    """Ask for more display for oneself in a project; `figures` has `cell_bytes`, `hour_bytes`, `day_bytes`.

    `no_agreement` (409) without data in force, `display_pending` (409) while one waits, `time_not_ahead`.
    """
    project = projects.project(ctx, project_id)
    ctx.require(Permission.DISPLAY_ASK, members=projects.logins(project))
    bodies = bodies_of(ctx.db, project.id, ctx.now)
    if not bodies:
        raise Refusal("no_agreement", status=409)
    made = DisplayRequest(
        created=ctx.now,
        project=project,
        person_id=ctx.actor.id,
        state=DisplayState.REQUESTED,
        bodies=[body.code for body in bodies],
        **_figures(figures),
        until=_ahead(ctx, until),
        reason=fields.required(reason, "reason", longest=1000),
    )
    with unique_or(ctx.db, "display_pending"):
        ctx.db.add(made)
    data = {**_numbers(made), "until": stamp(made.until), "bodies": made.bodies}
    ctx.record("display.asked", refs=_refs(made), data=data, texts={"reason": made.reason})
    return made


def decide(
    ctx: Context,
    request_id: str,
    *,
    answer: str,
    reason: str,
    figures: Mapping[str, Any] | None = None,
    until: datetime | None = None,
    body: str | None = None,
) -> DisplayDecision:
    """Say for one's owner body how much it agrees to, at most what was asked; one rejection rejects, the last approval approves.

    `figures` and `until` not given are those asked for. A reason is needed either way. `already_decided` (409), `state_conflict` (409).
    """
    one = request(ctx, request_id, lock=True)
    code = body or next(iter(waiting_bodies(ctx, one)), None) or next((g.body for g in ctx.actor.roles if g.body in one.bodies), None)
    ctx.require(Permission.DISPLAY_DECIDE, body=code, author=one.person.login, members=projects.logins(one.project))
    owner = ctx.db.scalars(select(Body).where(Body.code == code)).one_or_none()
    if owner is None or owner.code not in one.bodies:
        raise Refusal("body_unknown", field="body", body=code or "")
    said = fields.one_of(answer, "answer", Answer)
    if any(decision.body_id == owner.id for decision in one.decisions):
        raise Refusal("already_decided", status=409, body=owner.name_zh)
    approved = said is Answer.APPROVE
    to = DisplayState.REJECTED
    if approved:
        decided = {decision.body.code for decision in one.decisions} | {owner.code}
        to = DisplayState.APPROVED if decided >= set(one.bodies) else DisplayState.REQUESTED
    if to is not DisplayState.REQUESTED or one.state is not DisplayState.REQUESTED:
        one.state = step(DISPLAY_STEPS, one.state, to)
    given = _figures({name: (figures or {}).get(name) or getattr(one, name) for name in FIGURES})
    end = _ahead(ctx, until or one.until) if approved else one.until
    made = DisplayDecision(
        created=ctx.now,
        body=owner,
        answer=said,
        **{name: min(value, getattr(one, name)) for name, value in given.items()},
        until=min(end, one.until),
        reason=fields.required(reason, "reason", longest=1000),
        decided_by=ctx.actor.id,
    )
    with unique_or(ctx.db, "already_decided", body=owner.name_zh):
        one.decisions.append(made)
    data = {"answer": said.value, "state": one.state.value, **(_numbers(made) | {"until": stamp(made.until)} if approved else {})}
    ctx.record("display.decided", refs=_refs(one, owner.code), data={"request": one.id, **data}, texts={"reason": made.reason})
    return made


def withdraw(ctx: Context, request_id: str) -> DisplayRequest:
    """Take one's own request back while it waits. `state_conflict` (409)."""
    one = request(ctx, request_id, lock=True)
    ctx.require(Permission.DISPLAY_WITHDRAW, author=one.person.login)
    return _end(ctx, one, DisplayState.WITHDRAWN, "display.withdrawn", "")


def revoke(ctx: Context, request_id: str, *, reason: str) -> DisplayRequest:
    """End an extension at once (steward of a body that agreed, administrator, officer); what was shown stays counted."""
    one = request(ctx, request_id, lock=True)
    allowed = [r for r in _resources(one) if ctx.may(Permission.DISPLAY_REVOKE, **r)]
    ctx.require(Permission.DISPLAY_REVOKE, **(allowed or _resources(one))[0])
    return _end(ctx, one, DisplayState.REVOKED, "display.revoked", fields.required(reason, "reason", longest=1000))


def in_force(db: Session, project_id: str, person_id: str, now: datetime) -> dict[str, Any] | None:
    """Return the extension that holds for a person in a project, as policy wants it: the newest approved one, or None."""
    query = select(DisplayRequest).where(
        DisplayRequest.project_id == project_id,
        DisplayRequest.person_id == person_id,
        DisplayRequest.state == DisplayState.APPROVED,
        DisplayRequest.until > now,
    )
    one = db.scalars(query.order_by(DisplayRequest.created.desc(), DisplayRequest.id).limit(1)).one_or_none()
    if one is None or not {body.code for body in bodies_of(db, project_id, now)} <= set(one.bodies):
        return None
    return granted(one)


def granted(one: DisplayRequest) -> dict[str, Any]:
    """Return what all bodies together agreed to: the smallest figures, the earliest end."""
    given = [decision for decision in one.decisions if decision.answer is Answer.APPROVE]
    return {name: min(getattr(decision, name) for decision in given) for name in FIGURES} | {"until": stamp(min(d.until for d in given))}


def waiting_bodies(ctx: Context, one: DisplayRequest) -> list[str]:
    """Return the codes of the bodies that have not said a word and for which the actor may."""
    if one.state is not DisplayState.REQUESTED:
        return []
    decided = {decision.body.code for decision in one.decisions}
    facts = {"author": one.person.login, "members": projects.logins(one.project)}
    return [code for code in one.bodies if code not in decided and ctx.may(Permission.DISPLAY_DECIDE, body=code, **facts)]


def may_revoke(ctx: Context, one: DisplayRequest) -> bool:
    """Say whether the actor may end it."""
    return any(ctx.may(Permission.DISPLAY_REVOKE, **resource) for resource in _resources(one))


def bodies_of(db: Session, project_id: str, now: datetime) -> Sequence[Body]:
    """Return the owner bodies whose agreement with the project is in force, by code."""
    live = [a.body for a in agreed.of_project(db, project_id) if rules.in_force(a, a.holds, now)]
    return sorted(set(live), key=lambda body: body.code)


def _end(ctx: Context, one: DisplayRequest, to: DisplayState, kind: str, reason: str) -> DisplayRequest:
    one.state = step(DISPLAY_STEPS, one.state, to)
    one.ended_at, one.ended_by, one.ended_reason = ctx.now, ctx.actor.id, reason or None
    ctx.record(kind, refs=_refs(one), data={"request": one.id}, texts={"reason": reason})
    return one


def _figures(given: Mapping[str, Any]) -> dict[str, int]:
    return {name: fields.whole(given.get(name), name, 1, MOST_BYTES) for name in FIGURES}


def _numbers(row: DisplayRequest | DisplayDecision) -> dict[str, int]:
    return {name: getattr(row, name) for name in FIGURES}


def _ahead(ctx: Context, until: datetime | None) -> datetime:
    if until is None:
        raise Refusal("field_required", field="until")
    if until.tzinfo is None or until <= ctx.now:
        raise Refusal("time_not_ahead", field="until")
    return until


def _may_see(ctx: Context, one: DisplayRequest) -> bool:
    return any(ctx.may(Permission.DISPLAY_READ, **resource) for resource in _resources(one))


def _resources(one: DisplayRequest) -> list[dict[str, Any]]:
    known = {"author": one.person.login, "members": projects.logins(one.project)}
    return [{**known, "body": code} for code in one.bodies]


def _refs(one: DisplayRequest, body: str | None = None) -> dict[str, str | None]:
    return {"project": one.project_id or one.project.id, "person": one.person_id, "body": body}
