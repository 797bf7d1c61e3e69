"""The internal port (interfaces.md, 6): the hub asks for log-ins and launches, the guards for leases and exports.

Reached from the networks `control` and `sessions` only; every call shows whose it is: the hub's token, or a session's own.
"""

import asyncio
import hashlib
import hmac
import time
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from audit import tokens
from sandbox.domain.errors import Refusal
from sandbox.domain.messages import text
from sandbox.domain.spec import sign
from sandbox.services import accounts, display, sandboxes
from sandbox.services.context import Context
from sandbox.services.display import Limits
from sandbox.services.leases import LogOut, Word
from sandbox.services.sandboxes import SESSION_LIFE, Launch
from sandbox.web import internal_exports
from sandbox.web.internal_session import session_of
from sandbox.web.process import LOG, OPA, Process

RENEW_SECONDS = 5.0
PORTAL_INTERNAL = "http://portal:8011"
MOST_BYTES = 1 << 40


class Login(BaseModel):
    """What the hub's form was given."""

    login: str
    password: str
    otp: str | None = None
    address: str = ""
    device: str = ""
    device_new: bool = False


class Server(BaseModel):
    """A named server of a person."""

    login: str
    server: str


def create_internal(process: Process) -> FastAPI:
    """Return the application of the internal port."""
    app = FastAPI(title="Data Sandbox internal", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.process = process
    app.state.hub_hash = process.settings.accepts("portal").get("hub", "")

    @app.exception_handler(Refusal)
    async def refused(_request: Request, refusal: Refusal) -> JSONResponse:
        error = {"code": refusal.code, "message": text(refusal.code, **refusal.params), "field": refusal.field, "params": refusal.params}
        return JSONResponse({"error": error}, refusal.status)

    app.get("/healthz")(healthy)
    app.post("/internal/hub/login")(log_in)
    app.post("/internal/hub/launch")(launch)
    app.post("/internal/hub/stopped")(stopped)
    app.websocket("/internal/session/lease")(lease)
    app.post("/internal/session/display")(show)
    internal_exports.add(app)
    return app


def healthy() -> dict[str, bool]:
    """Say that the portal serves."""
    return {"ok": True}


def the_hub(request: Request, authorization: Annotated[str, Header()] = "") -> Process:
    """Go on for the hub only; 401 otherwise."""
    given = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
    if not hmac.compare_digest(given, request.app.state.hub_hash):
        raise Refusal("token_invalid", status=401)
    process: Process = request.app.state.process
    return process


TheHub = Annotated[Process, Depends(the_hub)]


def log_in(process: TheHub, form: Login) -> JSONResponse:
    """Check a log-in for the hub; lock-outs and counters are kept either way."""

    def check(ctx: Context) -> tuple[str | None, str | None, int]:
        outcome = accounts.authenticate(ctx.db, ctx.now, **form.model_dump(), demo=process.settings.demo)
        return outcome.person.login if outcome.person else None, outcome.code, outcome.seconds

    login, code, seconds = process.work.run(check)
    if login is None:
        raise Refusal(code or "login_failed", status=401, **({"seconds": seconds} if seconds else {}))
    return JSONResponse({"login": login})


def launch(process: TheHub, server: Server) -> dict[str, Any]:
    """Authorise a start: policy, then the durable record, then the signature (architecture, Start)."""

    def decide(ctx: Context) -> tuple[dict[str, Any], int, str] | Refusal:
        outcome = sandboxes.authorise(ctx, process.settings, login=server.login, server=server.server)
        return outcome if isinstance(outcome, Refusal) else _plain(outcome)

    outcome = process.work.run(decide, name="hub")
    if isinstance(outcome, Refusal):
        raise outcome
    spec, record, boot = outcome
    try:
        process.wait_recorded(record)
    except Refusal as refusal:
        process.work.run(sandboxes.start_failed, server.server, refusal.code)
        raise
    token = tokens.sign(process.key, sandbox=server.server, boot=boot, exp=int(time.time() + SESSION_LIFE.total_seconds()))
    spec["session"]["environment"] |= {
        "DATASANDBOX_SANDBOX": server.server,
        "DATASANDBOX_BOOT": boot,
        "DATASANDBOX_SESSION_TOKEN": token,
        "DATASANDBOX_OPA_TOKEN": process.settings.secret("portal", "session-opa.token"),
        "DATASANDBOX_LOG": LOG,
        "DATASANDBOX_OPA": OPA,
        "DATASANDBOX_PORTAL": PORTAL_INTERNAL,
    }
    return sign(spec, process.key)


def _plain(plan: Launch) -> tuple[dict[str, Any], int, str]:
    return plan.spec, plan.record.id, plan.boot


def stopped(process: TheHub, server: Server) -> dict[str, bool]:
    """Note that the hub has ended a session."""
    process.work.run(sandboxes.stopped, server.server, name="hub")
    return {"ok": True}


async def lease(socket: WebSocket) -> None:
    """Grant and renew a session's lease until it ends or is cut; the cut comes at once."""
    process: Process = socket.app.state.process
    try:
        session = session_of(process, socket.headers.get("authorization", ""))
    except Refusal:
        await socket.close(4401)
        return
    await socket.accept()
    with process.leases.stream(session.sandbox) as words:
        reader = asyncio.create_task(_listen(process, socket, session))
        try:
            await _renew(process, socket, session, words)
        except (WebSocketDisconnect, RuntimeError):
            return  # the guard went away: its lease ends by itself
        finally:
            reader.cancel()


async def _renew(process: Process, socket: WebSocket, session: tokens.Session, words: asyncio.Queue[Word]) -> None:
    while True:
        message = await asyncio.to_thread(_lease_message, process, session)
        if isinstance(message, str):
            await socket.send_json({"type": "cut", "code": message})
            await socket.close(4403)
            return
        await socket.send_json(message)
        try:
            async with asyncio.timeout(RENEW_SECONDS):  # wait_for of 3.11 can lose a cancellation
                word = await words.get()
        except TimeoutError:
            continue
        if isinstance(word, LogOut):
            await socket.send_json({"type": "logout"})
            continue
        await socket.send_json({"type": "cut", "code": word.code})
        await socket.close(4403)
        return


def _lease_message(process: Process, session: tokens.Session) -> dict[str, Any] | str:
    """Look without the writer's lock, since policy is asked for the display budget; then count the renewal."""
    message: dict[str, Any] | str = process.work.look(_lease_of, process, session)
    if not isinstance(message, str):
        process.work.run(sandboxes.note_lease, session.boot)
    return message


def _lease_of(ctx: Context, process: Process, session: tokens.Session) -> dict[str, Any] | str:
    return sandboxes.lease_of(ctx, process.settings, sandbox_id=session.sandbox, boot=session.boot)


class Display(BaseModel):
    """Bytes a session wants to show, and those it was granted and did not use; `request` names it, so that it can be repeated."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    reserve: int = Field(default=0, ge=0, le=MOST_BYTES)
    give_back: int = Field(default=0, ge=0, le=MOST_BYTES, alias="return")
    request: str | None = Field(default=None, min_length=1, max_length=64)


def show(request: Request, wanted: Display, authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
    """Grant a part of the display budget, committed before it is said."""
    process: Process = request.app.state.process
    session = session_of(process, authorization)
    allowed: Limits = process.work.look(lambda ctx: display.session_limits(ctx, sandbox_id=session.sandbox, boot=session.boot))

    def act(ctx: Context) -> dict[str, Any]:
        return display.reserve(ctx, sandbox_id=session.sandbox, boot=session.boot, **wanted.model_dump(), allowed=allowed)

    answer: dict[str, Any] = process.work.run(act)
    return answer


async def _listen(process: Process, socket: WebSocket, session: tokens.Session) -> None:
    while True:
        message = await socket.receive_json()
        if isinstance(message, dict) and message.get("type") == "activity" and isinstance(message.get("executions"), int):

            def note(ctx: Context, executions: int = message["executions"]) -> None:
                sandboxes.note_activity(ctx, session.boot, executions)

            await asyncio.to_thread(process.work.run, note)
