"""What a benchmark says: pure values, their JSON and their table."""

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

COMPARE = {"<=": lambda value, bound: value <= bound, ">=": lambda value, bound: value >= bound}
GOAL = re.compile(r"(?P<compare><=|>=) (?P<bound>[0-9.]+)(?P<ratio>x)?")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. `goal` is `<= 0.25x` (of the ratio) or `<= 250` (of `ours`, in `unit`); without a peer there is no ratio."""

    id: str
    what: str
    ours: float
    peer: float | None
    unit: str
    goal: str
    n: int
    how: str

    @property
    def ratio(self) -> float | None:
        """Ours as a multiple of the peer's."""
        return self.ours / self.peer if self.peer else None

    @property
    def ok(self) -> bool:
        """Whether the goal is met; a ratio that could not be had meets none."""
        found = GOAL.fullmatch(self.goal)
        if found is None:
            raise ValueError(f"{self.id}: {self.goal!r} is no goal")
        value = self.ratio if found["ratio"] else self.ours
        return value is not None and COMPARE[found["compare"]](value, float(found["bound"]))

    def as_json(self) -> dict[str, Any]:
        """The figure with what follows from it."""
        rounded = {"ours": round(self.ours, 3), "peer": None if self.peer is None else round(self.peer, 3)}
        return asdict(self) | rounded | {"ratio": None if self.ratio is None else round(self.ratio, 3), "ok": self.ok}


@dataclass(frozen=True, slots=True)
class Failure:
    """A benchmark that could not be measured, and why: a stable code and what to do."""

    id: str
    code: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """Tell the failure in the same list; `ok` is false."""
        return {"id": self.id, "ok": False, "error": {"code": self.code, "message": self.message}}


def median_ms(seconds: Sequence[float]) -> float:
    """Return the median of durations in seconds, as milliseconds."""
    return statistics.median(seconds) * 1000


def table(found: Iterable[Figure | Failure]) -> str:
    """Return the figures as lines for people, each with how it was measured."""
    lines = [f"{'':2}{'id':<12}{'ours':>12}{'peer':>12}{'ratio':>8}  {'goal':<10}{'n':>5}  what"]
    for one in found:
        if isinstance(one, Failure):
            lines.append(f"! {one.id:<12}{one.code}: {one.message}")
            continue
        peer = "–" if one.peer is None else f"{one.peer:.2f} {one.unit}"
        ratio = "–" if one.ratio is None else f"{one.ratio:.2f}x"
        ours = f"{one.ours:.2f} {one.unit}"
        lines += [
            f"{'✓' if one.ok else '✗'} {one.id:<12}{ours:>12}{peer:>12}{ratio:>8}  {one.goal:<10}{one.n:>5}  {one.what}",
            f"{'':14}{one.how}",
        ]
    return "\n".join(lines)
