"""Projects and members."""

from sandbox.services.context import Context
from sandbox.store.tables import Member, Project


def projects(ctx: Context) -> list[Project]:
    """Return the actor's projects, newest first."""
    raise NotImplementedError


def project(ctx: Context, project_id: str) -> Project:
    """Return one project; `not_visible`."""
    raise NotImplementedError


def create_project(ctx: Context, *, title: str, purpose: str) -> Project:
    """Start a project; the author is its first member."""
    raise NotImplementedError


def add_member(ctx: Context, project_id: str, *, login: str) -> Member:
    """Add a person; `person_unknown`, `already_member`."""
    raise NotImplementedError
