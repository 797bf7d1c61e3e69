"""The catalogue, and what a steward does to fill it."""

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sandbox.domain.permissions import Permission
from sandbox.domain.states import Role, VersionState
from sandbox.services import catalogue, people
from sandbox.services.context import Context
from sandbox.store.tables import Dataset
from sandbox.web import labels
from sandbox.web.i18n import translator
from sandbox.web.pages import View, page, show, submit, to
from sandbox.web.request import lang_of, read_form, reading, words
from sandbox.web.routes.uploads import Stored, read_upload, store

pages = APIRouter()
Form = Annotated[FormData, Depends(read_form)]


def listing(ctx: Context, request: Request) -> Response:
    """Show the catalogue, with the form for a new dataset for stewards."""
    own = {grant.body for grant in ctx.actor.roles if grant.role is Role.STEWARD}
    bodies = [b for b in people.bodies(ctx) if b.code in own] if own else []
    return page(request, "datasets.html", ctx=ctx, datasets=catalogue.datasets(ctx), bodies=bodies)


def published(dataset: Dataset) -> int | None:
    """Return the number of the newest published version, if there is one."""
    return max((v.number for v in dataset.versions if v.state is VersionState.PUBLISHED), default=None)


def one(name: str) -> View:
    """Return the view of a dataset: the columns of what is published, its conditions, its versions."""

    def view(ctx: Context, request: Request) -> Response:
        dataset = catalogue.dataset(ctx, name)
        number = published(dataset)
        version = next((v for v in dataset.versions if v.number == number), None)
        _ = translator(lang_of(request))
        counts = Counter(c.column_class.value for c in version.columns if c.column_class) if version else Counter[str]()
        shown = [(value, _(word)) for value, word in labels.LABELS["class"].items() if counts[value]]
        chart = {"kind": "bars", "labels": [word for _value, word in shown], "values": [counts[value] for value, _word in shown]}
        decision = ctx.decide(Permission.DATASET_IMPORT, body=dataset.body.code)
        return page(request, "dataset.html", ctx=ctx, dataset=dataset, version=version, chart=chart, may_import=decision.allow, charts=True)

    return view


def versions(name: str, number: int) -> View:
    """Return the view of a version: its import, and the table in which the steward decides the classes."""

    def view(ctx: Context, request: Request) -> Response:
        version = catalogue.version(ctx, name, number)
        may = ctx.decide(Permission.DATASET_CLASSIFY, body=version.dataset.body.code)
        open_ = version.state is VersionState.IMPORTED
        missing = [c.name for c in version.columns if c.column_class is None]
        return page(request, "version.html", ctx=ctx, version=version, may_classify=may.allow and open_, missing=missing)

    return view


@pages.get("/datasets")
def show_datasets(request: Request) -> Response:
    """The catalogue."""
    return show(request, listing)


@pages.post("/datasets")
def register(request: Request, form: Form) -> Response:
    """Register a dataset."""

    def act(ctx: Context) -> Response:
        fields = {name: words(form, name) for name in ("name", "body", "title_zh", "title_en", "description", "source", "licence")}
        conditions = {
            "access_modes": [str(value) for value in form.getlist("access_modes")],
            "min_cell": int(words(form, "min_cell")) if words(form, "min_cell").isdigit() else None,
            "documents": _lines(words(form, "documents")),
            "requirements": _lines(words(form, "requirements")),
        }
        dataset = catalogue.register_dataset(ctx, **fields, conditions=conditions)
        return to(f"/datasets/{dataset.name}", "created")

    return submit(request, act, listing)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@pages.get("/datasets/{name}")
def show_dataset(request: Request, name: str) -> Response:
    """A dataset."""
    return show(request, one(name))


@pages.post("/datasets/{name}/versions")
def upload(request: Request, name: str, form: Annotated[FormData, Depends(read_upload)]) -> Response:
    """Take a file; the import runs in a data container."""
    stored: list[Stored] = []

    def act(ctx: Context) -> Response:
        version = catalogue.start_version(ctx, name, **stored[0]._asdict())
        return to(f"/datasets/{name}/versions/{version.number}", "uploaded")

    return submit(request, act, one(name), first=lambda: stored.append(store(request, form)))


@pages.get("/datasets/{name}/versions/{number}")
def show_version(request: Request, name: str, number: int) -> Response:
    """A version."""
    return show(request, versions(name, number))


@pages.get("/datasets/{name}/versions/{number}/progress")
def progress(request: Request, name: str, number: int) -> Response:
    """The part of a version's page that changes while it is imported; when that is over, the page is loaded anew."""
    with reading(request) as ctx:
        version = catalogue.version(ctx, name, number)
        response = page(request, "part_import.html", ctx=ctx, version=version)
        if version.state is not VersionState.IMPORTING:
            response.headers["HX-Refresh"] = "true"
        return response


@pages.post("/datasets/{name}/versions/{number}/columns")
def set_columns(request: Request, name: str, number: int, form: Form) -> Response:
    """Decide the classes of columns; with the button for it, publish as well."""

    def act(ctx: Context) -> Response:
        version = catalogue.version(ctx, name, number)
        columns = [
            {
                "name": c.name,
                "class": words(form, f"class:{c.name}") or None,
                "person_key": f"key:{c.name}" in form,
                "title": words(form, f"title:{c.name}"),
            }
            for c in version.columns
        ]
        catalogue.set_columns(ctx, name, number, columns)
        if "publish" in form:
            catalogue.publish(ctx, name, number)
            return to(f"/datasets/{name}", "published")
        return to(f"/datasets/{name}/versions/{number}", "saved")

    return submit(request, act, versions(name, number))
