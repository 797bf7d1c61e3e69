"""The display budget of a person's work in a project: what may still be shown, in the last 60 minutes and 24 hours.

It belongs to person and project, not to a sandbox: a new one, a restart or a second browser gives nothing new. A session asks
before it shows (`reserve`) and gives back what it did not use; what a session that died had in hand stays spent. Bytes are
counted in minutes, and a minute leaves a window only when all of it has: never early, at most a minute late.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, func, select
from sqlalchemy.orm import Session

from sandbox.domain.clock import stamp
from sandbox.domain.errors import Refusal
from sandbox.domain.states import Desired, SandboxState
from sandbox.services import extensions
from sandbox.services.context import Context
from sandbox.store.tables import DisplayBucket, Sandbox, SandboxSession

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
POLICY = "sandbox.display"


@dataclass(frozen=True)
class Limits:
    """Bytes that may be shown: by one cell, in 60 minutes, in 24 hours; `extension_until` when owner bodies agreed to more."""

    cell_bytes: int
    hour_bytes: int
    day_bytes: int
    extension_until: str | None = None


NOTHING = Limits(0, 0, 0)


def limits(ctx: Context, *, project: str, person: str, epoch: int = 0) -> Limits | None:
    """Ask policy for the limits of a person in a project; None when it gave no answer, which means nothing may be shown."""
    extension = extensions.in_force(ctx.db, project, person, ctx.now)
    facts = {"lease": {"live": True, "epoch": epoch}, "cell_bytes": 0, "now": stamp(ctx.now), "extension": extension}
    decision = ctx.policy.decide(POLICY, facts)
    cell, hour, day = (decision.obligations.get(name) for name in ("cell_bytes", "hour_bytes", "day_bytes"))
    if not decision.allow or not (isinstance(cell, int) and isinstance(hour, int) and isinstance(day, int)):
        return None
    until = extension["until"] if extension and decision.obligations.get("extended") is True else None
    return Limits(cell, hour, day, until)


def default_day(ctx: Context) -> int | None:
    """Return the bytes a day that policy allows without an extension; None while it does not answer."""
    facts = {"lease": {"live": True, "epoch": 0}, "cell_bytes": 0, "now": stamp(ctx.now), "extension": None}
    day = ctx.policy.decide(POLICY, facts).obligations.get("day_bytes")
    return day if isinstance(day, int) else None


def session_limits(ctx: Context, *, sandbox_id: str, boot: str) -> Limits:
    """Return the limits of a live session, before the transaction that reserves; Refusal `policy_unavailable` (503), or as `reserve`."""
    session = _live(ctx.db, sandbox_id, boot, lock=False)
    found = limits(ctx, project=session.sandbox.project_id, person=session.sandbox.person_id, epoch=session.epoch)
    if found is None:
        raise Refusal("policy_unavailable", status=503)
    return found


def reserve(
    ctx: Context, *, sandbox_id: str, boot: str, reserve: int, give_back: int, allowed: Limits, request: str | None = None
) -> dict[str, Any]:
    """Take back `give_back` bytes, then grant as many of `reserve` as the windows have left; return the answer (interfaces.md, 6).

    The lock on the sandbox makes requests of one budget wait for each other. A session gives back only what it was granted itself in
    the last hour, newest first. `request` names the request: the last one is answered again and counted once.
    `session_ended` (409) or the reason of its cut.
    """
    session = _live(ctx.db, sandbox_id, boot, lock=True)
    sandbox, minute = session.sandbox, _minute(ctx.now)
    mine = select(DisplayBucket).where(DisplayBucket.session_id == session.id, DisplayBucket.minute >= minute - 60)
    newest = list(ctx.db.scalars(mine.order_by(DisplayBucket.minute.desc()).limit(None if give_back else 1)))
    last = newest[0] if newest else None
    if request is not None and last is not None and last.request == request:
        return dict(last.answer)
    for bucket in newest:
        back = min(give_back, bucket.granted - bucket.returned)
        if back:
            bucket.returned += back
            give_back -= back
    ctx.db.flush()
    hour, day = spent(ctx.db, sandbox.project_id, sandbox.person_id, ctx.now)
    granted = max(0, min(reserve, allowed.hour_bytes - hour, allowed.day_bytes - day))
    if last is None or last.minute != minute:
        last = DisplayBucket(
            project_id=sandbox.project_id,
            person_id=sandbox.person_id,
            session_id=session.id,
            minute=minute,
            granted=0,
            returned=0,
            answer={},
        )
        ctx.db.add(last)
        # Once a minute, what no window reaches any more goes; the record of what was shown is the session's own.
        ctx.db.execute(delete(DisplayBucket).where(DisplayBucket.minute < _minute(ctx.now - DAY)))
    last.granted += granted
    last.request = request
    last.answer = {"granted": granted, **_left(allowed, hour + granted, day + granted)}
    ctx.db.flush()
    return last.answer


def facts(ctx: Context, *, project: str, person: str, epoch: int) -> dict[str, Any]:
    """Return the budget as the lease tells it; without an answer of policy nothing is left."""
    allowed = limits(ctx, project=project, person=person, epoch=epoch) or NOTHING
    return _left(allowed, *spent(ctx.db, project, person, ctx.now))


def spent(db: Session, project: str, person: str, now: datetime) -> tuple[int, int]:
    """Return the bytes granted and not given back in the last 60 minutes and the last 24 hours."""
    net = DisplayBucket.granted - DisplayBucket.returned
    since = _minute(now - HOUR)
    query = select(func.coalesce(func.sum(case((DisplayBucket.minute >= since, net), else_=0)), 0), func.coalesce(func.sum(net), 0)).where(
        DisplayBucket.project_id == project, DisplayBucket.person_id == person, DisplayBucket.minute >= _minute(now - DAY)
    )
    hour, day = db.execute(query).one()
    return int(hour), int(day)


def _left(allowed: Limits, hour: int, day: int) -> dict[str, Any]:
    left: Mapping[str, int] = {"hour_left": max(0, allowed.hour_bytes - hour), "day_left": max(0, allowed.day_bytes - day)}
    return {**asdict(allowed), **left}


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


def _live(db: Session, sandbox_id: str, boot: str, *, lock: bool) -> SandboxSession:
    sandbox = db.get(Sandbox, sandbox_id, with_for_update=True if lock else None, populate_existing=lock)
    query = select(SandboxSession).where(SandboxSession.boot == boot, SandboxSession.sandbox_id == sandbox_id)
    session = db.scalars(query.where(SandboxSession.ended_at.is_(None))).one_or_none()
    if sandbox is None or session is None:
        raise Refusal("session_ended", status=409)
    if sandbox.desired is Desired.CUT or sandbox.state is SandboxState.CUT:
        raise Refusal(sandbox.reason or "access_withdrawn", status=409)
    return session
