"""What every answer carries and every unsafe request must show, as two plain ASGI layers.

A sandbox's host is the same *site* as the portal (architecture, host names), so SameSite alone protects nothing here:
the Origin check is made before anything is read, and the CSRF token is checked where the form or header is (`identity.py`).
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from sandbox.domain.messages import text

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# {hub}: a log-out is a form whose answer leads to the hub, and browsers apply form-action to redirects as well.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self' {hub}; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def origin_refused(method: str, headers: Headers, own_origin: str) -> bool:
    """Say whether an unsafe request comes from elsewhere: a foreign Origin, or no Origin and no same-origin fetch."""
    if method in SAFE_METHODS:
        return False
    origin = headers.get("origin")
    if origin is not None:
        return origin != own_origin
    return headers.get("sec-fetch-site") != "same-origin"


def origin_of(url: str) -> str:
    """Return `scheme://host[:port]` of `url`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _refuse(code: str, status: int) -> JSONResponse:
    message = f"{text(code, 'zh-CN')} / {text(code, 'en')}"
    return JSONResponse({"error": {"code": code, "message": message, "field": None, "params": {}}}, status)


class Guarded:
    """Adds the headers to every answer; refuses foreign origins and bodies larger than `limit(path)` bytes."""

    def __init__(self, app: App, *, origin: str, hub: str, limit: Callable[[str], int]) -> None:
        self.app, self.origin, self.limit = app, origin, limit
        self.headers = HEADERS | {"Content-Security-Policy": CSP.format(hub=hub)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        limit = self.limit(scope["path"])
        length = headers.get("content-length", "0")
        if origin_refused(scope["method"], headers, self.origin):
            await _refuse("origin_refused", 403)(scope, receive, send_guarded)
        elif "transfer-encoding" in headers:
            await _refuse("length_needed", 411)(scope, receive, send_guarded)
        elif not length.isdigit() or int(length) > limit:
            await _refuse("body_too_large", 413)(scope, receive, send_guarded)
        else:
            await self.app(scope, receive, send_guarded)
