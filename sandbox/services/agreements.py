"""Agreements with owner bodies: offered, signed by both sides, held, lifted, revoked (A10.3, A11).

A tightening raises the epoch and wants a cut of every sandbox of the project in the same transaction; what is live then ends by push,
and by its lease at the latest.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sandbox.domain import fields
from sandbox.domain.agreement_text import TEMPLATE, AgreementTerms, ItemTerms, digest, render
from sandbox.domain.agreements import Change, epoch_after, live_holds, why_not
from sandbox.domain.clock import stamp
from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id
from sandbox.domain.permissions import Permission
from sandbox.domain.profiles import PROFILES
from sandbox.domain.states import AGREEMENT_STEPS, AgreementState, Desired, Role, SandboxState, Side, step
from sandbox.services import accounts, releases
from sandbox.services.context import Context, not_visible
from sandbox.services.projects import logins
from sandbox.store.db import unique_or
from sandbox.store.tables import (
    Agreement,
    AgreementItem,
    AgreementKey,
    Application,
    ApplicationItem,
    Body,
    Hold,
    Member,
    Person,
    Sandbox,
    Signature,
)

KEY_BYTES = 32
SEE_ALL = (Role.AUDITOR, Role.ADMINISTRATOR, Role.OFFICER)


def agreements(ctx: Context, *, inbox: bool = False) -> list[Agreement]:
    """Return what the actor may see, newest first; with `inbox` only offers that wait for their signature."""
    query = select(Agreement).order_by(Agreement.created.desc(), Agreement.id)
    if not any(ctx.actor.has(role) for role in SEE_ALL):
        mine = select(Member.project_id).where(Member.person_id == ctx.actor.id)
        own = select(Body.id).where(Body.code.in_([grant.body for grant in ctx.actor.roles if grant.role is Role.STEWARD]))
        query = query.where(or_(Agreement.project_id.in_(mine), Agreement.body_id.in_(own)))
    found = [one for one in ctx.db.scalars(query) if ctx.may(Permission.AGREEMENT_READ, **_resource(one))]
    return [one for one in found if one.state is AgreementState.OFFERED and _open_sides(ctx, one)] if inbox else found


def agreement(ctx: Context, agreement_id: str) -> Agreement:
    """Return an agreement the actor may see; 404 `not_visible`."""
    return _found(ctx, agreement_id, lock=False)


def offer(ctx: Context, application: Application, owner: Body) -> Agreement:
    """Make the agreement of an approved application with one owner body and offer it, at epoch 1. Called by the assessment."""
    asked = [item for item in application.items if item.body_id == owner.id]
    name = new_id()
    text = render(_terms(name, application, owner, asked), PROFILES[application.profile])
    made = Agreement(
        id=name,
        created=ctx.now,
        application=application,
        project=application.project,
        body=owner,
        party_id=application.project.party_id,
        state=step(AGREEMENT_STEPS, AgreementState.DRAFT, AgreementState.OFFERED),
        epoch=1,
        profile=application.profile,
        template=TEMPLATE,
        period_days=application.period_days,
        text=text,
        text_digest=digest(text),
        items=[
            AgreementItem(
                created=ctx.now,
                position=item.position,
                dataset=item.dataset,
                version=item.version,
                columns=item.columns,
                row_filter=item.row_filter,
                access=item.access,
                min_cell=item.dataset.min_cell,
            )
            for item in asked
        ],
    )
    with unique_or(ctx.db, "already_decided", body=owner.name_zh):
        ctx.db.add(made)
    ctx.record("agreement.offered", refs=_refs(made), data={"text_digest": made.text_digest, "template": TEMPLATE}, texts={"text": text})
    return made


def sign(ctx: Context, agreement_id: str, *, text_digest: str, side: str | None = None) -> Signature:
    """Sign for one's side the text with that digest; when both have, the agreement is active and its releases are prepared.

    Codes: `already_signed` (409), `state_conflict` (409), `text_digest_mismatch`; whose side it is comes from policy unless said.
    """
    one = _found(ctx, agreement_id)
    chosen = fields.one_of(side, "side", Side) if side else _own_side(ctx, one)
    ctx.require(Permission.AGREEMENT_SIGN, **_resource(one), side=chosen.value)
    if any(signature.side is chosen for signature in one.signatures):
        raise Refusal("already_signed", status=409, side=chosen.value)
    if one.state is not AgreementState.OFFERED:
        raise Refusal("state_conflict", status=409, state=one.state.value, wanted="offered")
    if text_digest != one.text_digest:
        raise Refusal("text_digest_mismatch", field="text_digest", status=409)
    made = Signature(created=ctx.now, side=chosen, person_id=ctx.actor.id, text_digest=text_digest)
    with unique_or(ctx.db, "already_signed", side=chosen.value):
        one.signatures.append(made)
    ctx.record("agreement.signed", refs=_refs(one), data={"side": chosen.value, "text_digest": text_digest})
    if {signature.side for signature in one.signatures} == set(Side):
        _activate(ctx, one)
    return made


def revoke(ctx: Context, agreement_id: str, *, ground: str, reason: str) -> Agreement:
    """End an agreement, or withdraw an offer, at once (A11.1); live sandboxes of the project are to be cut."""
    one = _to_restrict(ctx, agreement_id, Permission.AGREEMENT_REVOKE)
    ground, reason = fields.required(ground, "ground", longest=400), fields.required(reason, "reason")
    was_active = one.state is AgreementState.ACTIVE
    one.state = step(AGREEMENT_STEPS, one.state, AgreementState.REVOKED)
    one.epoch = epoch_after(one.epoch, Change.REVOKE)
    one.ended_at, one.ended_by, one.ended_ground, one.ended_reason = ctx.now, ctx.actor.id, ground, reason
    key = ctx.db.get(AgreementKey, one.id)
    if key is not None:
        ctx.db.delete(key)  # no release of it can be made again, no pseudonym recomputed
    cut = _want_cut(ctx, one, "agreement_revoked") if was_active else []
    ctx.record("agreement.revoked", refs=_refs(one), data={"epoch": one.epoch, "cut": cut}, texts={"ground": ground, "reason": reason})
    return one


def hold(ctx: Context, agreement_id: str, *, ground: str, reason: str, until: datetime | None = None) -> Hold:
    """Suspend an active agreement at once (A11.2); live sandboxes of the project are to be cut."""
    one = _to_restrict(ctx, agreement_id, Permission.AGREEMENT_HOLD)
    if one.state is not AgreementState.ACTIVE or why_not(one, (), ctx.now):
        raise Refusal(why_not(one, (), ctx.now) or "agreement_not_active", status=409)
    if until is not None and (until.tzinfo is None or until <= ctx.now):
        raise Refusal("time_not_ahead", field="until")
    made = Hold(
        created=ctx.now,
        ground=fields.required(ground, "ground", longest=400),
        reason=fields.required(reason, "reason"),
        until=until,
        placed_by=ctx.actor.id,
    )
    one.holds.append(made)
    one.epoch = epoch_after(one.epoch, Change.HOLD)
    ctx.db.flush()
    cut = _want_cut(ctx, one, "agreement_held")
    ctx.record(
        "agreement.held",
        refs=_refs(one),
        data={"hold": made.id, "epoch": one.epoch, "until": stamp(until) if until else None, "cut": cut},
        texts={"ground": made.ground, "reason": made.reason},
    )
    return made


def lift(ctx: Context, hold_id: str) -> Hold:
    """Lift a hold; access returns when none is left, in a new sandbox. `already_lifted` (409), `hold_of_other_side` (403)."""
    made = ctx.db.get(Hold, hold_id, with_for_update=True)
    if made is None:
        raise not_visible("hold")
    one = _found(ctx, made.agreement_id)
    ctx.require(Permission.HOLD_LIFT, **_resource(one), placed_by=_placed_by(ctx.db, made))
    if made.lifted_at is not None:
        raise Refusal("already_lifted", status=409)
    made.lifted_at, made.lifted_by = ctx.now, ctx.actor.id
    one.epoch = epoch_after(one.epoch, Change.LIFT)
    ctx.record("agreement.hold_lifted", refs=_refs(one), data={"hold": made.id, "epoch": one.epoch})
    return made


def may_lift(ctx: Context, made: Hold) -> bool:
    """Say whether the actor may lift this hold."""
    return ctx.may(Permission.HOLD_LIFT, **_resource(made.agreement), placed_by=_placed_by(ctx.db, made))


def _placed_by(db: Session, made: Hold) -> list[dict[str, Any]]:
    """Return the roles in force of who placed the hold: they say whose side it is."""
    held: list[dict[str, Any]] = accounts.actor_of(db.get_one(Person, made.placed_by)).facts()["roles"]
    return held


def policy_facts(one: Agreement, now: datetime) -> dict[str, Any]:
    """Return the agreement as `sandbox.session` and `sandbox.export` want it (interfaces.md, 3)."""
    return {
        "id": one.id,
        "state": one.state.value,
        "not_after": stamp(one.not_after) if one.not_after else None,
        "holds": len(live_holds(one.holds, now)),
        "epoch": one.epoch,
    }


def of_project(db: Session, project_id: str) -> Sequence[Agreement]:
    """Return all agreements of a project, oldest first: facts for launch, lease and export; no policy is asked."""
    return db.scalars(select(Agreement).where(Agreement.project_id == project_id).order_by(Agreement.created, Agreement.id)).all()


def sandbox_epoch(agreements: Iterable[Agreement]) -> int:
    """Return the epoch of a sandbox: the sum of its agreements', so that it only grows."""
    return sum(one.epoch for one in agreements)


def _found(ctx: Context, agreement_id: str, *, lock: bool = True) -> Agreement:
    one = ctx.db.get(Agreement, agreement_id, with_for_update=True if lock else None)
    if one is None:
        raise not_visible("agreement")
    ctx.visible(Permission.AGREEMENT_READ, **_resource(one))
    return one


def _to_restrict(ctx: Context, agreement_id: str, act: Permission) -> Agreement:
    """Return an agreement whose access the actor may take away, also while policy does not answer."""
    one = ctx.db.get(Agreement, agreement_id, with_for_update=True)
    if one is not None and ctx.protects(act, **_resource(one)):
        return one
    one = _found(ctx, agreement_id)
    ctx.require(act, **_resource(one))
    return one


def _resource(one: Agreement) -> dict[str, Any]:
    return {"body": one.body.code, "author": one.application.author.login, "members": logins(one.project)}


def _open_sides(ctx: Context, one: Agreement) -> list[Side]:
    """Return the sides that have not signed and for which the actor may."""
    signed = {signature.side for signature in one.signatures}
    return [side for side in Side if side not in signed and ctx.may(Permission.AGREEMENT_SIGN, **_resource(one), side=side.value)]


def _own_side(ctx: Context, one: Agreement) -> Side:
    """Return the side the actor may sign for; if there is none, the owner's, so that policy's own reason is told."""
    own = [side for side in Side if ctx.may(Permission.AGREEMENT_SIGN, **_resource(one), side=side.value)]
    if not own:
        return Side.USER if ctx.actor.login in logins(one.project) else Side.OWNER
    return own[0]


def _activate(ctx: Context, one: Agreement) -> None:
    """Both sides have signed: the term begins, the key is made, releases are prepared."""
    one.state = step(AGREEMENT_STEPS, one.state, AgreementState.ACTIVE)
    one.active_at, one.not_after = ctx.now, ctx.now + timedelta(days=one.period_days)
    ctx.db.add(AgreementKey(agreement_id=one.id, key=secrets.token_bytes(KEY_BYTES), created=ctx.now))
    ctx.record("agreement.activated", refs=_refs(one), data={"epoch": one.epoch, "not_after": stamp(one.not_after)})
    for item in one.items:
        releases.start(ctx, item)


def _want_cut(ctx: Context, one: Agreement, reason: str) -> list[str]:
    """Want a cut of every sandbox of the project, stopped ones too: their workspaces may hold copies. Return their ids."""
    query = select(Sandbox).where(Sandbox.project_id == one.project_id, Sandbox.state != SandboxState.CUT, Sandbox.desired != Desired.CUT)
    affected = list(ctx.db.scalars(query.with_for_update()))
    for sandbox in affected:
        sandbox.desired, sandbox.reason, sandbox.changed = Desired.CUT, reason, ctx.now
        sandbox.generation += 1
    return [sandbox.id for sandbox in affected]


def _terms(name: str, application: Application, owner: Body, asked: list[ApplicationItem]) -> AgreementTerms:
    return AgreementTerms(
        id=name,
        owner_zh=owner.name_zh,
        owner_en=owner.name_en,
        user=application.project.party.name,
        project=application.project.title,
        purpose=application.purpose,
        scenario=application.scenario,
        security_measures=application.security_measures,
        period_days=application.period_days or 0,
        items=[_item_terms(item) for item in asked],
    )


def _item_terms(item: ApplicationItem) -> ItemTerms:
    dataset, chosen = item.dataset, set(item.columns)
    return ItemTerms(
        name=dataset.name,
        title_zh=dataset.title_zh,
        title_en=dataset.title_en,
        version=item.version.number,
        access=item.access,
        min_cell=dataset.min_cell,
        licence=dataset.licence,
        columns=[(c.name, c.column_class) for c in item.version.columns if c.name in chosen and c.column_class],
        rows="全部 / all",
        requirements=[condition.text for condition in dataset.conditions],
    )


def _refs(one: Agreement) -> dict[str, str | None]:
    return {
        "agreement": one.id,
        "application": one.application_id or one.application.id,
        "project": one.project_id or one.project.id,
        "body": one.body.code,
    }
