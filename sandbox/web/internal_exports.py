"""Exports as a session's guard sends them: announced, streamed into quarantine by digest, submitted, checked (interfaces.md, 6)."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from pydantic import BaseModel

from audit.tokens import Session
from sandbox.domain.errors import Refusal
from sandbox.services import exports
from sandbox.services.context import Context
from sandbox.store.tables import Sandbox
from sandbox.web.internal_session import session_of
from sandbox.web.process import Process

CHECK_SECONDS = 110.0  # the guard gives up after two minutes; a package that is still checked then is shown in the portal
POLL_SECONDS = 0.2


class Announced(BaseModel):
    """A package to come."""

    title: str
    context: str
    check_only: bool
    files: list[dict[str, Any]]


def add(app: FastAPI) -> None:
    """Add the calls to the internal application."""
    app.post("/internal/session/exports", status_code=201)(create)
    app.put("/internal/session/exports/{export}/files/{number}", status_code=204)(put_file)
    app.post("/internal/session/exports/{export}/submit")(submit)


async def _run(request: Request, token: str, act: Callable[[Context, Session], Any]) -> Any:
    """Run `act` in one transaction as the portal, for the sandbox that the token speaks for."""
    process: Process = request.app.state.process
    session = session_of(process, token)
    return await asyncio.to_thread(process.work.run, lambda ctx: act(ctx, session))


async def create(request: Request, package: Announced, authorization: Annotated[str, Header()] = "") -> dict[str, str]:
    """Take the announcement of a package."""

    def act(ctx: Context, session: Session) -> str:
        made = exports.create(ctx, sandbox=session.sandbox, boot=session.boot, **package.model_dump())
        return made.id

    return {"export": await _run(request, authorization, act)}


async def put_file(request: Request, export: str, number: int, authorization: Annotated[str, Header()] = "") -> Response:
    """Store the bytes of one file, counted and hashed as they come; more than was announced is refused at once.

    They are written beside and moved to their place only when they are what was announced, while the package is held open: a request
    that ends after the package was submitted changes nothing.
    """

    def expected(ctx: Context, session: Session) -> tuple[str, int]:
        file = exports.incoming(ctx, sandbox=session.sandbox, export=export, number=number)
        return file.path, file.size

    process: Process = request.app.state.process
    relative, size = await _run(request, authorization, expected)
    path: Path = process.settings.home / relative
    path.parent.mkdir(mode=0o755, exist_ok=True)
    digest, count = hashlib.sha256(), 0
    beside = path.parent.with_name(f".{export}.{number}.{secrets.token_hex(8)}")  # not in the package, which the checks see whole

    def act(ctx: Context, session: Session) -> None:
        exports.add_file(ctx, sandbox=session.sandbox, export=export, number=number, size=count, sha256=digest.hexdigest())
        beside.replace(path)

    try:
        with beside.open("wb") as target:
            async for chunk in request.stream():
                count += len(chunk)
                if count > size:
                    raise Refusal("export_changed", field=f"files[{number}]", status=409, file=str(number))
                digest.update(chunk)
                target.write(chunk)
        await _run(request, authorization, act)
    finally:
        beside.unlink(missing_ok=True)
    return Response(status_code=204)


async def submit(request: Request, export: str, authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
    """Have the package checked and wait for the outcome."""
    await _run(request, authorization, lambda ctx, session: exports.submit(ctx, sandbox=session.sandbox, export=export).id)

    def outcome(ctx: Context, session: Session) -> dict[str, Any] | None:
        made = exports.of_session(ctx, sandbox=session.sandbox, export=export)
        if not exports.checked(made):
            return None
        lang = ctx.db.get_one(Sandbox, session.sandbox).person.lang
        findings = exports.findings_view(made, lang)
        return {"export": made.id, "state": exports.shown_state(made), "reasons": made.reasons, "findings": findings}

    try:
        async with asyncio.timeout(CHECK_SECONDS):
            while (answer := await _run(request, authorization, outcome)) is None:  # noqa: ASYNC110 - the outcome is a row, made by another task
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as error:
        raise Refusal("check_pending", status=503, export=export) from error
    return dict(answer)
