"""One request: who asks, whether it is really them, and one transaction for what they do.

`with acting(request) as ctx:` opens the transaction, finds the person by the session cookie (no cache: a person who is
no longer active is nobody at once), compares the CSRF token, and commits at its end; jobs leave after that.
A Refusal rolls back; if it denied (403), that is recorded in a transaction of its own.
"""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from sandbox.domain.errors import Refusal
from sandbox.services import accounts
from sandbox.services.context import Context, record_refusal
from sandbox.web.i18n import choose
from sandbox.web.runtime import Runtime
from sandbox.web.security import SAFE_METHODS

PREFIX = "/services/portal"
LANG_COOKIE = "portal-lang"


@dataclass(frozen=True)
class Me:
    """The person who is logged in, as the pages show them; outlives the transaction."""

    login: str
    name: str
    lang: str
    csrf: str


def runtime_of(request: Request) -> Runtime:
    """Return the runtime the application was made with."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def me_of(request: Request) -> Me | None:
    """Return who is logged in, once `acting` or `reading` has found out."""
    me: Me | None = getattr(request.state, "me", None)
    return me


def lang_of(request: Request) -> str:
    """Return the language of the answer: asked for in the address, kept in the cookie, the person's own, the browser's."""
    me = me_of(request)
    return choose(
        request.query_params.get("lang"), request.cookies.get(LANG_COOKIE), me.lang if me else None, request.headers.get("accept-language")
    )


# Cookies -----------------------------------------------------------------------------------------------------------------


def secure(runtime: Runtime) -> bool:
    """Say whether the portal is reached by https; plain http is for *.localhost only (`settings.check_url`)."""
    return runtime.settings.url.startswith("https:")


def cookie_name(runtime: Runtime) -> str:
    """Return the session cookie's name; over https the `__Host-` rules keep a sandbox's host from planting one."""
    return "__Host-portal" if secure(runtime) else "portal-session"


def set_cookie(response: Response, runtime: Runtime, name: str, value: str, *, seconds: int) -> None:
    """Set a host-only, HttpOnly, SameSite=Lax cookie; a `__Host-` one has path `/`, others the portal's prefix."""
    path = "/" if name.startswith("__Host-") else f"{PREFIX}/"
    response.set_cookie(name, value, max_age=seconds, path=path, secure=secure(runtime), httponly=True, samesite="lax")


def session_token(request: Request) -> str | None:
    """Return the session cookie's value; two cookies of that name mean that somebody planted one: neither counts."""
    name = cookie_name(runtime_of(request))
    pairs = (pair.strip().partition("=") for header in request.headers.getlist("cookie") for pair in header.split(";"))
    values = [value for key, _, value in pairs if key == name and value]
    return values[0] if len(values) == 1 else None


def safe_next(path: str | None) -> str:
    """Return a path of the portal to go to next; anything else (another host, `//`, a backslash, controls) is the start page."""
    home = f"{PREFIX}/"
    if not path or not path.startswith(home) or "\\" in path or any(ord(c) < 32 for c in path):
        return home
    parts = urlsplit(path)
    dots = any(part in {".", ".."} for part in parts.path.lower().replace("%2e", ".").split("/"))
    return home if parts.scheme or parts.netloc or dots else path


# Transactions ------------------------------------------------------------------------------------------------------------


def _context(request: Request, db: Session) -> Context:
    runtime, token = runtime_of(request), session_token(request)
    now = runtime.clock()
    found = accounts.session(db, token, now) if token else None
    if found is None:
        raise Refusal("login_needed", status=401)
    person = found.person
    request.state.me = Me(person.login, person.name, person.lang, found.csrf)
    return Context(db=db, actor=accounts.actor_of(person), now=now, policy=runtime.policy, lang=lang_of(request))


def check_csrf(request: Request) -> None:
    """Refuse an unsafe request whose header or form does not carry the session's token (`csrf_refused`, 403)."""
    if request.method in SAFE_METHODS:
        return
    me, form = me_of(request), form_of(request)
    given = request.headers.get("x-csrf-token") or (form.get("csrf") if form else None)
    if me is None or not isinstance(given, str) or not hmac.compare_digest(me.csrf.encode(), given.encode()):
        raise Refusal("csrf_refused", status=403)


@contextmanager
def reading(request: Request) -> Iterator[Context]:
    """Open a transaction that writes nothing; `login_needed` (401) when nobody is logged in."""
    with _denials_recorded(request), runtime_of(request).database.reading() as db:
        yield _context(request, db)


@contextmanager
def acting(request: Request) -> Iterator[Context]:
    """Open the request's one writing transaction; commit, then wake what leaves after commit."""
    runtime = runtime_of(request)
    with _denials_recorded(request), runtime.database.writing() as db:
        ctx = _context(request, db)
        check_csrf(request)
        yield ctx
    runtime.after_commit()


@contextmanager
def _denials_recorded(request: Request) -> Iterator[None]:
    """Record a denied act in a transaction of its own, after that of the act is rolled back: 403, and 404 for what one may not see."""
    try:
        yield
    except Refusal as refusal:
        if refusal.status == 403 or refusal.code == "not_visible":
            runtime = runtime_of(request)
            act = str(refusal.params.get("act") or f"{request.method} {request.url.path}")
            with runtime.database.writing() as db:
                record_refusal(_context(request, db), refusal, act=act)
            runtime.after_commit()
        raise


# Forms -------------------------------------------------------------------------------------------------------------------


async def read_form(request: Request) -> FormData:
    """Dependency: read the form, which holds texts only; files go through `upload.py`, after the log-in is known."""
    form = await request.form(max_files=0, max_fields=5000, max_part_size=256 * 1024)
    request.state.form = form
    return form


def form_of(request: Request) -> FormData | None:
    """Return the form that `read_form` read."""
    form: FormData | None = getattr(request.state, "form", None)
    return form


def words(form: FormData, name: str) -> str:
    """Return a text field, trimmed; empty when it is not there."""
    value: Any = form.get(name)
    return value.strip() if isinstance(value, str) else ""
