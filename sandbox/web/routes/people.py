"""Persons, bodies and roles: the administrator asks, the security officer confirms (三员分立)."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sandbox.domain.permissions import Permission
from sandbox.domain.states import Role
from sandbox.services import people
from sandbox.services.context import Context
from sandbox.store.tables import Person
from sandbox.web.pages import page, show, submit, to
from sandbox.web.request import read_form, words

pages = APIRouter()
Form = Annotated[FormData, Depends(read_form)]


def overview(ctx: Context, request: Request) -> Response:
    """Show persons, bodies and role grants, with the forms the actor may use."""
    persons = people.persons(ctx)
    grants = people.grants(ctx)
    confirm = {
        g.id: ctx.decide(Permission.ROLE_CONFIRM, author=_login(persons, g.requested_by), subject=g.person.login)
        for g in grants
        if g.state == "requested"
    }
    end = {g.id: ctx.decide(Permission.ROLE_END, subject=g.person.login) for g in grants if g.state != "ended"}
    deactivate = {p.id: ctx.decide(Permission.PERSON_DEACTIVATE, subject=p.login) for p in persons if p.active}
    return page(
        request,
        "people.html",
        end=end,
        deactivate=deactivate,
        ctx=ctx,
        persons=persons,
        bodies=people.bodies(ctx),
        grants=grants,
        confirm=confirm,
        may_write=ctx.may(Permission.PERSON_CREATE),
        officer=ctx.actor.has(Role.OFFICER),
    )


def _login(persons: Sequence[Person], person_id: str | None) -> str | None:
    return next((p.login for p in persons if p.id == person_id), None)


@pages.get("/people")
def show_people(request: Request) -> Response:
    """Persons, bodies, roles."""
    return show(request, overview)


@pages.post("/people/persons")
def create_person(request: Request, form: Form) -> Response:
    """Make an account."""

    def act(ctx: Context) -> Response:
        fields = {name: words(form, name) for name in ("login", "name", "email", "lang")}
        password = form.get("password")
        people.create_person(ctx, **fields, password=password if isinstance(password, str) else "")
        return to("/people", "created")

    return submit(request, act, overview)


@pages.post("/people/bodies")
def create_body(request: Request, form: Form) -> Response:
    """Register a body."""

    def act(ctx: Context) -> Response:
        people.create_body(ctx, **{name: words(form, name) for name in ("code", "name_zh", "name_en", "kind")})
        return to("/people", "created")

    return submit(request, act, overview)


@pages.post("/people/roles")
def request_role(request: Request, form: Form) -> Response:
    """Ask for a role."""

    def act(ctx: Context) -> Response:
        people.request_role(ctx, login=words(form, "login"), role=words(form, "role"), body=words(form, "body") or None)
        return to("/people", "requested")

    return submit(request, act, overview)


@pages.post("/people/roles/{grant}/confirm")
def confirm_role(request: Request, grant: str, form: Form) -> Response:
    """Confirm a role."""
    del form

    def act(ctx: Context) -> Response:
        people.confirm_role(ctx, grant)
        return to("/people", "confirmed")

    return submit(request, act, overview)


@pages.post("/people/roles/{grant}/end")
def end_role(request: Request, grant: str, form: Form) -> Response:
    """End a role."""
    del form

    def act(ctx: Context) -> Response:
        people.end_role(ctx, grant)
        return to("/people", "ended")

    return submit(request, act, overview)


@pages.post("/people/persons/{login}/deactivate")
def deactivate(request: Request, login: str, form: Form) -> Response:
    """End an account."""
    del form

    def act(ctx: Context) -> Response:
        people.deactivate(ctx, login)
        return to("/people", "ended")

    return submit(request, act, overview)
