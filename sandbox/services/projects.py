"""Projects and their members: what people work on together, and for which purpose (A10.2)."""

from collections.abc import Sequence

from sqlalchemy import select

from sandbox.domain import fields
from sandbox.domain.errors import Refusal
from sandbox.domain.permissions import Permission
from sandbox.domain.states import ProjectState
from sandbox.services.accounts import by_login
from sandbox.services.context import Context, not_visible
from sandbox.store.db import unique_or
from sandbox.store.tables import Member, Person, Project


def projects(ctx: Context) -> Sequence[Project]:
    """Return the actor's projects, newest first."""
    mine = select(Member.project_id).where(Member.person_id == ctx.actor.id)
    found = ctx.db.scalars(select(Project).where(Project.id.in_(mine)).order_by(Project.created.desc(), Project.id))
    return [project for project in found if ctx.may(Permission.PROJECT_READ, members=logins(project))]


def project(ctx: Context, project_id: str) -> Project:
    """Return a project the actor may see; 404 `not_visible`."""
    found = ctx.db.get(Project, project_id)
    if found is None:
        raise not_visible("project")
    ctx.visible(Permission.PROJECT_READ, members=logins(found))
    return found


def create_project(ctx: Context, *, title: str, purpose: str) -> Project:
    """Start a project; the author is its first member and, as a natural person, the party that uses the data."""
    ctx.require(Permission.PROJECT_CREATE)
    author = ctx.db.get_one(Person, ctx.actor.id)
    made = Project(
        created=ctx.now,
        title=fields.required(title, "title", longest=200),
        purpose=fields.required(purpose, "purpose"),
        state=ProjectState.ACTIVE,
        author=author,
        party_id=author.party_id,
    )
    ctx.db.add(made)
    ctx.db.flush()
    made.members.append(Member(person=author, added_by=author.id, created=ctx.now))
    ctx.record("project.created", refs={"project": made.id}, texts={"title": made.title, "purpose": made.purpose})
    return made


def add_member(ctx: Context, project_id: str, *, login: str) -> Member:
    """Add a person to one's project; `person_unknown`, `already_member` (409)."""
    found = project(ctx, project_id)
    ctx.require(Permission.PROJECT_ADD_MEMBER, author=found.author.login, members=logins(found))
    person = by_login(ctx.db, fields.required(login, "login", longest=32))
    if person is None:
        raise Refusal("person_unknown", field="login", login=login)
    if person.login in logins(found):
        raise Refusal("already_member", field="login", status=409, login=login)
    member = Member(project_id=found.id, person=person, added_by=ctx.actor.id, created=ctx.now)
    with unique_or(ctx.db, "already_member", field="login", login=login):
        ctx.db.add(member)
    ctx.db.expire(found, ["members"])
    ctx.record("project.member_added", refs={"project": found.id, "person": person.id}, data={"login": person.login})
    return member


def logins(found: Project) -> list[str]:
    """Return the logins of a project's members, as policy wants them."""
    return sorted(member.person.login for member in found.members)
