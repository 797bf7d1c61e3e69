"""Agreements: signatures, holds, revocation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sandbox.services.context import Context
from sandbox.store.tables import Agreement, Hold, Signature


def agreements(ctx: Context, *, inbox: bool = False) -> list[Agreement]:
    """Return what the actor may see, newest first; with `inbox` only offers that wait for their signature."""
    raise NotImplementedError


def agreement(ctx: Context, agreement_id: str) -> Agreement:
    """Return one agreement; `not_visible`."""
    raise NotImplementedError


def sign(ctx: Context, agreement_id: str, *, text_digest: str, side: str | None = None) -> Signature:
    """Sign for one's side; both signed: active, releases are prepared; `already_signed`, `text_digest_mismatch`, `state_conflict`."""
    raise NotImplementedError


def revoke(ctx: Context, agreement_id: str, *, ground: str, reason: str) -> Agreement:
    """End it at once; affected sandboxes are to be cut; `field_required`, `state_conflict`."""
    raise NotImplementedError


def hold(ctx: Context, agreement_id: str, *, ground: str, reason: str, until: datetime | None = None) -> Hold:
    """Suspend it (A11.2); affected sandboxes are to be cut."""
    raise NotImplementedError


def lift(ctx: Context, hold_id: str) -> Hold:
    """Lift a hold; `already_lifted`."""
    raise NotImplementedError


def of_project(db: Session, project_id: str) -> list[Agreement]:
    """Return all agreements of a project (facts for launch and lease, no policy asked)."""
    raise NotImplementedError


def policy_facts(agreement: Agreement, now: datetime) -> dict[str, Any]:
    """Return `{"id","state","not_after","holds","epoch"}` as `sandbox.session` and `sandbox.export` want it."""
    raise NotImplementedError


def sandbox_epoch(agreements: Sequence[Agreement]) -> int:
    """Return the epoch of a sandbox: the sum over its agreements, it only grows."""
    raise NotImplementedError
