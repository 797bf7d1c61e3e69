"""Applications (A10.2) and their assessment (A10.3). A draft is kept however incomplete; each owner body decides for itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import or_, select

from sandbox.domain import fields
from sandbox.domain.columns import may_be_accessed, may_be_offered
from sandbox.domain.errors import Refusal
from sandbox.domain.permissions import Permission
from sandbox.domain.profiles import DEFAULT
from sandbox.domain.states import APPLICATION_STEPS, Access, ApplicationState, DecisionKind, Role, step
from sandbox.services import agreements, projects
from sandbox.services.catalogue import newest_published
from sandbox.services.context import Context, not_visible
from sandbox.services.people import find_body
from sandbox.services.projects import logins
from sandbox.store.db import unique_or
from sandbox.store.tables import Application, ApplicationItem, Assessment, Body, Dataset, Member

MAX_DAYS = 1095
MAX_ITEMS = 50
OPEN = frozenset({ApplicationState.DRAFT, ApplicationState.CHANGES_REQUESTED})
WORDS = ("purpose", "scenario", "security_measures")


def applications(ctx: Context, *, inbox: bool = False) -> list[Application]:
    """Return what the actor may see, newest first; with `inbox` what waits for them: to assess, or to change and submit."""
    query = select(Application).order_by(Application.created.desc(), Application.id)
    if not ctx.actor.has(Role.AUDITOR) or inbox:
        mine = select(Member.project_id).where(Member.person_id == ctx.actor.id)
        codes = [grant.body for grant in ctx.actor.roles if grant.role is Role.STEWARD]
        asked = select(ApplicationItem.application_id).join(Body).where(Body.code.in_(codes))
        query = query.where(or_(Application.project_id.in_(mine), Application.id.in_(asked)))
    found = [one for one in ctx.db.scalars(query) if any(ctx.may(Permission.APPLICATION_READ, **view) for view in _views(one))]
    return [one for one in found if _waits(ctx, one)] if inbox else found


def application(ctx: Context, application_id: str) -> Application:
    """Return an application the actor may see; 404 `not_visible`."""
    return _found(ctx, application_id, lock=False)


def create_draft(ctx: Context, *, project: str, fields: Mapping[str, Any]) -> Application:
    """Save a draft for a project, whole or not; a project has one open application (`application_open`, 409)."""
    found = projects.project(ctx, project)
    ctx.require(Permission.APPLICATION_WRITE, members=logins(found))
    made = Application(
        created=ctx.now,
        project=found,
        author_id=ctx.actor.id,
        state=ApplicationState.DRAFT,
        round=0,
        purpose="",
        scenario="",
        security_measures="",
        wanted=[],
        profile=DEFAULT,
    )
    _fill(made, fields)
    with unique_or(ctx.db, "application_open", field="project"):
        ctx.db.add(made)
    ctx.record("application.drafted", refs=_refs(made))
    return made


def update_draft(ctx: Context, application_id: str, fields: Mapping[str, Any]) -> Application:
    """Change the given fields of a draft, or of an application that was given back; `state_conflict` (409) otherwise."""
    one = _found(ctx, application_id)
    ctx.require(Permission.APPLICATION_WRITE, members=logins(one.project))
    if one.state not in OPEN:
        raise Refusal("state_conflict", status=409, state=one.state.value, wanted="draft")
    _fill(one, fields)
    ctx.record("application.changed", refs=_refs(one), data={"fields": sorted(fields)})
    return one


def submit(ctx: Context, application_id: str) -> Application:
    """Check an application whole and submit it; a refusal names the first field and leaves everything as it was typed.

    Codes: `field_required`, `number_out_of_range`, `dataset_unknown`, `dataset_twice`, `version_not_published`, `column_unknown`,
    `column_not_offered`, `column_not_mountable`, `access_not_offered`, `already_decided` (a body's data changed after its decision).
    """
    one = _found(ctx, application_id)
    ctx.require(Permission.APPLICATION_SUBMIT, members=logins(one.project))
    to = step(APPLICATION_STEPS, one.state, ApplicationState.SUBMITTED)
    for name in WORDS:
        fields.required(getattr(one, name), name)
    fields.whole(one.period_days, "period_days", 1, MAX_DAYS)
    if not one.wanted:
        raise Refusal("field_required", field="items")
    items = [_item(ctx, index, wanted) for index, wanted in enumerate(one.wanted)]
    names = [item.dataset.name for item in items]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Refusal("dataset_twice", field=f"items[{index}].dataset", dataset=name)
    for body_id in _decided(one):
        if _shape(one.items, body_id) != _shape(items, body_id):
            raise Refusal("already_decided", field="items", status=409, body=ctx.db.get_one(Body, body_id).name_zh)
    with ctx.db.no_autoflush:
        one.items.clear()
        ctx.db.flush()
        one.items.extend(items)
    one.state, one.round, one.submitted_at = to, one.round + 1, ctx.now
    ctx.db.flush()
    ctx.record(
        "application.submitted",
        refs=_refs(one),
        data={
            "round": one.round,
            "period_days": one.period_days,
            "items": [{"dataset": i.dataset.name, "version": i.version_id, "columns": i.columns, "access": i.access.value} for i in items],
        },
        texts={name: getattr(one, name) for name in WORDS},
    )
    return one


def assess(
    ctx: Context,
    application_id: str,
    *,
    decision: str,
    ticks: Sequence[Mapping[str, Any]] = (),
    reason: str = "",
    body: str | None = None,
) -> Assessment:
    """Decide for one's owner body (A10.3): approval needs every condition ticked with evidence and offers the agreement at once.

    Codes: `already_decided` (409), `ticks_missing`, `condition_unknown`, `field_required` (a rejection or a return needs its reason).
    """
    one = _found(ctx, application_id)
    owner = _owner(ctx, one, body)
    ctx.require(Permission.APPLICATION_ASSESS, body=owner.code, author=one.author.login, members=logins(one.project))
    kind = fields.one_of(decision, "decision", DecisionKind)
    if any(a.body_id == owner.id and (a.decision is not DecisionKind.CHANGES or a.round == one.round) for a in one.assessments):
        raise Refusal("already_decided", field="decision", status=409, body=owner.name_zh)
    if one.state is not ApplicationState.SUBMITTED:
        raise Refusal("state_conflict", status=409, state=one.state.value, wanted="submitted")
    why = fields.optional(reason, "reason") if kind is DecisionKind.APPROVE else fields.required(reason, "reason")
    made = Assessment(
        created=ctx.now,
        application=one,
        body=owner,
        round=one.round,
        decision=kind,
        ticks=_ticks(one, owner, kind, ticks),
        reason=why,
        assessor_id=ctx.actor.id,
    )
    with unique_or(ctx.db, "already_decided", field="decision", body=owner.name_zh):
        ctx.db.add(made)
    if kind is DecisionKind.CHANGES:
        one.state = step(APPLICATION_STEPS, one.state, ApplicationState.CHANGES_REQUESTED)
    elif _decided(one) >= {item.body_id for item in one.items}:
        one.state = step(APPLICATION_STEPS, one.state, ApplicationState.ASSESSED)
    ctx.record(
        "application.assessed",
        refs={**_refs(one), "body": owner.code},
        data={"decision": kind.value, "round": one.round, "ticks": [{"condition": t["condition"], "ok": t["ok"]} for t in made.ticks]},
        texts={"reason": why, **{f"evidence {t['condition']}": t["evidence"] for t in made.ticks}},
    )
    if kind is DecisionKind.APPROVE:
        agreements.offer(ctx, one, owner)
    return made


def _found(ctx: Context, application_id: str, *, lock: bool = True) -> Application:
    one = ctx.db.get(Application, application_id, with_for_update=True if lock else None)
    if one is None:
        raise not_visible("application")
    ctx.visible_in(Permission.APPLICATION_READ, _views(one))
    return one


def _views(one: Application) -> list[dict[str, Any]]:
    """Return the application as each owner body sees it; a draft is its members' alone."""
    members = logins(one.project)
    codes = sorted({item.body.code for item in one.items})
    return [{"members": members, "body": code} for code in codes] or [{"members": members}]


def _waits(ctx: Context, one: Application) -> bool:
    """Say whether an application waits for the actor."""
    members = logins(one.project)
    if one.state in OPEN:
        return ctx.actor.login in members
    if one.state is not ApplicationState.SUBMITTED:
        return False
    open_bodies = {item.body.code for item in one.items if item.body_id not in _decided(one)}
    return any(ctx.may(Permission.APPLICATION_ASSESS, body=code, author=one.author.login, members=members) for code in sorted(open_bodies))


def _owner(ctx: Context, one: Application, code: str | None) -> Body:
    """Return the body the actor decides for: the one named, or the only one they may; `field_required` when there are several."""
    owners = {item.body.code: item.body for item in one.items}
    if code:
        return owners.get(code) or find_body(ctx.db, code)
    members = logins(one.project)
    own = [c for c in sorted(owners) if ctx.may(Permission.APPLICATION_ASSESS, body=c, author=one.author.login, members=members)]
    if len(own) > 1:
        raise Refusal("field_required", field="body")
    if own or owners:
        return owners[(own or sorted(owners))[0]]
    raise Refusal("state_conflict", status=409, state=one.state.value, wanted="submitted")


def _decided(one: Application) -> set[str]:
    return {a.body_id for a in one.assessments if a.decision is not DecisionKind.CHANGES}


def _shape(items: Sequence[ApplicationItem], body_id: str) -> set[tuple[str, tuple[str, ...], Access]]:
    return {(i.dataset_id or i.dataset.id, tuple(i.columns), i.access) for i in items if (i.body_id or i.body.id) == body_id}


def _fill(one: Application, given: Mapping[str, Any]) -> None:
    """Take what was typed; only what could never be stored is refused here."""
    for name in WORDS:
        if name in given:
            setattr(one, name, fields.optional(given[name], name))
    if "period_days" in given:
        days = given["period_days"]
        one.period_days = None if days in {None, ""} else fields.whole(days, "period_days", 0, 100_000)
    if "items" in given:
        items = fields.sequence(given["items"] or [], "items", longest=MAX_ITEMS)
        one.wanted = [_typed(fields.mapping(item, f"items[{index}]"), f"items[{index}]") for index, item in enumerate(items)]


def _typed(item: Mapping[str, Any], at: str) -> dict[str, Any]:
    columns = fields.sequence(item.get("columns") or [], f"{at}.columns", longest=5000)
    return {
        "dataset": fields.optional(item.get("dataset"), f"{at}.dataset", longest=40),
        "columns": [fields.required(column, f"{at}.columns", longest=200) for column in columns],
        "access": fields.optional(item.get("access"), f"{at}.access", longest=20),
    }


def _item(ctx: Context, index: int, wanted: Mapping[str, Any]) -> ApplicationItem:
    """Return an item of what was typed, or refuse what the dataset does not offer (A7.1, A7.4)."""
    at = f"items[{index}]"
    name = fields.required(wanted["dataset"], f"{at}.dataset")
    dataset = ctx.db.scalars(select(Dataset).where(Dataset.name == name)).one_or_none()
    if dataset is None or not ctx.may(Permission.DATASET_READ, body=dataset.body.code):
        raise Refusal("dataset_unknown", field=f"{at}.dataset", dataset=name)
    version = newest_published(dataset)
    if version is None:
        raise Refusal("version_not_published", field=f"{at}.dataset", dataset=name)
    access = fields.one_of(wanted["access"], f"{at}.access", Access)
    if access.value not in dataset.access_modes:
        raise Refusal(
            "access_not_offered", field=f"{at}.access", dataset=name, access=access.value, offered=", ".join(dataset.access_modes)
        )
    if not wanted["columns"]:
        raise Refusal("field_required", field=f"{at}.columns")
    known = {column.name: column for column in version.columns}
    for column in wanted["columns"]:
        if column not in known:
            offered = ", ".join(name for name, one in known.items() if may_be_offered(one.column_class))
            raise Refusal("column_unknown", field=f"{at}.columns", column=column, dataset=name, known=offered)
        column_class = known[column].column_class
        if not may_be_offered(column_class):
            raise Refusal("column_not_offered", field=f"{at}.columns", column=column, dataset=name)
        if not may_be_accessed(column_class, access):
            raise Refusal("column_not_mountable", field=f"{at}.access", column=column, dataset=name)
    chosen = set(wanted["columns"])
    return ApplicationItem(
        created=ctx.now,
        position=index,
        dataset=dataset,
        version=version,
        body=dataset.body,
        columns=[column for column in known if column in chosen],
        access=access,
        row_filter=[],
    )


def _ticks(one: Application, owner: Body, kind: DecisionKind, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the ticks for this body's conditions; approval needs each of them met, with evidence."""
    conditions = {c.id: c for item in one.items if item.body_id == owner.id for c in item.dataset.conditions}
    ticks: dict[str, dict[str, Any]] = {}
    for index, tick in enumerate(fields.sequence(given, "ticks")):
        at = f"ticks[{index}]"
        name = str(fields.mapping(tick, at).get("condition"))
        if name not in conditions:
            raise Refusal("condition_unknown", field=f"{at}.condition", condition=name)
        ticks[name] = {"condition": name, "ok": tick.get("ok") is True, "evidence": fields.optional(tick.get("evidence"), f"{at}.evidence")}
    if kind is DecisionKind.APPROVE:
        for name, condition in conditions.items():
            if name not in ticks or not ticks[name]["ok"] or not ticks[name]["evidence"]:
                raise Refusal("ticks_missing", field="ticks", condition=condition.text)
    return list(ticks.values())


def _refs(one: Application) -> dict[str, str | None]:
    return {"application": one.id, "project": one.project_id or one.project.id}
