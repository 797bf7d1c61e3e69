"""Rules of agreements: when one is in force, what tightens it, how its epoch grows (A10.3, A11)."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from sandbox.domain.states import AgreementState


class Terms(Protocol):
    """What of an agreement decides whether it is in force."""

    @property
    def state(self) -> AgreementState:
        """Its state."""
        ...

    @property
    def not_after(self) -> datetime | None:
        """The first moment at which it is over."""
        ...


class HoldTerms(Protocol):
    """What of a hold decides whether it holds."""

    @property
    def until(self) -> datetime | None:
        """When it ends by itself, or None."""
        ...

    @property
    def lifted_at(self) -> datetime | None:
        """When a person lifted it, or None."""
        ...


class Change(StrEnum):
    """What can happen to an agreement that is active."""

    HOLD = "hold"
    LIFT = "lift"
    REVOKE = "revoke"
    END = "end"
    NARROW = "narrow"
    EXTEND = "extend"


_H = TypeVar("_H", bound=HoldTerms)
TIGHTENING = frozenset({Change.HOLD, Change.REVOKE, Change.END, Change.NARROW})


def live_holds(holds: Iterable[_H], now: datetime) -> list[_H]:
    """Return the holds that suspend access at `now`: not lifted, and not past their own end."""
    return [hold for hold in holds if hold.lifted_at is None and (hold.until is None or now < hold.until)]


def why_not(agreement: Terms, holds: Iterable[HoldTerms], now: datetime) -> str | None:
    """Return the code of why the agreement gives no access at `now`, or None when it is in force.

    Expiry is this comparison, made in each decision; a job that notes it afterwards changes nothing.
    """
    if agreement.state is AgreementState.EXPIRED:
        return "agreement_expired"
    if agreement.state is not AgreementState.ACTIVE or agreement.not_after is None:
        return "agreement_not_active"
    if now >= agreement.not_after:
        return "agreement_expired"
    return "agreement_held" if live_holds(holds, now) else None


def in_force(agreement: Terms, holds: Iterable[HoldTerms], now: datetime) -> bool:
    """Say whether the agreement gives access at `now`."""
    return why_not(agreement, holds, now) is None


def epoch_after(epoch: int, change: Change) -> int:
    """Return the epoch after a change: each tightening raises it, so what was granted before is void; nothing else does."""
    return epoch + 1 if change in TIGHTENING else epoch
