"""Bodies, persons, roles."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from sandbox.services.context import Context
from sandbox.store.tables import Body, Person, RoleGrant


@dataclass(frozen=True)
class Founder:
    """A person to begin with."""

    login: str
    name: str
    email: str
    password: str
    role: str
    lang: str = "zh-CN"


def bodies(ctx: Context) -> list[Body]:
    """Return all bodies by code."""
    raise NotImplementedError


def create_body(ctx: Context, *, code: str, name_zh: str, name_en: str, kind: str) -> Body:
    """Register an owner body or authority; `field_required`, `field_invalid`, `body_code_taken`."""
    raise NotImplementedError


def persons(ctx: Context) -> list[Person]:
    """Return all persons by login."""
    raise NotImplementedError


def create_person(ctx: Context, *, login: str, name: str, email: str, password: str, lang: str = "zh-CN") -> Person:
    """Make an account; `login_taken`, `login_reserved`, `field_invalid`."""
    raise NotImplementedError


def request_role(ctx: Context, *, login: str, role: str, body: str | None = None) -> RoleGrant:
    """Ask for a role for a person; `person_unknown`, `body_unknown`, `role_held`."""
    raise NotImplementedError


def grants(ctx: Context, *, state: str | None = None) -> list[RoleGrant]:
    """Return role grants, newest first."""
    raise NotImplementedError


def confirm_role(ctx: Context, grant_id: str) -> RoleGrant:
    """Confirm a role as security officer; `state_conflict` when it was done."""
    raise NotImplementedError


def bootstrap(db: Session, now: datetime, people: list[Founder]) -> list[Person]:
    """Make the first administrator and officer of an empty deployment (`sandbox init`); `already_set_up` when anyone exists."""
    raise NotImplementedError
