"""The API of interfaces.md, section 8: each act is one call of a service in one transaction."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData
from starlette.responses import Response

from sandbox.services import agreements, applications, catalogue, exports, people, projects, sandboxes
from sandbox.web import records, shapes
from sandbox.web.request import PREFIX, acting, me_of, reading, runtime_of
from sandbox.web.routes import downloads
from sandbox.web.routes.uploads import read_upload, store
from sandbox.web.shapes import Shape

API = f"{PREFIX}/api/v1"
api = APIRouter(prefix=API)


class In(BaseModel):
    """What comes in: nothing but the named fields (P5)."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class BodyIn(In):
    """A body to register."""

    code: str
    name_zh: str
    name_en: str
    kind: str


class PersonIn(In):
    """An account to make."""

    login: str
    name: str
    email: str
    password: str
    lang: str = "zh-CN"


class RoleIn(In):
    """A role to ask for."""

    login: str
    role: str
    body: str | None = None


class ConditionsIn(In):
    """Opening conditions (A7.4)."""

    access_modes: list[str]
    min_cell: int = 10
    documents: list[str] = Field(default_factory=list)
    requirements: list[str] = Field(default_factory=list)


class DatasetIn(In):
    """A dataset to register."""

    name: str
    body: str
    title_zh: str
    title_en: str
    description: str
    source: str
    licence: str
    conditions: ConditionsIn


class ColumnIn(In):
    """What the steward decides about a column."""

    name: str
    column_class: str | None = Field(default=None, alias="class")
    person_key: bool = False
    title: str | None = None


class OpenIn(In):
    """What a sandbox is opened with: `python` or `python_r`; that of the last time if not given."""

    environment: str | None = None


class ProjectIn(In):
    """A project to start."""

    title: str
    purpose: str


class MemberIn(In):
    """A person to add."""

    login: str


class ApplicationChange(In):
    """Fields of a draft; what is not there stays as it is."""

    purpose: str | None = None
    scenario: str | None = None
    security_measures: str | None = None
    period_days: int | None = None
    items: list[dict[str, Any]] | None = None


class ApplicationIn(ApplicationChange):
    """A draft to begin."""

    project: str


class TickIn(In):
    """One condition, looked at."""

    condition: str
    ok: bool
    evidence: str = ""


class AssessmentIn(In):
    """An owner body's word (A10.3)."""

    decision: Literal["approve", "reject", "changes"]
    ticks: list[TickIn] = Field(default_factory=list)
    reason: str = ""
    body: str | None = None


class SignIn(In):
    """The digest of the text that was read."""

    text_digest: str
    side: Literal["owner", "user"] | None = None


class GroundIn(In):
    """Why access is withdrawn (A11)."""

    ground: str
    reason: str


class HoldIn(GroundIn):
    """Why, and until when, access is suspended."""

    until: datetime | None = None


class ReviewIn(In):
    """A reviewer's vote."""

    verdict: Literal["approve", "reject"]
    comment: str = ""


def items(rows: list[Shape]) -> Shape:
    """Wrap a list."""
    return {"items": rows}


@api.get("/me")
def me(request: Request) -> Shape:
    """Say who is logged in, with the CSRF token for the calls that change something."""
    with reading(request) as ctx:
        who = me_of(request)
        return {
            "login": ctx.actor.login,
            "name": who.name if who else "",
            "lang": who.lang if who else "zh-CN",
            "roles": ctx.actor.facts()["roles"],
            "csrf": who.csrf if who else "",
        }


# People ------------------------------------------------------------------------------------------------------------------


@api.get("/bodies")
def list_bodies(request: Request) -> Shape:
    """List the bodies."""
    with reading(request) as ctx:
        return items([shapes.body(b) for b in people.bodies(ctx)])


@api.post("/bodies", status_code=201)
def create_body(request: Request, given: BodyIn) -> Shape:
    """Register a body (administrator)."""
    with acting(request) as ctx:
        return shapes.body(people.create_body(ctx, **given.model_dump()))


@api.get("/persons")
def list_persons(request: Request) -> Shape:
    """List the persons (administrator, officer, auditor)."""
    with reading(request) as ctx:
        return items([shapes.person(p) for p in people.persons(ctx)])


@api.post("/persons", status_code=201)
def create_person(request: Request, given: PersonIn) -> Shape:
    """Make an account (administrator)."""
    with acting(request) as ctx:
        return shapes.person(people.create_person(ctx, **given.model_dump()))


@api.get("/roles")
def list_roles(request: Request, state: str | None = None) -> Shape:
    """List role grants."""
    with reading(request) as ctx:
        return items([shapes.grant(g) for g in people.grants(ctx, state=state)])


@api.post("/roles", status_code=201)
def request_role(request: Request, given: RoleIn) -> Shape:
    """Ask for a role for a person; it holds once the security officer has confirmed it."""
    with acting(request) as ctx:
        return shapes.grant(people.request_role(ctx, **given.model_dump()))


@api.post("/roles/{grant}/confirm")
def confirm_role(request: Request, grant: str) -> Shape:
    """Confirm a role (security officer; never one's own request)."""
    with acting(request) as ctx:
        return shapes.grant(people.confirm_role(ctx, grant))


@api.post("/roles/{grant}/end")
def end_role(request: Request, grant: str) -> Shape:
    """End a role, or withdraw its request; a researcher's live sandboxes are cut."""
    with acting(request) as ctx:
        return shapes.grant(people.end_role(ctx, grant))


@api.post("/persons/{login}/deactivate")
def deactivate(request: Request, login: str) -> Shape:
    """End an account at once (administrator or security officer; never one's own); the person's live sandboxes are cut."""
    with acting(request) as ctx:
        return shapes.person(people.deactivate(ctx, login))


# Data --------------------------------------------------------------------------------------------------------------------


@api.get("/datasets")
def list_datasets(request: Request) -> Shape:
    """List the catalogue."""
    with reading(request) as ctx:
        return items([shapes.dataset(d) for d in catalogue.datasets(ctx)])


@api.post("/datasets", status_code=201)
def register_dataset(request: Request, given: DatasetIn) -> Shape:
    """Register a dataset (steward of the body)."""
    with acting(request) as ctx:
        return shapes.dataset(catalogue.register_dataset(ctx, **given.model_dump()))


@api.get("/datasets/{name}")
def get_dataset(request: Request, name: str) -> Shape:
    """Show a dataset."""
    with reading(request) as ctx:
        return shapes.dataset(catalogue.dataset(ctx, name))


@api.post("/datasets/{name}/versions", status_code=202)
def upload_version(request: Request, name: str, form: Annotated[FormData, Depends(read_upload)]) -> Shape:
    """Take `file` (UTF-8 CSV) and `description_file`; the import runs in a data container."""
    stored = store(request, form)
    with acting(request) as ctx:
        return shapes.version(catalogue.start_version(ctx, name, **stored._asdict()))


@api.get("/datasets/{name}/versions/{number}")
def get_version(request: Request, name: str, number: int) -> Shape:
    """Show a version: state, rows, columns, errors of the import."""
    with reading(request) as ctx:
        return shapes.version(catalogue.version(ctx, name, number))


@api.put("/datasets/{name}/versions/{number}/columns")
def set_columns(request: Request, name: str, number: int, given: list[ColumnIn]) -> Shape:
    """Decide classes, person keys and titles of columns."""
    with acting(request) as ctx:
        columns = [c.model_dump(by_alias=True, exclude_unset=True) for c in given]
        return shapes.version(catalogue.set_columns(ctx, name, number, columns))


@api.post("/datasets/{name}/versions/{number}/publish")
def publish(request: Request, name: str, number: int) -> Shape:
    """Publish a version."""
    with acting(request) as ctx:
        return shapes.version(catalogue.publish(ctx, name, number))


# Projects and applications -----------------------------------------------------------------------------------------------


@api.get("/projects")
def list_projects(request: Request) -> Shape:
    """List one's projects."""
    with reading(request) as ctx:
        return items([shapes.project(p) for p in projects.projects(ctx)])


@api.post("/projects", status_code=201)
def create_project(request: Request, given: ProjectIn) -> Shape:
    """Start a project (researcher)."""
    with acting(request) as ctx:
        return shapes.project(projects.create_project(ctx, **given.model_dump()))


@api.get("/projects/{project}")
def get_project(request: Request, project: str) -> Shape:
    """Show a project."""
    with reading(request) as ctx:
        return shapes.project(projects.project(ctx, project))


@api.post("/projects/{project}/members", status_code=201)
def add_member(request: Request, project: str, given: MemberIn) -> Shape:
    """Add a member (the project's author)."""
    with acting(request) as ctx:
        projects.add_member(ctx, project, login=given.login)
        ctx.db.expire_all()
        return shapes.project(projects.project(ctx, project))


@api.get("/applications")
def list_applications(request: Request, inbox: bool = False) -> Shape:
    """List applications; with `inbox=1` those that wait for oneself."""
    with reading(request) as ctx:
        return items([shapes.application(a) for a in applications.applications(ctx, inbox=inbox)])


@api.post("/applications", status_code=201)
def create_application(request: Request, given: ApplicationIn) -> Shape:
    """Save a draft, whole or not."""
    with acting(request) as ctx:
        fields = given.model_dump(exclude={"project"}, exclude_unset=True)
        return shapes.application(applications.create_draft(ctx, project=given.project, fields=fields))


@api.get("/applications/{application}")
def get_application(request: Request, application: str) -> Shape:
    """Show an application."""
    with reading(request) as ctx:
        return shapes.application(applications.application(ctx, application))


@api.put("/applications/{application}")
def update_application(request: Request, application: str, given: ApplicationChange) -> Shape:
    """Change a draft or a returned application."""
    with acting(request) as ctx:
        return shapes.application(applications.update_draft(ctx, application, given.model_dump(exclude_unset=True)))


@api.post("/applications/{application}/submit")
def submit_application(request: Request, application: str) -> Shape:
    """Submit an application; what is missing is named, nothing is lost."""
    with acting(request) as ctx:
        return shapes.application(applications.submit(ctx, application))


@api.post("/applications/{application}/assessments", status_code=201)
def assess(request: Request, application: str, given: AssessmentIn) -> Shape:
    """Decide for one's owner body (steward)."""
    with acting(request) as ctx:
        return shapes.assessment(applications.assess(ctx, application, **given.model_dump()))


# Agreements --------------------------------------------------------------------------------------------------------------


@api.get("/agreements")
def list_agreements(request: Request, inbox: bool = False) -> Shape:
    """List agreements; with `inbox=1` those that wait for one's signature."""
    with reading(request) as ctx:
        return items([shapes.agreement(a) for a in agreements.agreements(ctx, inbox=inbox)])


@api.get("/agreements/{agreement}")
def get_agreement(request: Request, agreement: str) -> Shape:
    """Show an agreement with text, signatures and releases."""
    with reading(request) as ctx:
        return shapes.agreement(agreements.agreement(ctx, agreement))


@api.post("/agreements/{agreement}/sign")
def sign(request: Request, agreement: str, given: SignIn) -> Shape:
    """Sign the text with that digest for one's side."""
    with acting(request) as ctx:
        agreements.sign(ctx, agreement, text_digest=given.text_digest, side=given.side)
        ctx.db.expire_all()
        return shapes.agreement(agreements.agreement(ctx, agreement))


@api.post("/agreements/{agreement}/revoke")
def revoke(request: Request, agreement: str, given: GroundIn) -> Shape:
    """End an agreement at once; live sandboxes are cut."""
    with acting(request) as ctx:
        return shapes.agreement(agreements.revoke(ctx, agreement, ground=given.ground, reason=given.reason))


@api.post("/agreements/{agreement}/holds", status_code=201)
def hold(request: Request, agreement: str, given: HoldIn) -> Shape:
    """Suspend an agreement; live sandboxes are cut."""
    with acting(request) as ctx:
        return shapes.hold(agreements.hold(ctx, agreement, ground=given.ground, reason=given.reason, until=given.until))


@api.post("/holds/{hold}/lift")
def lift(request: Request, hold: str) -> Shape:
    """Lift a suspension."""
    with acting(request) as ctx:
        return shapes.hold(agreements.lift(ctx, hold))


# Sandboxes ---------------------------------------------------------------------------------------------------------------


@api.post("/projects/{project}/sandbox/open", status_code=202)
def open_sandbox(request: Request, project: str, given: OpenIn | None = None) -> Shape:
    """Ask for one's sandbox of a project to start; poll `GET /sandboxes/{id}`."""
    with acting(request) as ctx:
        opened = sandboxes.open_sandbox(ctx, project, given.environment if given else None)
        return sandboxes.sandbox_view(ctx, opened, runtime_of(request).settings)


@api.get("/sandboxes")
def list_sandboxes(request: Request) -> Shape:
    """List sandboxes."""
    with reading(request) as ctx:
        settings = runtime_of(request).settings
        return items([sandboxes.sandbox_view(ctx, s, settings) for s in sandboxes.visible_sandboxes(ctx)])


@api.get("/sandboxes/{sandbox}")
def get_sandbox(request: Request, sandbox: str) -> Shape:
    """Show a sandbox."""
    with reading(request) as ctx:
        return sandboxes.sandbox_view(ctx, sandboxes.find(ctx, sandbox), runtime_of(request).settings)


@api.post("/sandboxes/{sandbox}/close")
def close_sandbox(request: Request, sandbox: str) -> Shape:
    """End the running session; the workspace stays."""
    with acting(request) as ctx:
        return sandboxes.sandbox_view(ctx, sandboxes.close_sandbox(ctx, sandbox), runtime_of(request).settings)


# Exports -----------------------------------------------------------------------------------------------------------------


@api.get("/exports")
def list_exports(request: Request, inbox: bool = False) -> Shape:
    """List exports; with `inbox=1` those that wait for oneself."""
    with reading(request) as ctx:
        return items([exports.view(ctx, e) for e in exports.exports(ctx, inbox=inbox)])


@api.get("/exports/{export}")
def get_export(request: Request, export: str) -> Shape:
    """Show an export; reviews stay hidden until all are in."""
    with reading(request) as ctx:
        return exports.view(ctx, exports.export(ctx, export))


@api.post("/exports/{export}/reviews", status_code=201)
def review(request: Request, export: str, given: ReviewIn) -> Shape:
    """Vote as a reviewer (never the author or a member)."""
    with acting(request) as ctx:
        exports.review(ctx, export, verdict=given.verdict, comment=given.comment)
        ctx.db.expire_all()
        return exports.view(ctx, exports.export(ctx, export))


@api.post("/exports/{export}/release")
def release(request: Request, export: str) -> Shape:
    """Release an approved export; policy is asked again at the current epoch."""
    with acting(request) as ctx:
        return exports.view(ctx, exports.release(ctx, export))


@api.get("/exports/{export}/download")
def download(request: Request, export: str) -> Response:
    """Hand out a released export, once the log has acknowledged it."""
    return downloads.download(request, export)


@api.get("/exports/{export}/certificate")
def certificate(request: Request, export: str) -> Response:
    """Hand out the signed certificate of a released export."""
    return downloads.certificate(request, export)


# Audit -------------------------------------------------------------------------------------------------------------------


@api.get("/audit/entries")
def entries(  # noqa: PLR0917 - FastAPI gives them by name
    request: Request,
    start: int = 0,
    count: int = 100,
    sandbox: str = "",
    agreement: str = "",
    project: str = "",
    login: str = "",
) -> Shape:
    """Read the log (auditor)."""
    with reading(request) as ctx:
        query = {"sandbox": sandbox, "agreement": agreement, "project": project, "login": login}
        return records.entries(ctx, runtime_of(request).log, start=start, count=count, query=query)


@api.get("/audit/entries/{index}")
def entry(request: Request, index: int) -> Shape:
    """Read one entry with its texts (auditor)."""
    with reading(request) as ctx:
        return records.entry(ctx, runtime_of(request).log, index)


@api.get("/audit/head")
def head(request: Request) -> Shape:
    """Read the log's signed head (auditor)."""
    with reading(request) as ctx:
        return records.head(ctx, runtime_of(request).log)
