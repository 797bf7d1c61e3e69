"""Releases: what a data container prepares for one agreement."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from sandbox.services.context import Context
from sandbox.store.tables import Release


def job_spec(db: Session, release_id: str) -> dict[str, Any]:
    """Return `{"inputs":[{source,target}],"job":{…job.json},"secret":bytes}` for task `prepare`."""
    raise NotImplementedError


def finish_prepare(ctx: Context, release_id: str, result: Mapping[str, Any]) -> Release:
    """Take `result.json` of the prepare job (runner only)."""
    raise NotImplementedError


def of_agreement(db: Session, agreement_id: str) -> list[Release]:
    """Return its releases, oldest first."""
    raise NotImplementedError


def live(db: Session, item_id: str) -> Release | None:
    """Return the ready release of an agreement item, or None."""
    raise NotImplementedError
