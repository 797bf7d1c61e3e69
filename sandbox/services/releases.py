"""Releases: what a data container prepares for one item of an agreement, from its approved columns and rows only (A7.2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox.domain.clock import stamp
from sandbox.domain.columns import may_be_accessed
from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id
from sandbox.domain.states import RELEASE_STEPS, AgreementState, ReleaseState, step
from sandbox.services.context import Context
from sandbox.store import jobs
from sandbox.store.tables import AgreementItem, AgreementKey, Release


def start(ctx: Context, item: AgreementItem) -> Release:
    """Start preparing the release of an item: the job is `prepare` with the release's id as subject. Called when both have signed."""
    name = new_id()
    made = Release(id=name, created=ctx.now, item=item, state=ReleaseState.PREPARING, path=f"releases/{name}", manifest={}, errors=[])
    ctx.db.add(made)
    ctx.db.flush()
    jobs.enqueue(ctx.db, ctx.now, "prepare", made.id)
    ctx.record("release.started", refs=_refs(made))
    return made


def job_spec(db: Session, release_id: str) -> dict[str, Any]:
    """Return `{"inputs", "job", "secret"}` of task `prepare` (interfaces.md, 5); Refusal `agreement_not_active` once that is over.

    Classes are those of now, not of the offer: a column that has become `non_open` since stops the preparation (A7.5).
    """
    release = db.get_one(Release, release_id)
    item, agreement = release.item, release.item.agreement
    key = db.get(AgreementKey, agreement.id)
    if agreement.state is not AgreementState.ACTIVE or key is None:
        raise Refusal("agreement_not_active", status=409)
    approved = [column for column in item.version.columns if column.name in set(item.columns)]
    for column in approved:
        if not may_be_accessed(column.column_class, item.access):
            raise Refusal("column_not_offered", status=409, column=column.name, dataset=item.dataset.name)
    return {
        "inputs": [{"source": item.version.source_path, "target": "/in/source"}],
        "job": {
            "dataset": item.dataset.name,
            "version": item.version.number,
            "agreement": agreement.id,
            "release": release.id,
            "created": stamp(release.created),
            "columns": [{"name": c.name, "class": c.column_class.value, "title": c.title} for c in approved if c.column_class],
            "rows": item.row_filter,
        },
        "secret": key.key,
    }


def finish_prepare(ctx: Context, release_id: str, result: Mapping[str, Any]) -> Release:
    """Take the `result.json` of a preparation (runner only); the files are then at the release's path. A second one changes nothing."""
    ctx.require_service()
    release = ctx.db.get_one(Release, release_id, with_for_update=True)
    if release.state is not ReleaseState.PREPARING:
        return release
    manifest = result.get("result")
    if result.get("ok") is True and isinstance(manifest, Mapping) and manifest.get("files"):
        release.state = step(RELEASE_STEPS, release.state, ReleaseState.READY)
        data = next((file for file in manifest["files"] if file["name"] == "data.parquet"), manifest["files"][0])
        release.rows, release.bytes, release.digest = int(manifest["rows"]), int(data["size"]), str(data["sha256"])
        release.manifest, release.ready_at = dict(manifest), ctx.now
    else:
        release.state = step(RELEASE_STEPS, release.state, ReleaseState.FAILED)
        release.errors = list(result.get("errors") or []) or [{"code": "data_task_failed", "params": {}}]
    ctx.record(
        f"release.{release.state.value}",
        refs=_refs(release),
        data={"rows": release.rows, "sha256": release.digest, "errors": [error.get("code") for error in release.errors]},
    )
    return release


def of_agreement(db: Session, agreement_id: str) -> Sequence[Release]:
    """Return an agreement's releases, oldest first."""
    query = select(Release).join(AgreementItem).where(AgreementItem.agreement_id == agreement_id)
    return db.scalars(query.order_by(Release.created, Release.id)).all()


def live(db: Session, item_id: str) -> Release | None:
    """Return the ready release of an agreement's item, or None; the database allows one."""
    return db.scalars(select(Release).where(Release.item_id == item_id, Release.state == ReleaseState.READY)).one_or_none()


def _refs(release: Release) -> dict[str, str | None]:
    item = release.item
    return {
        "release": release.id,
        "agreement": item.agreement_id,
        "dataset": item.dataset_id,
        "project": item.agreement.project_id,
        "body": item.agreement.body.code,
    }
