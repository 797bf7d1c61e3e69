"""Applications and their assessment."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.services.context import Context
from sandbox.store.tables import Application, Assessment


def applications(ctx: Context, *, inbox: bool = False) -> list[Application]:
    """Return what the actor may see; with `inbox` only what waits for them (steward: to assess; applicant: to change)."""
    raise NotImplementedError


def application(ctx: Context, application_id: str) -> Application:
    """Return one application; `not_visible`."""
    raise NotImplementedError


def create_draft(ctx: Context, *, project: str, fields: Mapping[str, Any]) -> Application:
    """Save a draft, whole or not; fields: purpose scenario security_measures period_days items[{dataset,columns,access}]."""
    raise NotImplementedError


def update_draft(ctx: Context, application_id: str, fields: Mapping[str, Any]) -> Application:
    """Change the given fields of a draft or returned application; `state_conflict`."""
    raise NotImplementedError


def submit(ctx: Context, application_id: str) -> Application:
    """Check and submit; `field_required`, `dataset_unknown`, `column_unknown`, `column_not_offered`, `access_not_offered`; nothing is lost when refused."""
    raise NotImplementedError


def assess(
    ctx: Context, application_id: str, *, decision: str, ticks: Sequence[Mapping[str, Any]] = (), reason: str = "", body: str | None = None
) -> Assessment:
    """Decide for one's owner body (A10.3); approval makes and offers the agreement; `already_decided`, `ticks_missing`, `field_required`."""
    raise NotImplementedError
