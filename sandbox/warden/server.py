"""The warden's HTTP interface (interfaces.md, 5): who may call what, and errors in the common form."""

import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sandbox.domain import messages
from sandbox.domain import spec as specs
from sandbox.domain.errors import Refusal
from sandbox.warden.data import DataRuns
from sandbox.warden.sandboxes import Sandboxes
from sandbox.warden.spent import Spent

MAX_BODY = 256 << 10
CALLERS = {
    "/v1/launch": {"hub"},
    "/v1/data": {"portal"},
    "/v1/cut": {"portal"},
    "/v1/stop": {"hub", "portal"},
    "/v1/state": {"portal"},
    "/v1/networks": {"hub"},
}
_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Handlers over sandboxes and data runs; `accepts` maps a holder to the hex SHA-256 of its token."""

    def __init__(
        self,
        deployment: str,
        public: Ed25519PublicKey,
        accepts: Mapping[str, str],
        *,
        sandboxes: Sandboxes,
        data: DataRuns,
        spent: Spent,
        subnets: Callable[[], Awaitable[list[str]]],
        now: Callable[[], datetime],
    ) -> None:
        self._deployment = deployment
        self._public = public
        self._accepts = accepts
        self._sandboxes = sandboxes
        self._data = data
        self._spent = spent
        self._subnets = subnets
        self._now = now

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._guarded])
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.post("/v1/launch", self._launch),
                web.post("/v1/data", self._run),
                web.post("/v1/cut", self._cut),
                web.post("/v1/stop", self._stop),
                web.get("/v1/state", self._state),
                web.get("/v1/networks", self._networks),
            ]
        )
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if request.path != "/healthz":
                self._authorize(request)
            return await handler(request)
        except Refusal as refusal:
            return web.json_response(_error(refusal), status=refusal.status)
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001 - the edge: a fault is logged and answered in the common form
            _log.exception("%s %s", request.method, request.path)
            return web.json_response(_error(Refusal("warden_unavailable")), status=500)

    def _authorize(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        digest = hashlib.sha256(token.encode()).hexdigest() if scheme == "Bearer" and token else ""
        for holder, accepted in self._accepts.items():
            if hmac.compare_digest(digest, accepted):
                if holder in CALLERS.get(request.path, ()):
                    return
                raise Refusal("warden_forbidden", status=403, holder=holder)
        raise Refusal("warden_unauthorized", status=401)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def _launch(self, request: web.Request) -> web.Response:
        spec = self._verified(await _body(request))
        if not isinstance(spec, specs.SandboxSpec):
            raise Refusal("spec_invalid", field="kind", status=403)
        return web.json_response(await self._sandboxes.launch(spec))

    async def _run(self, request: web.Request) -> web.Response:
        spec = self._verified(await _body(request))
        if not isinstance(spec, specs.DataSpec):
            raise Refusal("spec_invalid", field="kind", status=403)
        return web.json_response(await self._data.run(spec))

    async def _cut(self, request: web.Request) -> web.Response:
        sandbox, body = await _sandbox(request)
        return web.json_response(await self._sandboxes.cut(sandbox, str(body.get("reason", ""))))

    async def _stop(self, request: web.Request) -> web.Response:
        sandbox, _ = await _sandbox(request)
        await self._sandboxes.stop(sandbox)
        return web.json_response({})

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response({"sandboxes": self._sandboxes.state()})

    async def _networks(self, _request: web.Request) -> web.Response:
        return web.json_response({"networks": await self._subnets()})

    def _verified(self, envelope: object) -> specs.Spec:
        """Return the spec of an envelope, used up from here on, whatever becomes of it."""
        now = self._now()
        spec = specs.verify(envelope, self._public, now)
        if spec.deployment != self._deployment:
            raise Refusal("spec_invalid", field="deployment", status=403)
        self._spent.spend(spec, now)
        return spec


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise Refusal("spec_invalid", field="body", status=403) from error


async def _sandbox(request: web.Request) -> tuple[str, Mapping[str, Any]]:
    body = await _body(request)
    if not isinstance(body, dict) or not specs.is_id(body.get("sandbox")):
        raise Refusal("sandbox_id_invalid", field="sandbox")
    return body["sandbox"], body


def _error(refusal: Refusal) -> dict[str, Any]:
    message = messages.text(refusal.code, **{"field": refusal.field or "", **refusal.params})
    return {"error": {"code": refusal.code, "message": message, "field": refusal.field, "params": refusal.params}}
