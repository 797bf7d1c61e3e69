"""The Docker door: a UNIX socket that speaks the spawner's few Docker calls, on session containers of this deployment only.

The hub asks, the warden decides: a container is made from the launch spec that the portal signed and the warden has verified, whatever
the request's body says. Everything else is refused with a stable code and recorded. A hub taken over can start, look at and end
approved sandboxes' sessions, and nothing else on this machine.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from docker.errors import APIError, NotFound

from sandbox.domain import messages
from sandbox.domain.errors import Refusal
from sandbox.domain.spec import SandboxSpec
from sandbox.domain.uids import UIDS
from sandbox.warden import dockercalls
from sandbox.warden.dockercalls import API, MAX_BODY, Call
from sandbox.warden.engine import Engine, EngineError, SessionSeen
from sandbox.warden.mounts import Places
from sandbox.warden.records import Recorder
from sandbox.warden.session import Sessions

MAX_CONNECTIONS = 64  # the hub's four threads need four; descriptors are the warden's, which must be able to cut
BODY_SECONDS = 5.0
HUB = {"type": "service", "id": "hub"}
_log = logging.getLogger(__name__)


class Approved(Protocol):
    """What the door needs of the sandboxes."""

    def approved(self, sandbox: str) -> SandboxSpec | None:
        """Return the spec of a sandbox that lives and is not being ended; None otherwise."""

    def lives(self, sandbox: str) -> bool:
        """Tell whether its kernel container runs and is not being ended."""


class Refusals:
    """Records what was refused: `MOST` a `WINDOW` (seconds) one by one, the rest of it as one entry with their number."""

    MOST = 20
    WINDOW = 60.0

    def __init__(self, recorder: Recorder, clock: Callable[[], float] = time.monotonic) -> None:
        self._recorder = recorder
        self._clock = clock
        self._began = -self.WINDOW
        self._told = 0
        self._more = 0

    def note(self, code: str, method: str, target: str) -> None:
        """Record that the hub asked for `target` and was refused with `code`."""
        now = self._clock()
        if now - self._began >= self.WINDOW:
            self.flush()
            self._began, self._told = now, 0
        if self._told >= self.MOST:
            if not self._more:
                asyncio.get_running_loop().call_later(self.WINDOW - (now - self._began), self.flush)
            self._more += 1
            return
        self._told += 1
        self._recorder.later(
            "docker.refused", {}, {"code": code, "method": ascii(method[:20])[1:-1], "target": ascii(target[:200])[1:-1]}, HUB
        )

    def flush(self) -> None:
        """Record the number of those that were not told one by one."""
        if self._more:
            self._recorder.later("docker.refused", {}, {"code": "docker_refusals_counted", "number": self._more}, HUB)
            self._more = 0


class DockerDoor:
    """The server behind the socket."""

    def __init__(self, sessions: Sessions, *, approved: Approved, engine: Engine, recorder: Recorder) -> None:
        self._sessions = sessions
        self._deployment = sessions.settings.id
        self._approved = approved
        self._engine = engine
        self._recorder = recorder
        self.refusals = Refusals(recorder)
        self._runner: web.ServerRunner | None = None

    async def open(self) -> Path:
        """Listen on the deployment's socket and return its path. Raises OSError."""
        path = self._sessions.settings.run / "docker" / "door.sock"
        path.parent.mkdir(mode=0o710, exist_ok=True)
        os.chown(path.parent, 0, UIDS["hub"])
        path.parent.chmod(0o710)
        path.unlink(missing_ok=True)  # of the warden before
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        os.chown(path, 0, UIDS["hub"])
        path.chmod(0o660)
        self._runner = web.ServerRunner(_Listener(self.answer, self.refusals), access_log=None)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        return path

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Do one call, or refuse it in Docker's form: `{"message"}`, with our `code`."""
        try:
            call = dockercalls.read(self._deployment, request.method, request.raw_path)
            return await self._do(call, request)
        except Refusal as refusal:
            self.refusals.note(refusal.code, request.method, request.raw_path)
            return _refused(refusal)
        except NotFound:
            return _said(404, f"No such container: {call.container}")
        except APIError as error:
            return _said(error.status_code or 500, str(error.explanation or error)[:300])
        except (EngineError, OSError) as error:
            _log.warning("%s %s: %s", request.method, call.verb, error)
            return _said(500, "the engine did not answer")

    async def _do(self, call: Call, request: web.BaseRequest) -> web.StreamResponse:
        match call.verb:
            case "version":
                return web.json_response({"Version": "data sandbox", "ApiVersion": API, "MinAPIVersion": API, "Os": "linux"})
            case "create":
                return await self._create(call, dockercalls.token(await _body(request)))
        seen = await self._session(call)
        match call.verb:
            case "inspect":
                return web.json_response(_shown(seen, self._sessions.network))
            case "start":
                await self._start(seen)
                return web.Response(status=204)
            case "remove":
                await self._engine.remove(seen.id)
                return web.Response(status=204)
            case _:  # logs
                return web.Response(body=await self._engine.last_words(seen.id, call.tail), content_type="application/octet-stream")

    async def _create(self, call: Call, token: str) -> web.Response:
        spec = self._approved.approved(call.sandbox)
        if spec is None:
            raise Refusal("docker_session_refused", field="name", status=403)
        refs = {"sandbox": spec.sandbox, "session": spec.session.id, "project": spec.project}
        await self._recorder.before("session.created", refs, {"boot": spec.boot, "image": spec.session.image}, HUB)
        settings = self._sessions.settings
        places = Places.of(settings.home, settings.run, spec.sandbox)
        made = await self._engine.create_session(self._sessions.container(spec, token), places, spec.sandbox)
        return web.json_response({"Id": made, "Warnings": []}, status=201)

    async def _start(self, seen: SessionSeen) -> None:
        if not self._approved.lives(seen.sandbox):
            raise Refusal("docker_session_refused", field="container", status=403)
        await self._engine.start_session(seen.id)
        if not self._approved.lives(seen.sandbox):  # cut meanwhile: the cut saw no running session to kill (R1)
            await self._engine.remove(seen.id)
            raise Refusal("docker_session_refused", field="container", status=403)

    async def _session(self, call: Call) -> SessionSeen:
        """Return the session container that the call names. Raises Refusal for any other container, NotFound for none."""
        seen = await self._engine.session(call.container)
        if seen is None or seen.name != self._sessions.name(seen.sandbox):
            raise Refusal("docker_container_refused", field="container", status=403)
        return seen


class _Connection(RequestHandler):
    """A connection whose garbage is recorded too: aiohttp answers what is no HTTP without asking the handler."""

    __slots__ = ("refusals",)
    refusals: Refusals

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status < 500:
            refusal = Refusal("docker_call_refused", field="request", status=400)
            self.refusals.note(refusal.code, "", message or "")
            answer = _refused(refusal)
        else:
            _log.error("the Docker door failed", exc_info=exc)
            answer = _said(status, "the door failed; the warden's output tells more")
        answer.force_close()
        return answer


def _request(message: Any, payload: Any, protocol: RequestHandler, writer: Any, task: "asyncio.Task[None]") -> web.BaseRequest:
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=MAX_BODY)


class _Listener(web.Server):
    def __init__(self, handler: Any, refusals: Refusals) -> None:
        super().__init__(
            handler, request_factory=_request, access_log=None, lingering_time=1.0, keepalive_timeout=300.0, auto_decompress=False
        )
        self._refusals = refusals

    def __call__(self) -> RequestHandler:
        connection = _Connection(self, loop=self._loop, **self._kwargs)
        connection.refusals = self._refusals
        return connection

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()


async def _body(request: web.BaseRequest) -> bytes:
    """Return a body that is small (the listener's limit) and comes soon. Raises Refusal `docker_body_refused`."""
    try:
        if (request.content_length or 0) <= MAX_BODY:
            async with asyncio.timeout(BODY_SECONDS):
                return await request.read()
    except (TimeoutError, web.HTTPRequestEntityTooLarge, web.RequestPayloadError):
        pass
    raise Refusal("docker_body_refused", field="body", status=403)


def _shown(seen: SessionSeen, network: str) -> dict[str, Any]:
    """Return what the spawner reads of an inspection: no environment, mounts or host configuration."""
    return {
        "Id": seen.id,
        "Name": f"/{seen.name}",
        "State": seen.state,
        "Config": {"Tty": False, "Env": []},
        "NetworkSettings": {"Networks": {network: {"IPAddress": seen.address}}},
    }


def _refused(refusal: Refusal) -> web.Response:
    said = messages.text(refusal.code, "en", **{"field": refusal.field or "", **refusal.params})
    return web.json_response({"message": f"{said} [{refusal.code}]", "code": refusal.code}, status=refusal.status)


def _said(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
