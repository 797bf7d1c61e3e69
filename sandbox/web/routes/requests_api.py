"""The API's part for what people ask for: more display, packages (interfaces.md, 8)."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request

from sandbox.services import display, extensions, packages, projects
from sandbox.services.context import Context, moment
from sandbox.store import tables as t
from sandbox.web.request import acting, reading
from sandbox.web.routes.api import API, In, items
from sandbox.web.shapes import Shape

api = APIRouter(prefix=API)


class DisplayIn(In):
    """More display to ask for, in bytes."""

    cell_bytes: int
    hour_bytes: int
    day_bytes: int
    until: datetime
    reason: str


class DecisionIn(In):
    """A person's word."""

    answer: Literal["approve", "reject"]
    reason: str


class DisplayDecisionIn(DecisionIn):
    """An owner body's word: how much, until when; what is not there is as it was asked for."""

    cell_bytes: int | None = None
    hour_bytes: int | None = None
    day_bytes: int | None = None
    until: datetime | None = None
    body: str | None = None


class ReasonIn(In):
    """Why."""

    reason: str


class PackageIn(In):
    """A package to ask for."""

    ecosystem: str
    name: str
    version: str
    reason: str


def shown(row: t.DisplayRequest) -> Shape:
    """Show a request for more display."""
    figures = extensions.FIGURES
    return {
        "id": row.id,
        "project": row.project_id,
        "login": row.person.login,
        "state": row.state.value,
        "bodies": row.bodies,
        **{name: getattr(row, name) for name in figures},
        "until": moment(row.until),
        "reason": row.reason,
        "created": moment(row.created),
        "decisions": [
            {
                "body": d.body.code,
                "answer": d.answer.value,
                **{n: getattr(d, n) for n in figures},
                "until": moment(d.until),
                "reason": d.reason,
            }
            for d in row.decisions
        ],
        "granted": extensions.granted(row) if row.state == "approved" else None,
        "ended_at": moment(row.ended_at),
        "ended_reason": row.ended_reason,
    }


def package(row: t.PackageRequest) -> Shape:
    """Show a request for a package."""
    names = ("id", "ecosystem", "name", "version", "reason", "flags", "decision_reason", "image")
    times = {name: moment(getattr(row, name)) for name in ("created", "decided_at", "built_at")}
    return {**{name: getattr(row, name) for name in names}, "state": row.state.value, "login": row.author.login, **times}


def own_budget(ctx: Context, project: str) -> Shape:
    """Return the actor's budget in a project."""
    return display.facts(ctx, project=project, person=ctx.actor.id, epoch=0)


@api.get("/projects/{project}/display")
def project_display(request: Request, project: str) -> Shape:
    """Show one's display budget in a project and the requests for more."""
    with reading(request) as ctx:
        one = projects.project(ctx, project)
        return {"budget": own_budget(ctx, one.id), **items([shown(r) for r in extensions.requests(ctx, project=one.id)])}


@api.post("/projects/{project}/display", status_code=201)
def ask_display(request: Request, project: str, given: DisplayIn) -> Shape:
    """Ask for more display in a project (researcher, for oneself)."""
    with acting(request) as ctx:
        figures = given.model_dump(include=set(extensions.FIGURES))
        return shown(extensions.ask(ctx, project, figures=figures, until=given.until, reason=given.reason))


@api.get("/display")
def list_display(request: Request, inbox: bool = False) -> Shape:
    """List requests for more display; with `inbox=1` those that wait for oneself."""
    with reading(request) as ctx:
        return items([shown(r) for r in extensions.requests(ctx, inbox=inbox)])


@api.get("/display/{one}")
def get_display(request: Request, one: str) -> Shape:
    """Show a request for more display."""
    with reading(request) as ctx:
        return shown(extensions.request(ctx, one))


@api.post("/display/{one}/decisions", status_code=201)
def decide_display(request: Request, one: str, given: DisplayDecisionIn) -> Shape:
    """Decide for one's owner body (steward, never a member of the project)."""
    with acting(request) as ctx:
        figures = given.model_dump(include=set(extensions.FIGURES))
        extensions.decide(ctx, one, answer=given.answer, reason=given.reason, figures=figures, until=given.until, body=given.body)
        return shown(extensions.request(ctx, one))


@api.post("/display/{one}/withdraw")
def withdraw_display(request: Request, one: str) -> Shape:
    """Take one's own request back."""
    with acting(request) as ctx:
        return shown(extensions.withdraw(ctx, one))


@api.post("/display/{one}/revoke")
def revoke_display(request: Request, one: str, given: ReasonIn) -> Shape:
    """End what was agreed, at once (steward of a body that agreed, administrator, officer)."""
    with acting(request) as ctx:
        return shown(extensions.revoke(ctx, one, reason=given.reason))


@api.get("/packages")
def list_packages(request: Request, inbox: bool = False) -> Shape:
    """List requests for packages; with `inbox=1` those that wait for oneself."""
    with reading(request) as ctx:
        return items([package(p) for p in packages.requests(ctx, inbox=inbox)])


@api.post("/packages", status_code=201)
def ask_package(request: Request, given: PackageIn) -> Shape:
    """Ask for a package in the next kernel image (researcher)."""
    with acting(request) as ctx:
        made = packages.ask(ctx, **given.model_dump())
        ctx.db.refresh(made)
        return package(made)


@api.post("/packages/{one}/decision")
def decide_package(request: Request, one: str, given: DecisionIn) -> Shape:
    """Approve or reject (administrator, never the asker)."""
    with acting(request) as ctx:
        return package(packages.decide(ctx, one, answer=given.answer, reason=given.reason))
