"""The auditor's pages: the log in words, one agreement's whole case, and how to check that nothing was changed (A17)."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from sandbox.services import agreements, sandboxes
from sandbox.services.context import Context
from sandbox.web import formats, records, said
from sandbox.web.pages import page, show
from sandbox.web.request import lang_of, runtime_of

pages = APIRouter()
PAGE = 50
INLINE = 4096  # bytes of a text that is shown in a list


def _shown(request: Request, entries: list[dict[str, Any]], *, with_texts: bool) -> list[dict[str, Any]]:
    log, lang = runtime_of(request).log, lang_of(request)
    shown = []
    for entry in entries:
        leaf: Mapping[str, Any] = entry["leaf"]
        small = {**leaf, "blobs": [b for b in leaf.get("blobs", []) if b["size"] <= INLINE]}
        shown.append(
            {
                "index": entry["index"],
                "leaf": leaf,
                "said": said.sentence(leaf, lang),
                "who": said.actor(leaf, lang),
                "texts": records.texts(log, small) if with_texts else [],
            }
        )
    return shown


@pages.get("/audit")
def timeline(  # noqa: PLR0917 - FastAPI gives them by name
    request: Request, start: int | None = None, sandbox: str = "", agreement: str = "", project: str = "", login: str = ""
) -> Response:
    """The log, filtered; without a start it ends with the newest entry."""

    def view(ctx: Context, request: Request) -> Response:
        log = runtime_of(request).log
        query = {"sandbox": sandbox.strip(), "agreement": agreement.strip(), "project": project.strip(), "login": login.strip()}
        head = records.head(ctx, log)
        first = start if start is not None else (0 if any(query.values()) else max(0, head["size"] - PAGE))
        found = records.entries(ctx, log, start=first, count=PAGE, query=query)
        entries = _shown(request, found["entries"], with_texts=True)
        return page(request, "audit.html", ctx=ctx, entries=entries, query=query, head=head, first=first, next=found["next"], step=PAGE)

    return show(request, view)


@pages.get("/audit/checkpoint")
def checkpoint(request: Request) -> Response:
    """The signed checkpoint as a file to keep elsewhere: what `audit verify --at-least` takes."""

    def view(ctx: Context, request: Request) -> Response:
        signed = str(records.head(ctx, runtime_of(request).log)["checkpoint"])
        return PlainTextResponse(signed, headers={"Content-Disposition": 'attachment; filename="checkpoint.txt"'})

    return show(request, view)


@pages.get("/audit/entries/{index}")
def entry(request: Request, index: int) -> Response:
    """One entry: in words, its texts, and the leaf as it is in the log."""

    def view(ctx: Context, request: Request) -> Response:
        found = records.entry(ctx, runtime_of(request).log, index)
        both = {code: said.sentence(found["leaf"], code) for code in ("zh-CN", "en")}
        return page(request, "entry.html", ctx=ctx, index=index, leaf=found["leaf"], texts=found["texts"], both=both)

    return show(request, view)


@pages.get("/audit/agreements/{agreement}")
def case(request: Request, agreement: str) -> Response:
    """One agreement's case: who did what, in order, from the application to the last byte."""

    def view(ctx: Context, request: Request) -> Response:
        row = agreements.agreement(ctx, agreement)
        mine = [s.id for s in sandboxes.visible_sandboxes(ctx) if s.project_id == row.project_id]
        refs = {"agreement": [row.id], "application": [row.application_id], "project": [row.project_id], "sandbox": mine}
        found = records.case(ctx, runtime_of(request).log, refs)
        entries = _shown(request, found, with_texts=len(found) <= 200)
        lang = lang_of(request)
        people = list(dict.fromkeys(e["who"] for e in entries))
        points = [
            {
                "time": formats.second(e["leaf"]["time"]),
                "row": people.index(e["who"]),
                "text": f"{formats.second(e['leaf']['time'])}\n{said.sentence(e['leaf'], lang)}",
            }
            for e in entries
        ]
        chart = {"kind": "timeline", "rows": people, "points": points}
        return page(request, "case.html", ctx=ctx, row=row, entries=entries, chart=chart, charts=True)

    return show(request, view)
