# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""Who may do what in the session, and which of the server's handlers exist at all.

Deny by default, twice: the Authorizer allows listed (action, resource) pairs; and because not every handler asks it, every
handler whose class is not listed is removed from the router. A refused request ends in one place, `log_request`, which records it.
"""

import json
from html import escape
from typing import Any
from urllib.parse import urlsplit

from jupyter_server.base.handlers import JupyterHandler
from jupyterhub.log import log_request as hub_log_request
from jupyterhub.singleuser.extension import JupyterHubAuthorizer
from tornado import web
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule

from sandbox.guard.guard import Guard

ALLOWED = {
    "contents": {"read", "write"},
    "kernels": {"read", "write", "execute"},
    "sessions": {"read", "write"},
    "kernelspecs": {"read"},
    "events": {"execute"},
    "api": {"read"},
}
HANDLERS = frozenset(
    {
        # the hub's sign-in
        "jupyterhub.singleuser.extension.JupyterHubLogoutHandler",
        "jupyterhub.singleuser.extension.JupyterHubOAuthCallbackHandler",
        # JupyterLab's page and what it needs to draw itself
        "jupyterlab.handlers.LabHandler",
        "jupyterlab_server.handlers.LabHandler",
        "jupyterlab_server.handlers.NotFoundHandler",
        "jupyterlab_server.settings_handler.SettingsHandler",
        "jupyterlab_server.themes_handler.ThemesHandler",
        "jupyterlab_server.translations_handler.TranslationsHandler",
        "jupyterlab_server.workspaces_handler.WorkspacesHandler",
        "jupyter_server.base.handlers.FileFindHandler",
        "jupyter_server.base.handlers.PublicStaticFileHandler",
        "jupyter_server.base.handlers.RedirectWithParams",
        "jupyter_server.base.handlers.TrailingSlashHandler",
        "jupyter_server.base.handlers.MainHandler",
        # the services behind a notebook
        "jupyter_server.base.handlers.APIVersionHandler",
        "jupyter_server.services.api.handlers.APIStatusHandler",
        "jupyter_server.services.api.handlers.IdentityHandler",
        "jupyter_server.services.contents.handlers.ContentsHandler",
        "jupyter_server.services.contents.handlers.CheckpointsHandler",
        "jupyter_server.services.contents.handlers.ModifyCheckpointsHandler",
        "jupyter_server.services.kernels.handlers.MainKernelHandler",
        "jupyter_server.services.kernels.handlers.KernelHandler",
        "jupyter_server.services.kernels.handlers.KernelActionHandler",
        "jupyter_server.services.kernels.websocket.KernelWebsocketHandler",
        "jupyter_server.services.kernelspecs.handlers.MainKernelSpecHandler",
        "jupyter_server.services.kernelspecs.handlers.KernelSpecHandler",
        "jupyter_server.services.sessions.handlers.SessionRootHandler",
        "jupyter_server.services.sessions.handlers.SessionHandler",
    },
)
READ_ONLY = ("/lab/api/", "/api/me", "/api/kernelspecs")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_WITHOUT_LEASE = ("/static/", "/logout", "/oauth_callback", "/api/status", "/sandbox/")


class SandboxAuthorizer(JupyterHubAuthorizer):
    """The hub's own check, then the allowlist, then where the request came from."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """Whether this person may do `action` on `resource` in this request."""
        return (
            bool(super().is_authorized(handler, user, action, resource))
            and action in ALLOWED.get(resource, set())
            and self._is_own_page(handler)
        )

    def _is_own_page(self, handler: Any) -> bool:
        """A write or a WebSocket with a cookie must come from our own page (W15); programs use a token in a header."""
        request = handler.request
        if request.method in SAFE and request.headers.get("Upgrade", "").lower() != "websocket":
            return True
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() in {"token", "bearer"} and token.strip():
            return True  # the hub's sign-in takes such a token before any cookie, and no other page can add the header
        origin = request.headers.get("Origin")
        if origin is not None:
            return urlsplit(origin).netloc == request.headers.get("Host")
        return request.headers.get("Sec-Fetch-Site") == "same-origin"


class Refused(JupyterHandler):
    """Stands where the router let nothing else through."""

    def initialize(self, code: str = "path_refused") -> None:
        """Take the code to refuse with; a session without a lease says so instead."""
        self.code = code

    async def prepare(self) -> None:
        """Refuse every method alike, signed in or not."""
        guard = Guard.current()
        code, status = self.code, 403
        if code == "lease":
            code, status = guard.lease.reason, 403 if guard.lease.cut_code else 503
        self.guard_code, words = code, guard.say(code)
        self.set_status(status)
        if "text/html" in self.request.headers.get("Accept", ""):
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.finish(f'<!doctype html><meta charset="utf-8"><title>{code}</title><p>{escape(words)}</p>')
            return
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(
            json.dumps({"error": {"code": code, "message": words, "field": None, "params": {}}, "message": words}, ensure_ascii=False)
        )

    def check_xsrf_cookie(self) -> None:
        """Nothing is done here, so nothing needs protection."""


class NoLease(Matcher):
    """Matches every request for work while there is no live lease."""

    def __init__(self, base_url: str) -> None:
        self.base = base_url.rstrip("/")

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Tornado's question: `{}` to take the request, None to let it go on."""
        path = request.path.removeprefix(self.base)
        if Guard.current().lease.live or path == "/api" or path.startswith(OPEN_WITHOUT_LEASE):
            return None
        return {}


class ServiceWorker(Matcher):
    """Matches a browser that fetches a script to install it as a service worker, which would outlive the page (W14)."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Tornado's question, as above; no page can leave this header out."""
        return {} if "Service-Worker" in request.headers else None


class WriteToReadOnly(Matcher):
    """Matches writes to handlers that never ask the Authorizer and are listed for reading only (W4)."""

    def __init__(self, base_url: str) -> None:
        self.base = base_url.rstrip("/")

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Tornado's question, as above."""
        path = request.path.removeprefix(self.base)
        return {} if request.method not in SAFE and path.startswith(READ_ONLY) else None


def class_path(target: Any) -> str:
    """The full name of a handler's class."""
    return f"{target.__module__}.{target.__qualname__}" if isinstance(target, type) else ""


def close_without_lease(web_app: web.Application, base_url: str) -> None:
    """Refuse all work while there is no live lease, before any other route is looked at."""
    refusals = ((ServiceWorker(), "path_refused"), (WriteToReadOnly(base_url), "path_refused"), (NoLease(base_url), "lease"))
    for matcher, code in refusals:
        web_app.default_router.rules.insert(0, Rule(matcher, Refused, {"code": code}))


def prune(web_app: web.Application) -> list[str]:
    """Remove every handler that is not listed, in all routers; return the names of what was removed."""
    removed: list[str] = []
    routers = [web_app.default_router]
    while routers:
        router = routers.pop()
        for rule in list(router.rules):
            target = rule.target
            if isinstance(target, type):
                # Jupyter Server adds a mixin by making a subclass of the same name: look at the real class behind it.
                if target is not Refused and not {class_path(base) for base in target.__mro__[:3]} & HANDLERS:
                    router.rules.remove(rule)
                    removed.append(class_path(target))
            elif hasattr(target, "rules"):
                routers.append(target)
            else:
                router.rules.remove(rule)
                removed.append(repr(target))
    web_app.settings["default_handler_class"] = Refused
    web_app.settings["default_handler_args"] = {"code": "path_refused"}
    return removed


def log_request(handler: Any) -> None:
    """JupyterHub's request log; and what was refused goes on record."""
    hub_log_request(handler)
    status = handler.get_status()
    if status in {403, 405} or getattr(handler, "guard_code", None):
        code = getattr(handler, "guard_code", None) or ("not_allowed" if getattr(handler, "current_user", None) else "not_signed_in")
        Guard.current().refused(code, handler.request.method, handler.request.path, status, asked_by(handler))


def asked_by(handler: Any) -> str:
    """The login the hub gave for a request, whether or not it may do anything here; empty if the hub knows nobody."""
    user = getattr(handler, "_cached_hub_user", None)  # where JupyterHub keeps its answer, also for a stranger it refuses
    return str(user.get("name") or "") if isinstance(user, dict) else ""
