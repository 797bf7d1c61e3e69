"""The public port's application: pages and API under `/services/portal` (interfaces.md, 8)."""

import logging
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from sandbox.domain.errors import Refusal
from sandbox.web.labels import refusal_text
from sandbox.web.pages import refusal_page
from sandbox.web.request import PREFIX, lang_of
from sandbox.web.routes import agreements, api, applications, audit, data, exports, login, people, projects, requests, requests_api, start
from sandbox.web.routes.api import API
from sandbox.web.routes.uploads import MAX_UPLOAD
from sandbox.web.runtime import Runtime
from sandbox.web.security import Guarded, origin_of

BODY_LIMIT = 1 << 20  # bytes; forms and JSON. Files have their own limit.
_log = logging.getLogger(__name__)


def create_app(runtime: Runtime) -> FastAPI:
    """Make the application; `runtime` brings database, policy, clock, log-in and log."""
    app = FastAPI(title="Data Sandbox", version="1", docs_url=None, redoc_url=None, openapi_url=f"{API}/openapi.json")
    app.state.runtime = runtime
    app.mount(f"{PREFIX}/static", Static(directory=Path(__file__).parent / "static"), name="static")
    for module in (login, start, people, data, projects, applications, agreements, exports, requests, audit):
        app.include_router(module.pages, prefix=PREFIX, include_in_schema=False)
    app.include_router(api.api)
    app.include_router(requests_api.api)
    app.add_middleware(Guarded, origin=origin_of(runtime.settings.portal_url), hub=origin_of(runtime.settings.url), limit=_limit)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _broken)
    return app


class Static(StaticFiles):
    """The files of the pages; a browser may keep them for an hour."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Allow keeping, which everything else forbids."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response


def _limit(path: str) -> int:
    return MAX_UPLOAD + BODY_LIMIT if path.endswith("/versions") else BODY_LIMIT


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(f"{API}/")


def answer(request: Request, refusal: Refusal) -> Response:
    """Say a refusal in the form the asker reads: JSON for the API, a page for a person; without log-in, the way to it."""
    if _is_api(request):
        message = refusal_text(refusal, lang_of(request))
        params = {name: value if isinstance(value, str | int | float | bool) else str(value) for name, value in refusal.params.items()}
        error = {"code": refusal.code, "message": message, "field": refusal.field, "params": params}
        return JSONResponse({"error": error}, refusal.status)
    if refusal.code == "login_needed" and request.method == "GET":
        if request.headers.get("hx-request"):  # a fragment that is polled: the whole page goes to the log-in
            return Response(status_code=401, headers={"HX-Refresh": "true"})
        return RedirectResponse(login.login_path(request), 303)
    return refusal_page(request, refusal)


def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return answer(request, error)


def _invalid(request: Request, error: Exception) -> Response:
    """Name the first field that is wrong; unknown fields are refused, not ignored (mass assignment, P5)."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or None
    codes = {"extra_forbidden": "field_unknown", "missing": "field_required"}
    return answer(request, Refusal(codes.get(first["type"], "field_invalid"), field=where, status=422))


def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    codes = {404: "not_visible", 405: "method_refused", 413: "body_too_large"}
    return answer(request, Refusal(codes.get(error.status_code, "field_invalid"), status=error.status_code, what="page"))


def _broken(request: Request, error: Exception) -> Response:
    _log.error("request failed: %s %s", request.method, request.url.path, exc_info=error)
    return answer(request, Refusal("internal_error", status=500))
