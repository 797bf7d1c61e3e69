"""Pages of what people ask for: more display in a project, packages in the image."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sandbox.domain.agreements import in_force
from sandbox.domain.errors import Refusal
from sandbox.domain.permissions import Permission
from sandbox.services import agreements, extensions, packages, projects
from sandbox.services.context import Context
from sandbox.store.tables import DisplayRequest
from sandbox.web.formats import SHANGHAI, whole_copies
from sandbox.web.pages import View, page, show, submit, to
from sandbox.web.request import read_form, words
from sandbox.web.routes.requests_api import own_budget

pages = APIRouter()
Form = Annotated[FormData, Depends(read_form)]
KIB, MIB = 1 << 10, 1 << 20
UNITS = {"cell_bytes": ("cell_kib", KIB), "hour_bytes": ("hour_mib", MIB), "day_bytes": ("day_mib", MIB)}


def sizes(ctx: Context, project: str) -> list[tuple[str, int | None]]:
    """Return data set and bytes of each release in force.

    The size is that of the release's Parquet file, compressed: the smallest form in which all of it could cross, so the fewest days.
    """
    live = [a for a in agreements.of_project(ctx.db, project) if in_force(a, a.holds, ctx.now)]
    return [(i.dataset.name, i.releases[-1].bytes) for a in live for i in a.items if i.releases]


def shown_state(ctx: Context, row: DisplayRequest) -> str:
    """Return the state a person sees: an approved one is over when its time is."""
    ended = row.state == "approved" and datetime.fromisoformat(extensions.granted(row)["until"]) <= ctx.now
    return "over" if ended else row.state.value


def figures_of(form: FormData) -> dict[str, int | None]:
    """Return the bytes of a form's figures in KiB and MiB; a Refusal names the field."""
    figures: dict[str, int | None] = {}
    for name, (field, unit) in UNITS.items():
        typed = words(form, field)
        if typed and not (typed.isascii() and typed.isdigit() and len(typed) < 9):
            raise Refusal("number_out_of_range", field=field, low=1, high=extensions.MOST_BYTES // unit)
        figures[name] = int(typed) * unit if typed else None
    return figures


def until_of(form: FormData) -> datetime | None:
    """Return the end typed as a time of Asia/Shanghai."""
    typed = words(form, "until")
    try:
        return datetime.fromisoformat(typed).replace(tzinfo=SHANGHAI) if typed else None
    except ValueError as error:
        raise Refusal("field_invalid", field="until") from error


def project_display(project_id: str) -> View:
    """Return the view of one's budget in a project."""

    def view(ctx: Context, request: Request) -> Response:
        project = projects.project(ctx, project_id)
        asked = ctx.decide(Permission.DISPLAY_ASK, members=projects.logins(project))
        rows = [(row, shown_state(ctx, row)) for row in extensions.requests(ctx, project=project.id)]
        waiting = any(row.state == "requested" and row.person_id == ctx.actor.id for row, _ in rows)
        why = asked.reasons[0] if not asked.allow else "display_pending" if waiting else ""
        budget = own_budget(ctx, project.id)
        return page(request, "display.html", ctx=ctx, project=project, rows=rows, why=why, budget=budget)

    return view


def display_request(request_id: str) -> View:
    """Return the view of a request for more display."""

    def view(ctx: Context, request: Request) -> Response:
        row = extensions.request(ctx, request_id)
        return page(
            request,
            "display_request.html",
            ctx=ctx,
            row=row,
            state=shown_state(ctx, row),
            waiting=extensions.waiting_bodies(ctx, row),
            may_withdraw=row.state == "requested" and ctx.may(Permission.DISPLAY_WITHDRAW, author=row.person.login),
            may_revoke=row.state == "approved" and extensions.may_revoke(ctx, row),
            granted=extensions.granted(row) if row.state == "approved" else None,
            copies=whole_copies(sizes(ctx, row.project_id), row.day_bytes),
        )

    return view


def package_list(ctx: Context, request: Request) -> Response:
    """Show all requests for packages, and the form for a new one."""
    rows = packages.requests(ctx)
    return page(
        request,
        "packages.html",
        ctx=ctx,
        rows=rows,
        may_ask=ctx.may(Permission.PACKAGE_ASK),
        may_decide={row.id: ctx.decide(Permission.PACKAGE_DECIDE, author=row.author.login) for row in rows},
    )


@pages.get("/projects/{project}/display")
def show_project_display(request: Request, project: str) -> Response:
    """One's budget in a project."""
    return show(request, project_display(project))


@pages.post("/projects/{project}/display")
def ask_display(request: Request, project: str, form: Form) -> Response:
    """Ask for more."""

    def act(ctx: Context) -> Response:
        figures = figures_of(form)
        for name, value in figures.items():
            if not value:
                raise Refusal("field_required", field=UNITS[name][0])
        made = extensions.ask(ctx, project, figures=figures, until=until_of(form), reason=words(form, "reason"))
        return to(f"/display/{made.id}", "asked")

    return submit(request, act, project_display(project))


@pages.get("/display")
def show_display(request: Request) -> Response:
    """The requests for more display that one may see."""

    def view(ctx: Context, request: Request) -> Response:
        rows = [(row, shown_state(ctx, row)) for row in extensions.requests(ctx)]
        return page(request, "displays.html", ctx=ctx, rows=rows)

    return show(request, view)


@pages.get("/display/{one}")
def show_display_request(request: Request, one: str) -> Response:
    """A request for more display."""
    return show(request, display_request(one))


@pages.post("/display/{one}/decide")
def decide_display(request: Request, one: str, form: Form) -> Response:
    """Decide for one's owner body."""

    def act(ctx: Context) -> Response:
        extensions.decide(
            ctx,
            one,
            answer=words(form, "answer"),
            reason=words(form, "reason"),
            figures=figures_of(form),
            until=until_of(form),
            body=words(form, "body") or None,
        )
        return to(f"/display/{one}", "decided")

    return submit(request, act, display_request(one))


@pages.post("/display/{one}/withdraw")
def withdraw_display(request: Request, one: str, form: Form) -> Response:
    """Take one's own request back."""
    del form

    def act(ctx: Context) -> Response:
        extensions.withdraw(ctx, one)
        return to(f"/display/{one}", "withdrawn")

    return submit(request, act, display_request(one))


@pages.post("/display/{one}/revoke")
def revoke_display(request: Request, one: str, form: Form) -> Response:
    """End what was agreed, at once."""

    def act(ctx: Context) -> Response:
        extensions.revoke(ctx, one, reason=words(form, "reason"))
        return to(f"/display/{one}", "display_revoked")

    return submit(request, act, display_request(one))


@pages.get("/packages")
def show_packages(request: Request) -> Response:
    """The requests for packages."""

    def view(ctx: Context, request: Request) -> Response:
        ctx.require(Permission.PACKAGE_READ)
        return package_list(ctx, request)

    return show(request, view)


@pages.post("/packages")
def ask_package(request: Request, form: Form) -> Response:
    """Ask for a package."""

    def act(ctx: Context) -> Response:
        packages.ask(ctx, **{name: words(form, name) for name in ("ecosystem", "name", "version", "reason")})
        return to("/packages", "asked")

    return submit(request, act, package_list)


@pages.post("/packages/{one}/decide")
def decide_package(request: Request, one: str, form: Form) -> Response:
    """Approve or reject a package."""

    def act(ctx: Context) -> Response:
        packages.decide(ctx, one, answer=words(form, "answer"), reason=words(form, "reason"))
        return to("/packages", "decided")

    return submit(request, act, package_list)
