"""Time comes from outside: rules compare, they never look at a clock."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Something that tells the time, always in UTC."""

    def __call__(self) -> datetime:
        """Return the present time, aware and in UTC."""
        ...


def system_clock() -> datetime:
    """Tell the machine's time in UTC."""
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds and `Z`, the only form that leaves a process (interfaces.md, 1)."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone says nothing")
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
