"""Log-in and web sessions. Attempts are counted in the database, an unknown name costs the same time, a code counts once."""

import hashlib
import hmac
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
# Failures within WINDOW that lock, by what is counted: an account, or everyone behind one address.
LIMITS = {"login": 5, "address": 50}
WINDOW = timedelta(minutes=15)
LOCK = timedelta(minutes=15)
# Steps of 30 s that a clock may be off, either way.
DRIFT = 1
_DUMMY = HASHER.hash(secrets.token_urlsafe(16))


@dataclass(frozen=True)
class Outcome:
    """What a log-in came to: a person, or the code of why not."""

    person: Person | None
    code: str | None


def authenticate(db: Session, now: datetime, *, login: str, password: str, otp: str | None, address: str, demo: bool = False) -> Outcome:
    """Check password, one-time code (not in `demo`) and lock-out (P7).

    Never raises for a wrong answer, since the counters must be committed: the caller commits either way and looks at the outcome
    (`login_failed`, `login_locked`). What was typed as a name is recorded only when it is a person's.
    """
    counters = [_counter(db, now, "login", _key(login)), _counter(db, now, "address", _key(address))]
    person = by_login(db, login)
    right = _password_right(person, password)
    if any(counter.locked_until is not None and now < counter.locked_until for counter in counters):
        return Outcome(None, "login_locked")
    if person is not None and right and (demo or _code_right(db, now, person, otp)):
        counters[0].failures = 0
        _record(db, now, "login.succeeded", person, actor_of(person), address=address)
        return Outcome(person, None)
    for counter in counters:
        counter.failures += 1
        if counter.failures >= LIMITS[counter.kind]:
            counter.locked_until = now + LOCK
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


def _counter(db: Session, now: datetime, kind: str, key: str) -> LoginCounter:
    """Return the counter, locked against others; started anew when its window or its lock is over."""
    row = db.get(LoginCounter, (kind, key), with_for_update=True)
    if row is None:
        try:
            with db.begin_nested():
                row = LoginCounter(kind=kind, key=key, failures=0, since=now)
                db.add(row)
        except IntegrityError:
            row = db.get_one(LoginCounter, (kind, key), with_for_update=True)
    over = now >= row.locked_until if row.locked_until is not None else now - row.since > WINDOW
    if over:
        row.failures, row.since, row.locked_until = 0, now, None
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
