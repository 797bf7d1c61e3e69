"""Projects: members, what was agreed, the sandbox, what came out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sandbox.domain.permissions import Permission
from sandbox.domain.states import AgreementState
from sandbox.services import agreements, applications, exports, projects, releases, sandboxes
from sandbox.services.context import Context
from sandbox.store.tables import Project
from sandbox.web.pages import View, page, show, submit, to
from sandbox.web.request import read_form, reading, runtime_of, words

pages = APIRouter()
Form = Annotated[FormData, Depends(read_form)]


def listing(ctx: Context, request: Request) -> Response:
    """Show one's projects, with the form for a new one."""
    may = ctx.decide(Permission.PROJECT_CREATE)
    return page(request, "projects.html", ctx=ctx, projects=projects.projects(ctx), may_create=may.allow)


def why_not_open(ctx: Context, project: Project) -> tuple[str, dict[str, Any]]:
    """Return the reason beside the open button, as a message code with its parameters; empty when it can be used."""
    decision = ctx.decide(Permission.SANDBOX_OPEN, members=[m.person.login for m in project.members])
    if not decision.allow:
        return decision.reasons[0], {}
    live = sandboxes.in_force_agreements(ctx.db, project.id, ctx.now)
    if not live:
        return "agreement_not_active", {"project": project.title}
    waiting = [item.dataset.name for agreement in live for item in agreement.items if releases.live(ctx.db, item.id) is None]
    return ("release_not_ready", {"datasets": "、".join(waiting)}) if waiting else ("", {})


def own_sandbox(ctx: Context, project_id: str, request: Request) -> dict[str, Any] | None:
    """Return the person's newest sandbox of a project as the API shows it."""
    rows = [s for s in sandboxes.visible_sandboxes(ctx) if s.project_id == project_id and s.person_id == ctx.actor.id]
    return sandboxes.sandbox_view(ctx, rows[0], runtime_of(request).settings) if rows else None


def one(project_id: str) -> View:
    """Return the view of a project."""

    def view(ctx: Context, request: Request) -> Response:
        project = projects.project(ctx, project_id)
        mine = [a for a in applications.applications(ctx) if a.project_id == project.id]
        unfinished = any(a.state != "assessed" for a in mine)
        members = [m.person.login for m in project.members]
        apply = ctx.decide(Permission.APPLICATION_WRITE, members=members, author=project.author.login)
        code, params = why_not_open(ctx, project)
        agreed = [a for a in agreements.agreements(ctx) if a.project_id == project.id]
        return page(
            request,
            "project.html",
            ctx=ctx,
            project=project,
            applications=mine,
            unfinished=unfinished,
            may_apply=apply.allow and not unfinished,
            may_add=ctx.may(Permission.PROJECT_ADD_MEMBER, author=project.author.login, members=members),
            agreements=agreed,
            pending=[a for a in agreed if a.state is AgreementState.OFFERED],
            exports=[(e, exports.shown_state(e)) for e in exports.exports(ctx) if e.project_id == project.id],
            sandbox=own_sandbox(ctx, project.id, request),
            why_not=code,
            why_params=params,
        )

    return view


@pages.get("/projects")
def show_projects(request: Request) -> Response:
    """One's projects."""
    return show(request, listing)


@pages.post("/projects")
def create(request: Request, form: Form) -> Response:
    """Start a project."""

    def act(ctx: Context) -> Response:
        project = projects.create_project(ctx, title=words(form, "title"), purpose=words(form, "purpose"))
        return to(f"/projects/{project.id}", "created")

    return submit(request, act, listing)


@pages.get("/projects/{project}")
def show_project(request: Request, project: str) -> Response:
    """A project."""
    return show(request, one(project))


@pages.post("/projects/{project}/members")
def add_member(request: Request, project: str, form: Form) -> Response:
    """Add a member."""

    def act(ctx: Context) -> Response:
        projects.add_member(ctx, project, login=words(form, "login"))
        return to(f"/projects/{project}", "member")

    return submit(request, act, one(project))


# The sandbox -------------------------------------------------------------------------------------------------------------


def sandbox_page(sandbox_id: str) -> View:
    """Return the view of a sandbox: its progress, the way in, what is not available yet."""

    def view(ctx: Context, request: Request) -> Response:
        row = sandboxes.find(ctx, sandbox_id)
        shown = sandboxes.sandbox_view(ctx, row, runtime_of(request).settings)
        code, params = why_not_open(ctx, row.project)
        mine = row.person_id == ctx.actor.id
        return page(request, "sandbox.html", ctx=ctx, sandbox=shown, row=row, mine=mine, why_not=code, why_params=params)

    return view


@pages.post("/projects/{project}/sandbox/open")
def open_sandbox(request: Request, project: str, form: Form) -> Response:
    """Ask for one's sandbox to start, in the environment chosen."""

    def act(ctx: Context) -> Response:
        return to(f"/sandboxes/{sandboxes.open_sandbox(ctx, project, words(form, 'environment') or None).id}")

    return submit(request, act, one(project))


@pages.get("/sandboxes")
def show_sandboxes(request: Request) -> Response:
    """The sandboxes one may see."""

    def view(ctx: Context, request: Request) -> Response:
        settings = runtime_of(request).settings
        rows = [sandboxes.sandbox_view(ctx, s, settings) for s in sandboxes.visible_sandboxes(ctx)]
        return page(request, "sandboxes.html", ctx=ctx, sandboxes=rows)

    return show(request, view)


@pages.get("/sandboxes/{sandbox}")
def show_sandbox(request: Request, sandbox: str) -> Response:
    """A sandbox."""
    return show(request, sandbox_page(sandbox))


@pages.get("/sandboxes/{sandbox}/progress")
def progress(request: Request, sandbox: str, state: str = "") -> Response:
    """The part of a sandbox's page that changes; when the state is another one, the page is loaded anew."""
    with reading(request) as ctx:
        row = sandboxes.find(ctx, sandbox)
        shown = sandboxes.sandbox_view(ctx, row, runtime_of(request).settings)
        response = page(request, "part_sandbox.html", ctx=ctx, sandbox=shown)
        if shown["state"] != state:
            response.headers["HX-Refresh"] = "true"
        return response


@pages.post("/sandboxes/{sandbox}/close")
def close(request: Request, sandbox: str, form: Form) -> Response:
    """End the running session."""
    del form

    def act(ctx: Context) -> Response:
        sandboxes.close_sandbox(ctx, sandbox)
        return to(f"/sandboxes/{sandbox}", "closed")

    return submit(request, act, sandbox_page(sandbox))
