"""Log-in and web sessions. Attempts are counted in the database, an unknown name costs the same time, a code counts once."""

import hashlib
import hmac
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sandbox.domain.actor import ANONYMOUS, Actor, Grant
from sandbox.domain.states import GrantState
from sandbox.store import outbox
from sandbox.store.tables import LoginCounter, Person, UsedCode, WebSession

HASHER = PasswordHasher()
# Failures within WINDOW that lock for LOCK: of an account from one place, and of names nobody has from one place.
PAIR_LIMIT, UNKNOWN_LIMIT = 5, 50
WINDOW = timedelta(minutes=15)
LOCK = timedelta(minutes=15)
# An account's own throttle, wherever the tries come from: from the FREE-th failure on the wait doubles, up to SLOWEST seconds.
FREE, SLOWEST = 5, 60
# A place from which an account logged in is known for so long; the throttle, which strangers can cause, does not hold there.
KNOWN = timedelta(days=30)
# Steps of 30 s that a clock may be off, either way.
DRIFT = 1
_DUMMY = HASHER.hash(secrets.token_urlsafe(16))


@dataclass(frozen=True)
class Outcome:
    """What a log-in came to: a person, or the code of why not; `seconds` to wait when locked."""

    person: Person | None
    code: str | None
    seconds: int = 0


def authenticate(
    db: Session,
    now: datetime,
    *,
    login: str,
    password: str,
    otp: str | None,
    address: str,
    device: str = "",
    device_new: bool = False,
    demo: bool = False,
) -> Outcome:
    """Check password, one-time code (not in `demo`) and what slows guessing (P7).

    A place is an `address`, empty when many people share it (a proxy's), or a browser: the hub signs `device`, and one that is new
    counts only from this log-in on. Without a place only the account's throttle holds. Nobody can lock a person out for long from another place.
    Never raises for a wrong answer, since the counters must be committed: the caller commits either way and looks at the outcome
    (`login_failed`, `login_locked`). What was typed as a name is recorded only when it is a person's.
    """
    named = [f"{kind} {value}" for kind, value in (("address", address), ("device", device)) if value]
    places = named[:-1] if device and device_new else named
    throttle = _counter(db, now, "login", _key(login))
    pairs = [_counter(db, now, "address", _key(f"pair {place} {login}")) for place in places]
    strangers = [_counter(db, now, "address", _key(f"unknown {place}")) for place in places]
    person = by_login(db, login)
    right = _password_right(person, password)
    known = person is not None and any(_known(db, now, person, place) for place in places)
    # Whether the password is right changes nothing while it is locked: a guess gets no answer then.
    waits = [*pairs, *([] if known else [throttle, *strangers])]
    seconds = max((math.ceil((c.locked_until - now).total_seconds()) for c in waits if c.locked_until is not None), default=0)
    if seconds > 0:
        return Outcome(None, "login_locked", seconds)
    if person is not None and right and (demo or _code_right(db, now, person, otp)):
        for counter in (throttle, *pairs):
            counter.failures, counter.locked_until = 0, None
        for place in named:
            _remember(db, now, person, place)
        _record(db, now, "login.succeeded", person, actor_of(person), address=address)
        return Outcome(person, None)
    for counter in pairs:
        _fail(counter, now, PAIR_LIMIT)
    for counter in strangers if person is None else ():
        _fail(counter, now, UNKNOWN_LIMIT)
    throttle.failures, throttle.since = throttle.failures + 1, now
    if throttle.failures >= FREE:
        throttle.locked_until = now + timedelta(seconds=min(SLOWEST, 2 ** min(throttle.failures - FREE, 10)))
    _record(db, now, "login.failed", person, ANONYMOUS, address=address)
    return Outcome(None, "login_failed")


def start_session(db: Session, now: datetime, person: Person, *, hours: int = 8) -> tuple[str, WebSession]:
    """Start a web session of a person whom the hub has logged in; return the cookie's token, shown once, and the row with `csrf`."""
    token = secrets.token_urlsafe(32)
    row = WebSession(
        token_hash=_hash(token),
        person_id=person.id,
        person=person,
        csrf=secrets.token_urlsafe(32),
        created=now,
        expires=now + timedelta(hours=hours),
    )
    db.add(row)
    _record(db, now, "web_session.started", person, actor_of(person))
    return token, row


def session(db: Session, token: str, now: datetime) -> WebSession | None:
    """Return the live web session of a token, or None; a person who is not active any more has none."""
    row = db.get(WebSession, _hash(token))
    if row is None or row.ended_at is not None or now >= row.expires or not row.person.active:
        return None
    return row


def end_session(db: Session, now: datetime, token: str) -> None:
    """End a web session; one that is unknown or over is no error."""
    row = db.get(WebSession, _hash(token))
    if row is None or row.ended_at is not None:
        return
    row.ended_at = now
    _record(db, now, "web_session.ended", row.person, actor_of(row.person))


def by_login(db: Session, login: str) -> Person | None:
    """Return an active person by login, or None."""
    return db.scalars(select(Person).where(Person.login == login, Person.active)).one_or_none()


def actor_of(person: Person) -> Actor:
    """Return a person as an actor with the roles in force."""
    grants = tuple(
        Grant(grant.role, grant.body.code if grant.body else None, grant.body.kind if grant.body else None)
        for grant in sorted(person.grants, key=lambda grant: (grant.role, grant.id))
        if grant.state is GrantState.ACTIVE
    )
    return Actor(type="person", id=person.id, login=person.login, active=person.active, roles=grants)


def _password_right(person: Person | None, password: str) -> bool:
    try:
        return HASHER.verify(person.password_hash if person else _DUMMY, password) and person is not None
    except (VerificationError, InvalidHashError):
        return False


def _code_right(db: Session, now: datetime, person: Person, otp: str | None) -> bool:
    """Accept a code of the present step or a neighbour, later than any used before; the primary key settles a race."""
    if not person.totp_secret or not otp or not otp.isascii():
        return False
    totp = pyotp.TOTP(person.totp_secret)
    step = totp.timecode(now)
    last = db.scalar(select(func.max(UsedCode.counter)).where(UsedCode.person_id == person.id))
    for counter in range(step - DRIFT, step + DRIFT + 1):
        if hmac.compare_digest(totp.generate_otp(counter), otp) and (last is None or counter > last):
            try:
                with db.begin_nested():
                    db.add(UsedCode(person_id=person.id, counter=counter, created=now))
            except IntegrityError:
                return False
            return True
    return False


def _fail(counter: LoginCounter, now: datetime, limit: int) -> None:
    counter.failures += 1
    if counter.failures >= limit:
        counter.locked_until = now + LOCK


def _known(db: Session, now: datetime, person: Person, place: str) -> bool:
    """Say whether the person logged in from `place` of late."""
    row = db.get(LoginCounter, ("address", _key(f"known {place} {person.id}")))
    return row is not None and now - row.since <= KNOWN


def _remember(db: Session, now: datetime, person: Person, place: str) -> None:
    """Note that the person logged in from `place` now: a row without failures, `since` is when."""
    _row(db, now, "address", _key(f"known {place} {person.id}")).since = now


def _counter(db: Session, now: datetime, kind: str, key: str) -> LoginCounter:
    """Return the counter, locked against others; started anew when its window or its lock is over.

    An account's own (`login`) is over only when nobody failed for a window, so that waiting out one delay does not undo the next.
    """
    row = _row(db, now, kind, key)
    over = now >= row.locked_until if row.locked_until is not None and kind != "login" else now - row.since > WINDOW
    if over:
        row.failures, row.since, row.locked_until = 0, now, None
    return row


def _row(db: Session, now: datetime, kind: str, key: str) -> LoginCounter:
    row = db.get(LoginCounter, (kind, key), with_for_update=True)
    if row is None:
        try:
            with db.begin_nested():
                row = LoginCounter(kind=kind, key=key, failures=0, since=now)
                db.add(row)
        except IntegrityError:
            row = db.get_one(LoginCounter, (kind, key), with_for_update=True)
    return row


def _key(words: str) -> str:
    """Return what a counter is kept under: a hash, because people type passwords where the name goes."""
    return _hash(words.strip().lower())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _record(db: Session, now: datetime, kind: str, person: Person | None, actor: Actor, *, address: str | None = None) -> None:
    outbox.record(
        db,
        kind,
        now=now,
        actor=actor.record(),
        refs={"person": person.id} if person else {},
        data={"address": address} if address else {},
    )
