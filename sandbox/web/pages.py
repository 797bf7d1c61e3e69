"""Rendering: one environment, one function for a page, one for a form that is sent.

A view is a function of (ctx, request) that returns a page. `submit` runs an act and, if it is refused, shows a view
again with the reason and everything that was typed.
"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.domain.errors import Refusal
from sandbox.domain.messages import text
from sandbox.services.context import Context
from sandbox.web import formats, labels
from sandbox.web.i18n import LANGS, translator
from sandbox.web.navigation import navigation
from sandbox.web.request import LANG_COOKIE, PREFIX, acting, form_of, lang_of, me_of, reading, runtime_of, set_cookie

YEAR = 365 * 24 * 3600

environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.filters |= {"moment": formats.moment, "second": formats.second, "count": formats.count, "size": formats.size}
environment.filters["pretty"] = lambda value: json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)

environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}

View = Callable[[Context, Request], Response]


def url(path: str) -> str:
    """Return the address of a path of the portal."""
    return PREFIX + path


class Typed:
    """What was typed in the form that was refused, and why; empty on any other page."""

    def __init__(self, action: str, form: FormData | None, refusal: Refusal | None, lang: str) -> None:
        self.action, self.refusal, self.lang = action, refusal, lang
        self.form = form if refusal else None

    def value(self, action: str, name: str, default: Any = "") -> Any:
        """Return what was typed into a field of the form of `action`, or `default`."""
        if self.form is None or action != self.action:
            return "" if default is None else default
        return self.form.get(name, "")

    def ticked(self, action: str, name: str, value: str, default: bool = False) -> bool:
        """Say whether a box was ticked."""
        if self.form is None or action != self.action:
            return default
        return value in self.form.getlist(name)

    def refused(self, action: str, name: str) -> str:
        """Return the reason if it concerns this field."""
        if self.refusal is None or action != self.action or self.refusal.field != name:
            return ""
        return labels.refusal_text(self.refusal, self.lang)


def helpers(request: Request, lang: str) -> dict[str, Any]:
    """Return the functions that templates use for words, times and names in `lang`."""
    _ = translator(lang)
    now = runtime_of(request).clock()

    def label(kind: str, value: Any) -> str:
        return _(labels.label(kind, str(value)))

    def options(kind: str) -> list[tuple[str, str]]:
        return [(value, _(shown)) for value, shown in labels.LABELS[kind].items()]

    def reason(code: str, **params: Any) -> str:
        return text(code, lang, **params)

    def left(until: datetime | None) -> str:
        return formats.left(until, now, lang)

    def name_of(thing: Any) -> str:
        """Choose between a thing's two names or titles."""
        suffix = "en" if lang == "en" else "zh"
        return str(getattr(thing, f"title_{suffix}", None) or getattr(thing, f"name_{suffix}"))

    def in_language(code: str) -> str:
        path = request.url.path if request.method == "GET" else url("/")
        return f"{path}?{request.url.include_query_params(lang=code).query}"

    return {
        "_": _,
        "lang": lang,
        "now": now,
        "url": url,
        "label": label,
        "options": options,
        "tone": labels.tone,
        "reason": reason,
        "left": left,
        "name_of": name_of,
        "in_language": in_language,
        "named": lambda bodies: [(body.code, name_of(body)) for body in bodies],
        "agreement_state": lambda agreement: labels.agreement_state(agreement, now),
        "turned": lambda **params: f"{request.url.path}?{request.url.include_query_params(**params).query}",
        "uid": lambda action, field: f"{action}-{field}".strip("/").replace("/", "-"),
    }


def page(request: Request, template: str, *, ctx: Context | None = None, status: int = 200, **values: Any) -> Response:
    """Render a template for the person who is logged in, or nobody."""
    me, lang = me_of(request), lang_of(request)
    here = request.url.path.removeprefix(PREFIX)
    refusal: Refusal | None = getattr(request.state, "refusal", None)
    typed = Typed(here, form_of(request), refusal, lang)
    fixed = helpers(request, lang)
    done = request.query_params.get("done", "")
    fixed |= {
        "me": me,
        "csrf": me.csrf if me else "",
        "navigation": navigation(ctx.actor, here) if ctx else [],
        "refusal": refusal and {"code": refusal.code, "field": refusal.field, "message": labels.refusal_text(refusal, lang)},
        "done": fixed["_"](labels.DONE[done]) if done in labels.DONE else None,
        "typed": typed.value,
        "ticked": typed.ticked,
        "refused": typed.refused,
        "charts": False,
    }
    html = environment.get_template(template).render(fixed | values)
    response = HTMLResponse(html, refusal.status if refusal and status == 200 else status, headers={"Content-Language": lang})
    if request.query_params.get("lang") in LANGS:
        set_cookie(response, runtime_of(request), LANG_COOKIE, lang, seconds=YEAR)
    return response


def show(request: Request, view: View) -> Response:
    """Answer a GET: the view in a transaction that writes nothing."""
    with reading(request) as ctx:
        return view(ctx, request)


def to(path: str, done: str | None = None) -> RedirectResponse:
    """Go on to a page of the portal after an act, with the key of a line that says what was done."""
    return RedirectResponse(url(path) + (f"?done={done}" if done else ""), 303)


def submit(request: Request, act: Callable[[Context], Response], again: View, *, first: Callable[[], None] | None = None) -> Response:
    """Run an act in one transaction; refused, show `again` with the reason and what was typed (nothing is lost).

    `first` runs before the transaction: what takes long and changes no state, such as writing an uploaded file.
    """
    try:
        if first is not None:
            first()
        with acting(request) as ctx:
            return act(ctx)
    except Refusal as refusal:
        if refusal.status == 401:
            raise
        request.state.refusal = refusal
        return show(request, again)


def refusal_page(request: Request, refusal: Refusal) -> Response:
    """Say no on a page of its own."""
    request.state.refusal = refusal
    return page(request, "refusal.html", status=refusal.status)
