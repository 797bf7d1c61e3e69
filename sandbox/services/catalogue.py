"""Datasets, their versions and columns (A7, A9): registered by a steward, read from a file in a data container, classified, published."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sandbox.domain import fields
from sandbox.domain.columns import ColumnClass
from sandbox.domain.errors import Refusal
from sandbox.domain.permissions import Permission
from sandbox.domain.states import VERSION_STEPS, Access, VersionState, step
from sandbox.services.context import Context, not_visible
from sandbox.services.people import find_body
from sandbox.store import jobs
from sandbox.store.db import unique_or
from sandbox.store.tables import Column, Condition, Dataset, Version

DEFAULT_MIN_CELL = 10
# A person's key is replaced or left out, never kept.
KEY_CLASSES = frozenset({ColumnClass.IDENTIFIER, ColumnClass.NON_OPEN})


def datasets(ctx: Context) -> Sequence[Dataset]:
    """Return the datasets the actor may see, by name."""
    found = ctx.db.scalars(select(Dataset).order_by(Dataset.name))
    return [one for one in found if ctx.may(Permission.DATASET_READ, body=one.body.code)]


def dataset(ctx: Context, name: str) -> Dataset:
    """Return a dataset the actor may see; 404 `not_visible`."""
    found = ctx.db.scalars(select(Dataset).where(Dataset.name == name)).one_or_none()
    if found is None:
        raise not_visible("dataset")
    ctx.visible(Permission.DATASET_READ, body=found.body.code)
    return found


def register_dataset(
    ctx: Context,
    *,
    name: str,
    body: str,
    title_zh: str,
    title_en: str,
    description: str,
    source: str,
    licence: str,
    conditions: Mapping[str, Any],
) -> Dataset:
    """Register a dataset of one owner body with its opening conditions (A7.4).

    `conditions`: `{"access_modes", "min_cell"?, "documents"?, "requirements"?}`. Refusals: `name_taken` (409), `body_unknown`, of fields.
    """
    body = fields.required(body, "body", longest=40)
    ctx.require(Permission.DATASET_REGISTER, body=body)
    terms = fields.mapping(conditions, "conditions")
    modes = [
        fields.one_of(mode, "conditions.access_modes", Access)
        for mode in fields.sequence(terms.get("access_modes") or [], "conditions.access_modes")
    ]
    if not modes:
        raise Refusal("field_required", field="conditions.access_modes")
    made = Dataset(
        created=ctx.now,
        name=fields.matching(name, "name", fields.NAME),
        body=find_body(ctx.db, body),
        title_zh=fields.required(title_zh, "title_zh", longest=200),
        title_en=fields.required(title_en, "title_en", longest=200),
        description=fields.optional(description, "description", longest=20000),
        source=fields.required(source, "source"),
        licence=fields.required(licence, "licence", longest=400),
        access_modes=sorted({mode.value for mode in modes}),
        min_cell=fields.whole(terms.get("min_cell", DEFAULT_MIN_CELL), "conditions.min_cell", 1, 1000),
        created_by=ctx.actor.id,
    )
    made.conditions = _conditions(ctx, terms)
    with unique_or(ctx.db, "name_taken", field="name", name=made.name):
        ctx.db.add(made)
    ctx.record(
        "dataset.registered",
        refs={"dataset": made.id, "body": body},
        data={
            "name": made.name,
            "access_modes": made.access_modes,
            "min_cell": made.min_cell,
            "conditions": [c.id for c in made.conditions],
        },
        texts={"source": made.source, "licence": made.licence},
    )
    return made


def start_version(ctx: Context, name: str, *, upload_path: str, file_name: str, description_name: str | None = None) -> Version:
    """Start a version from files that the view has stored under `upload_path` (`uploads/<id>`); a data container reads them after commit.

    The job is `import` with the version's id as subject. `state_conflict` (409) when two start at once.
    """
    found = dataset(ctx, name)
    ctx.require(Permission.DATASET_IMPORT, body=found.body.code)
    last = ctx.db.scalar(select(func.max(Version.number)).where(Version.dataset_id == found.id))
    made = Version(
        created=ctx.now,
        dataset=found,
        number=(last or 0) + 1,
        state=VersionState.IMPORTING,
        upload_path=upload_path,
        file_name=fields.required(file_name, "file", longest=200),
        description_name=description_name,
        errors=[],
        created_by=ctx.actor.id,
    )
    with unique_or(ctx.db, "state_conflict", state="importing", wanted="importing"):
        ctx.db.add(made)
    jobs.enqueue(ctx.db, ctx.now, "import", made.id)
    ctx.record("version.started", refs=_refs(made), data={"version": made.id, "number": made.number}, texts={"file": made.file_name})
    return made


def version(ctx: Context, name: str, number: int) -> Version:
    """Return a version; one that is not published exists only for those who may import. 404 `not_visible`."""
    found = dataset(ctx, name)
    one = ctx.db.scalars(select(Version).where(Version.dataset_id == found.id, Version.number == number)).one_or_none()
    if one is None or not seen(ctx, one):
        raise not_visible("version")
    return one


def seen(ctx: Context, one: Version) -> bool:
    """Say whether the actor may see a version."""
    return one.state is VersionState.PUBLISHED or ctx.may(Permission.DATASET_IMPORT, body=one.dataset.body.code)


def may_import(ctx: Context, name: str) -> None:
    """Go on only for those who may add a version: asked before an upload is read. 404 or 403 otherwise."""
    ctx.require(Permission.DATASET_IMPORT, body=dataset(ctx, name).body.code)


def job_spec(db: Session, version_id: str) -> dict[str, Any]:
    """Return `{"inputs", "job"}` of task `import` (interfaces.md, 5)."""
    one = db.get_one(Version, version_id)
    return {
        "inputs": [{"source": one.upload_path, "target": "/in/upload"}],
        "job": {"file": one.file_name, "description": one.description_name},
    }


def finish_import(ctx: Context, version_id: str, result: Mapping[str, Any]) -> Version:
    """Take the `result.json` of an import (runner only); the data is then at `sources/<version id>`. A second result changes nothing."""
    ctx.require_service()
    one = ctx.db.get_one(Version, version_id, with_for_update=True)
    if one.state is not VersionState.IMPORTING:
        return one
    profile = result.get("result")
    if result.get("ok") is True and isinstance(profile, Mapping) and profile.get("columns"):
        one.state = step(VERSION_STEPS, one.state, VersionState.IMPORTED)
        one.rows, one.bytes, one.digest = int(profile["rows"]), int(profile["size"]), str(profile["sha256"])
        one.source_path = f"sources/{one.id}"
        one.columns = [_column(ctx, position, facts) for position, facts in enumerate(profile["columns"])]
    else:
        one.state = step(VERSION_STEPS, one.state, VersionState.FAILED)
        one.errors = list(result.get("errors") or []) or [{"code": "data_task_failed", "params": {}}]
    ctx.db.flush()
    data = {
        "version": one.id,
        "state": one.state.value,
        "rows": one.rows,
        "sha256": one.digest,
        "errors": [e.get("code") for e in one.errors],
    }
    ctx.record(f"version.{one.state.value}", refs=_refs(one), data=data)
    return one


def set_columns(ctx: Context, name: str, number: int, columns: Sequence[Mapping[str, Any]]) -> Version:
    """Set class, `person_key` and title of columns of a version that is imported and not yet published (A7.1).

    Refusals: `column_unknown`, `choice_unknown`, `person_key_class`, `state_conflict` (409).
    """
    one = _for_change(ctx, name, number, Permission.DATASET_CLASSIFY)
    if one.state is not VersionState.IMPORTED:
        raise Refusal("state_conflict", status=409, state=one.state.value, wanted="imported")
    known = {column.name: column for column in one.columns}
    for index, given in enumerate(fields.sequence(columns, "columns", longest=5000)):
        at = f"columns[{index}]"
        wanted = fields.mapping(given, at)
        column = known.get(str(wanted.get("name")))
        if column is None:
            raise Refusal("column_unknown", field=f"{at}.name", column=wanted.get("name"), dataset=name, known=", ".join(known))
        if wanted.get("class") is not None:
            column.column_class = fields.one_of(wanted["class"], f"{at}.class", ColumnClass)
        column.person_key = wanted.get("person_key", column.person_key) is True
        if wanted.get("title") is not None:
            column.title = fields.optional(wanted["title"], f"{at}.title", longest=400)
        if column.person_key and column.column_class not in KEY_CLASSES:
            raise Refusal("person_key_class", field=f"{at}.class", column=column.name)
    ctx.db.flush()
    classes = {column.name: column.column_class.value for column in one.columns if column.column_class}
    ctx.record("version.classified", refs=_refs(one), data={"version": one.id, "classes": classes})
    return one


def publish(ctx: Context, name: str, number: int) -> Version:
    """Publish an imported version: from now on it can be applied for. `columns_unclassified` names what is left to decide."""
    one = _for_change(ctx, name, number, Permission.DATASET_PUBLISH)
    to = step(VERSION_STEPS, one.state, VersionState.PUBLISHED)
    left = [column.name for column in one.columns if column.column_class is None]
    if left:
        raise Refusal("columns_unclassified", field="columns", columns=", ".join(left))
    one.state, one.published_by, one.published_at = to, ctx.actor.id, ctx.now
    ctx.record("version.published", refs=_refs(one), data={"version": one.id, "number": one.number, "sha256": one.digest})
    return one


def newest_published(found: Dataset) -> Version | None:
    """Return the version that can be applied for, if there is one."""
    return next((one for one in reversed(found.versions) if one.state is VersionState.PUBLISHED), None)


def _for_change(ctx: Context, name: str, number: int, act: Permission) -> Version:
    one = version(ctx, name, number)
    ctx.require(act, body=one.dataset.body.code)
    return ctx.db.get_one(Version, one.id, with_for_update=True)


def _conditions(ctx: Context, terms: Mapping[str, Any]) -> list[Condition]:
    given = [
        (kind, fields.required(words, f"conditions.{key}"))
        for key, kind in (("documents", "document"), ("requirements", "requirement"))
        for words in fields.sequence(terms.get(key) or [], f"conditions.{key}", longest=50)
    ]
    return [Condition(created=ctx.now, kind=kind, position=position, text=words) for position, (kind, words) in enumerate(given)]


def _column(ctx: Context, position: int, facts: Mapping[str, Any]) -> Column:
    proposed = facts.get("proposed_class")
    return Column(
        created=ctx.now,
        position=position,
        name=str(facts["name"]),
        type=str(facts["type"]),
        title=str(facts.get("title") or ""),
        proposed_class=ColumnClass(proposed) if proposed else None,
        person_key=False,
        facts={key: value for key, value in facts.items() if key not in {"name", "type", "title", "proposed_class"}},
    )


def _refs(one: Version) -> dict[str, str | None]:
    return {"dataset": one.dataset_id, "body": one.dataset.body.code}
