"""Applications: the form with its drafts, and the owner body's assessment."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sandbox.domain.columns import may_be_accessed
from sandbox.domain.permissions import Permission
from sandbox.domain.states import Access, ApplicationState, VersionState
from sandbox.services import applications, catalogue, display, projects
from sandbox.services.context import Context
from sandbox.store.tables import Application, Dataset, Project, Version
from sandbox.web.formats import whole_copies
from sandbox.web.pages import View, page, show, submit, to
from sandbox.web.request import form_of, read_form, words

pages = APIRouter()
Form = Annotated[FormData, Depends(read_form)]
EDITABLE = frozenset({ApplicationState.DRAFT, ApplicationState.CHANGES_REQUESTED})


def offered(ctx: Context) -> list[tuple[Dataset, Version]]:
    """Return the datasets with a published version, which is the one an application is about."""
    pairs = ((d, [v for v in d.versions if v.state is VersionState.PUBLISHED]) for d in catalogue.datasets(ctx))
    return [(dataset, versions[-1]) for dataset, versions in pairs if versions]


def typed_fields(form: FormData) -> dict[str, Any]:
    """Return the form as the fields of a draft; what is missing or odd is kept as it is and named on submission."""
    days = words(form, "period_days")
    names = [str(name) for name in form.getlist("dataset")]
    return {
        **{name: words(form, name) for name in ("purpose", "scenario", "security_measures")},
        "period_days": int(days) if days.isdigit() and len(days) < 6 else None,
        "items": [
            {"dataset": name, "columns": [str(c) for c in form.getlist(f"column:{name}")], "access": words(form, f"access:{name}")}
            for name in names
        ],
    }


def form_page(ctx: Context, request: Request, project: Project, row: Application | None) -> Response:
    """Show the form: with what was typed just now, what the draft holds, or nothing."""
    form = form_of(request)
    if form is not None:
        fields = typed_fields(form)
    elif row is not None:
        fields = {
            "purpose": row.purpose,
            "scenario": row.scenario,
            "security_measures": row.security_measures,
            "period_days": row.period_days,
            "items": row.wanted,
        }
    else:
        fields = {"purpose": project.purpose, "scenario": "", "security_measures": "", "period_days": 180, "items": []}
    wanted = {item.get("dataset"): item for item in fields["items"]}
    action = f"/applications/{row.id}" if row else f"/projects/{project.id}/applications"
    return page(
        request,
        "apply.html",
        ctx=ctx,
        project=project,
        row=row,
        action=action,
        fields=fields,
        wanted=wanted,
        offered=offered(ctx),
        reachable=lambda column: [access.value for access in Access if may_be_accessed(column.column_class, access)],
    )


def new(project_id: str) -> View:
    """Return the view of an empty form for a project."""

    def view(ctx: Context, request: Request) -> Response:
        return form_page(ctx, request, projects.project(ctx, project_id), None)

    return view


def one(application_id: str) -> View:
    """Return the view of an application: the form while it can be changed by this person, else what was submitted."""

    def view(ctx: Context, request: Request) -> Response:
        row = applications.application(ctx, application_id)
        members = [m.person.login for m in row.project.members]
        if row.state in EDITABLE and ctx.may(Permission.APPLICATION_WRITE, members=members, author=row.author.login):
            return form_page(ctx, request, row.project, row)
        return page(request, "application.html", ctx=ctx, row=row, bodies=to_assess(ctx, row))

    return view


def to_assess(ctx: Context, row: Application) -> list[str]:
    """Return the codes of the bodies for which the actor can still decide."""
    if row.state is not ApplicationState.SUBMITTED:
        return []
    members = [m.person.login for m in row.project.members]
    done = {a.body.code for a in row.assessments if a.round == row.round or a.decision != "changes"}
    codes = dict.fromkeys(item.body.code for item in row.items)
    return [
        code
        for code in codes
        if code not in done and ctx.may(Permission.APPLICATION_ASSESS, body=code, author=row.author.login, members=members)
    ]


def assessment(application_id: str) -> View:
    """Return the view in which a steward decides: the application beside the conditions."""

    def view(ctx: Context, request: Request) -> Response:
        row = applications.application(ctx, application_id)
        bodies = to_assess(ctx, row)
        items = [item for item in row.items if item.body.code in bodies[:1]]
        # No release yet: the version's file (Parquet), by the share of its columns that is asked for.
        shares = [(i.dataset.name, (i.version.bytes or 0) * len(i.columns) // max(1, len(i.version.columns))) for i in items]
        copies = whole_copies(shares, display.default_day(ctx))
        return page(request, "assess.html", ctx=ctx, row=row, bodies=bodies, items=items, copies=copies)

    return view


@pages.get("/applications")
def show_applications(request: Request) -> Response:
    """The applications one may see."""

    def view(ctx: Context, request: Request) -> Response:
        return page(request, "applications.html", ctx=ctx, applications=applications.applications(ctx))

    return show(request, view)


@pages.get("/projects/{project}/applications/new")
def new_application(request: Request, project: str) -> Response:
    """The empty form."""
    return show(request, new(project))


@pages.post("/projects/{project}/applications")
def create(request: Request, project: str, form: Form) -> Response:
    """Save what was typed as a draft, whole or not. Submitting is a second step, so that a refusal loses nothing."""

    def act(ctx: Context) -> Response:
        row = applications.create_draft(ctx, project=project, fields=typed_fields(form))
        return to(f"/applications/{row.id}", "saved")

    return submit(request, act, new(project))


@pages.get("/applications/{application}")
def show_application(request: Request, application: str) -> Response:
    """An application."""
    return show(request, one(application))


@pages.post("/applications/{application}")
def update(request: Request, application: str, form: Form) -> Response:
    """Save the draft; with the button for it, submit it. What was saved stays saved when the submission is refused."""

    def save(ctx: Context) -> Response:
        applications.update_draft(ctx, application, typed_fields(form))
        return to(f"/applications/{application}", "saved")

    def send(ctx: Context) -> Response:
        applications.submit(ctx, application)
        return to(f"/applications/{application}", "submitted")

    saved = submit(request, save, one(application))
    return submit(request, send, one(application)) if "submit" in form and saved.status_code == 303 else saved


@pages.get("/applications/{application}/assess")
def show_assessment(request: Request, application: str) -> Response:
    """The assessment."""
    return show(request, assessment(application))


@pages.post("/applications/{application}/assess")
def assess(request: Request, application: str, form: Form) -> Response:
    """Decide for one's body."""

    def act(ctx: Context) -> Response:
        conditions = [str(c) for c in form.getlist("condition")]
        ticks = [{"condition": c, "ok": f"ok:{c}" in form, "evidence": words(form, f"evidence:{c}")} for c in conditions]
        applications.assess(
            ctx, application, decision=words(form, "decision"), ticks=ticks, reason=words(form, "reason"), body=words(form, "body") or None
        )
        return to(f"/applications/{application}", "assessed")

    return submit(request, act, assessment(application))
