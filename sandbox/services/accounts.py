"""Log-in and web sessions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from sandbox.domain.actor import Actor
from sandbox.store.tables import Person, WebSession


@dataclass(frozen=True)
class Outcome:
    """What a log-in came to."""

    person: Person | None
    code: str | None


def authenticate(db: Session, now: datetime, *, login: str, password: str, otp: str | None, address: str, demo: bool = False) -> "Outcome":
    """Check password, one-time code and lock-out; NEVER raises, so that the counters are committed: look at `Outcome.person` (None = no) and `Outcome.code` (`login_failed`, `login_locked`). The caller commits either way."""
    raise NotImplementedError


def start_session(db: Session, now: datetime, person: Person, *, hours: int = 8) -> tuple[str, WebSession]:
    """Start a web session of a person the hub logged in; return the cookie's token (shown once) and the row with `csrf`."""
    raise NotImplementedError


def session(db: Session, token: str, now: datetime) -> WebSession | None:
    """Return the live web session of a token, of an active person, or None."""
    raise NotImplementedError


def end_session(db: Session, now: datetime, token: str) -> None:
    """End a web session; an unknown token is no error."""
    raise NotImplementedError


def by_login(db: Session, login: str) -> Person | None:
    """Return an active person by login, or None."""
    raise NotImplementedError


def actor_of(person: Person) -> Actor:
    """Return a person as an actor with the roles in force."""
    raise NotImplementedError
