"""Exports: what the checks found, the reviewers' votes, release, download (A10.4)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sandbox.domain.permissions import Permission
from sandbox.services import agreements, exports
from sandbox.services.context import Context
from sandbox.store.tables import Export
from sandbox.web.pages import View, page, show, submit, to
from sandbox.web.request import read_form, reading, words
from sandbox.web.routes import downloads

pages = APIRouter()
Form = Annotated[FormData, Depends(read_form)]


def why_not_review(ctx: Context, row: Export) -> str:
    """Return the code of why the actor may not vote, empty when they may: by one of the bodies whose data is in the sandbox."""
    bodies = sorted({a.body.code for a in agreements.of_project(ctx.db, row.project_id)})
    members = [m.person.login for m in row.project.members]
    decisions = [ctx.decide(Permission.EXPORT_REVIEW, body=body, author=row.author.login, members=members) for body in bodies]
    if any(d.allow for d in decisions):
        return ""
    return decisions[0].reasons[0] if decisions else "role_missing"


def one(export_id: str) -> View:
    """Return the view of an export; votes are hidden until all are in."""

    def view(ctx: Context, request: Request) -> Response:
        row = exports.export(ctx, export_id)
        return page(
            request,
            "export.html",
            ctx=ctx,
            export=exports.view(ctx, row),
            voted=any(r.reviewer_id == ctx.actor.id for r in row.reviews),
            why_not_review=why_not_review(ctx, row),
            is_author=row.author_id == ctx.actor.id,
        )

    return view


@pages.get("/exports")
def show_exports(request: Request) -> Response:
    """The exports one may see."""

    def view(ctx: Context, request: Request) -> Response:
        return page(request, "exports.html", ctx=ctx, exports=[(e, exports.shown_state(e)) for e in exports.exports(ctx)])

    return show(request, view)


@pages.get("/exports/{export}")
def show_export(request: Request, export: str) -> Response:
    """An export."""
    return show(request, one(export))


@pages.get("/exports/{export}/progress")
def progress(request: Request, export: str) -> Response:
    """The part of the page that changes while the checks run; when they are over, the page is loaded anew."""
    with reading(request) as ctx:
        row = exports.export(ctx, export)
        response = page(request, "part_export.html", ctx=ctx, export=exports.view(ctx, row))
        if exports.checked(row):
            response.headers["HX-Refresh"] = "true"
        return response


@pages.post("/exports/{export}/reviews")
def review(request: Request, export: str, form: Form) -> Response:
    """Vote."""

    def act(ctx: Context) -> Response:
        exports.review(ctx, export, verdict=words(form, "verdict"), comment=words(form, "comment"))
        return to(f"/exports/{export}", "reviewed")

    return submit(request, act, one(export))


@pages.post("/exports/{export}/release")
def release(request: Request, export: str, form: Form) -> Response:
    """Release."""
    del form

    def act(ctx: Context) -> Response:
        exports.release(ctx, export)
        return to(f"/exports/{export}", "released")

    return submit(request, act, one(export))


@pages.get("/exports/{export}/download")
def download(request: Request, export: str) -> Response:
    """Hand out the file."""
    return downloads.download(request, export)


@pages.get("/exports/{export}/certificate")
def certificate(request: Request, export: str) -> Response:
    """Hand out the certificate."""
    return downloads.certificate(request, export)
