"""The start page: what waits for me, how long it has left, one thing to do each; and the page about the API."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.domain.permissions import Permission
from sandbox.domain.states import ApplicationState, ExportState, GrantState, Role, VersionState
from sandbox.services import agreements, applications, catalogue, exports, extensions, packages, people, sandboxes
from sandbox.services.context import Context
from sandbox.web.i18n import N_
from sandbox.web.pages import page, show
from sandbox.web.request import runtime_of

pages = APIRouter()


@dataclass(frozen=True)
class Waiting:
    """One thing that waits: what, of whom, since when, until when, and where to do it."""

    what: str
    title: Any
    since: datetime
    path: str
    act: str
    until: datetime | None = None
    detail: str = ""


def inbox(ctx: Context) -> Iterator[Waiting]:
    """Give what waits for the actor, by role."""
    actor = ctx.actor
    if actor.has(Role.OFFICER):
        for grant in people.grants(ctx, state=GrantState.REQUESTED):
            yield Waiting(N_("角色待确认"), grant.person.name, grant.created, "/people#roles", N_("去确认"), detail=grant.role.value)
    for row in applications.applications(ctx, inbox=True):
        mine = row.state is ApplicationState.CHANGES_REQUESTED
        path = f"/applications/{row.id}" + ("" if mine else "/assess")
        what, act = (N_("申请待补正"), N_("去补正")) if mine else (N_("申请待评估"), N_("去评估"))
        yield Waiting(what, row.project.title, row.submitted_at or row.created, path, act)
    for agreement in agreements.agreements(ctx, inbox=True):
        yield Waiting(
            N_("协议待签署"),
            agreement.project.title,
            agreement.created,
            f"/agreements/{agreement.id}",
            N_("阅读并签署"),
            detail=agreement.body.code,
        )
    yield from _requests(ctx)
    if actor.has(Role.REVIEWER):
        for export in exports.exports(ctx, inbox=True):
            yield Waiting(N_("导出待审核"), export.title, export.submitted_at or export.created, f"/exports/{export.id}", N_("去审核"))
    if actor.has(Role.RESEARCHER):
        yield from _research(ctx)
    if actor.has(Role.STEWARD):
        yield from _data(ctx)


def _requests(ctx: Context) -> Iterator[Waiting]:
    """Give what people ask for beyond their agreements."""
    for more in extensions.requests(ctx, inbox=True):
        path = f"/display/{more.id}"
        yield Waiting(N_("显示额度待决定"), more.project.title, more.created, path, N_("去决定"), detail=more.person.name)
    for package in packages.requests(ctx, inbox=True):
        name = f"{package.name} {package.version}"
        yield Waiting(N_("软件包待批准"), name, package.created, f"/packages#p-{package.id}", N_("去决定"), detail=package.author.name)


def _research(ctx: Context) -> Iterator[Waiting]:
    for row in applications.applications(ctx):
        if row.state is ApplicationState.DRAFT and row.author_id == ctx.actor.id:
            yield Waiting(N_("申请草稿"), row.project.title, row.created, f"/applications/{row.id}", N_("继续填写"))
    for export in exports.exports(ctx):
        if export.author_id == ctx.actor.id and export.state is ExportState.APPROVED:
            yield Waiting(N_("导出待放行"), export.title, export.decided_at or export.created, f"/exports/{export.id}", N_("去放行"))


def _data(ctx: Context) -> Iterator[Waiting]:
    for dataset in catalogue.datasets(ctx):
        if not ctx.may(Permission.DATASET_PUBLISH, body=dataset.body.code):
            continue
        for version in dataset.versions:
            if version.state is VersionState.IMPORTED:
                path = f"/datasets/{dataset.name}/versions/{version.number}"
                yield Waiting(N_("数据待分类分级"), dataset.title_zh, version.created, path, N_("去确认"), detail=dataset.name)


def home(ctx: Context, request: Request) -> Response:
    """Show the inbox of the person's roles and what is running."""
    settings = runtime_of(request).settings
    running = [sandboxes.sandbox_view(ctx, s, settings) for s in sandboxes.visible_sandboxes(ctx) if s.person_id == ctx.actor.id]
    live = [s for s in running if s["state"] != "cut"]
    return page(request, "home.html", ctx=ctx, waiting=sorted(inbox(ctx), key=lambda w: w.since), sandboxes=live, roles=ctx.actor.roles)


@pages.get("/")
def start(request: Request) -> Response:
    """The start page."""
    return show(request, home)


@pages.get("/api")
def about_api(request: Request) -> Response:
    """Say how the API is used and list its calls."""

    def view(ctx: Context, request: Request) -> Response:
        paths = request.app.openapi()["paths"]
        calls = [(method.upper(), path, op.get("description", "")) for path, ops in paths.items() for method, op in ops.items()]
        return page(request, "api.html", ctx=ctx, calls=calls)

    return show(request, view)
