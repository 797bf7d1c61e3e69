"""Log-in by the hub, log-out, and what hangs on the cookies."""

import secrets
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from sandbox.domain.errors import Refusal
from sandbox.services import accounts, sandboxes
from sandbox.web.request import PREFIX, acting, cookie_name, read_form, runtime_of, safe_next, secure, session_token, set_cookie

pages = APIRouter()
STATE_SECONDS = 600
SESSION_HOURS = 8


def login_path(request: Request) -> str:
    """Return the log-in's address, with the way back to the page that was asked for."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{PREFIX}/login?next={quote(safe_next(here), safe='')}"


def _state_cookie(request: Request) -> str:
    return "__Host-portal-oauth" if secure(runtime_of(request)) else "portal-oauth"


@pages.get("/login")
def login(request: Request, next: str | None = None) -> Response:  # noqa: A002 - the usual name of this parameter
    """Send the browser to the hub; the state and the PKCE secret stay in a cookie of ten minutes."""
    runtime, state, verifier = runtime_of(request), secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    response = RedirectResponse(runtime.oauth.authorize_url(state, verifier), 303)
    set_cookie(response, runtime, _state_cookie(request), f"{state}.{verifier}.{quote(safe_next(next), safe='')}", seconds=STATE_SECONDS)
    return response


@pages.get("/oauth_callback")
def oauth_callback(request: Request, code: str = "", state: str = "") -> Response:
    """Come back from the hub: a new session (never one that was there before) for the person the hub names."""
    runtime = runtime_of(request)
    kept = request.cookies.get(_state_cookie(request), "").split(".", 2)
    if len(kept) != 3 or not secrets.compare_digest(kept[0].encode(), state.encode()) or not code:
        raise Refusal("login_state", status=400)
    login = runtime.oauth.login_of(code, kept[1])
    with runtime.database.writing() as db:
        now = runtime.clock()
        person = accounts.by_login(db, login)
        if person is None:
            raise Refusal("person_unknown", status=403, login=login)
        old = session_token(request)
        if old:
            accounts.end_session(db, now, old)
        token, _session = accounts.start_session(db, now, person, hours=SESSION_HOURS)
    runtime.after_commit()
    response = RedirectResponse(safe_next(unquote(kept[2])), 303)
    set_cookie(response, runtime, cookie_name(runtime), token, seconds=SESSION_HOURS * 3600)
    set_cookie(response, runtime, _state_cookie(request), "", seconds=0)
    return response


@pages.post("/logout")
def logout(request: Request, form: Annotated[FormData, Depends(read_form)]) -> Response:
    """End the portal's session, close what the person's browsers hold open in sandboxes, then end the hub's session."""
    del form
    runtime, token = runtime_of(request), session_token(request)
    with acting(request) as ctx:
        accounts.end_session(ctx.db, ctx.now, token or "")
        open_now = sandboxes.logged_out(ctx)
    runtime.log_out(open_now)
    response = RedirectResponse(runtime.oauth.logout_url(), 303)
    set_cookie(response, runtime, cookie_name(runtime), "", seconds=0)
    return response
