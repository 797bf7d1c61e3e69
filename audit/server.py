"""The log's HTTP edge: who may do what (docs/interfaces.md, section 2), and group commit.

Everything runs in the event loop's one thread, the fdatasync too: appends that arrived while it ran are sealed together in the next batch,
and handing a sync of 0.2 ms to a thread costs more than it gains (measured: docs/adr/0003-log.md).
"""

import asyncio
import base64
import binascii
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import Damaged, Refused, Unhealthy, require
from audit.index import FILTERS
from audit.leaf import is_digest
from audit.tokens import Session, TokenError, load_public, verify
from audit.writer import GivenBlob, Log

MAX_BODY = 64 * 2**20
"""Bytes of an append with its blobs."""
MAX_STREAMED = 2**20
"""Bytes of an append over a stream; what is larger goes as a request of its own."""
MAX_COUNT = 1000
"""Entries in one answer."""
READER = "portal"
_MAX_CACHED_TOKENS = 4096
_logger = logging.getLogger("audit")


@dataclass(frozen=True)
class Caller:
    """Who is speaking: a service by its token, or one session."""

    holder: str | None
    session: Session | None = None

    def may_speak_as(self, source: str) -> bool:
        """A service is its own source only, a session its sandbox's."""
        return source == (self.session.source if self.session else self.holder)


class Callers:
    """Turns a bearer token into a caller."""

    def __init__(self, accepts: Mapping[str, str], launch: Ed25519PublicKey | None, clock: Callable[[], float]) -> None:
        """`accepts`: hex SHA-256 of a token -> holder. `launch`: verifies session tokens. `clock`: seconds since 1970."""
        self._accepts = accepts
        self._launch = launch
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    @classmethod
    def load(cls, secrets: Path, clock: Callable[[], float] = time.time) -> "Callers":
        """Read `accepts/<holder>.sha256` and `launch.pub`. Damaged `log.no_tokens` if nobody could speak."""
        accepts = {path.read_text().strip(): path.stem for path in sorted((secrets / "accepts").glob("*.sha256"))}
        public = secrets / "launch.pub"
        if not accepts:
            raise Damaged("log.no_tokens", f"no accepted tokens in {secrets / 'accepts'}: nobody could append; run `sandbox init`")
        if not public.exists():
            _logger.warning("%s is missing: session tokens are refused", public)
        return cls(accepts, load_public(public.read_bytes()) if public.exists() else None, clock)

    def identify(self, header: str) -> Caller:
        """Return the caller of an `Authorization` header. Refused 401 `log.unauthorized`."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token:
            holder = self._accepts.get(hashlib.sha256(token.encode()).hexdigest())
            if holder is not None:
                return Caller(holder)
            if self._launch is not None and "." in token:
                return Caller(None, self._session(token, self._launch))
        raise Refused("log.unauthorized", 401)

    def _session(self, token: str, public: Ed25519PublicKey) -> Session:
        now = self._clock()
        session = self._sessions.get(token)
        try:
            if session is None or now >= session.exp:
                session = verify(token, public, now)
        except TokenError as error:
            self._sessions.pop(token, None)
            raise Refused("log.unauthorized", 401, reason=error.code) from error
        if len(self._sessions) >= _MAX_CACHED_TOKENS:
            self._sessions.clear()
        self._sessions[token] = session
        return session


class Service:
    """Handlers over one open log."""

    def __init__(self, log: Log, callers: Callers) -> None:
        self._log = log
        self._callers = callers
        self._commit: asyncio.Future[None] | None = None
        self._streams: set[web.WebSocketResponse] = set()

    def app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_answer_refusals])
        app.router.add_post("/v1/append", self.append)
        app.router.add_get("/v1/stream", self.stream)
        app.router.add_get("/v1/source/{source}", self.source)
        app.router.add_get("/v1/entries", self.entries)
        app.router.add_get("/v1/blob/{digest}", self.blob)
        app.router.add_get("/v1/head", self.head)
        app.router.add_get("/healthz", self.healthz)
        app.on_shutdown.append(self._close_streams)
        return app

    async def append(self, request: web.Request) -> web.Response:
        """Take a leaf; the answer leaves when it is on disk."""
        authorization = request.headers.get("Authorization", "")
        self._callers.identify(authorization)  # nobody's body is read before we know whose it is
        status, answer = await self.take(authorization, await request.read())
        return web.json_response(answer, status=status)

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        """Take leaves one after the other over a WebSocket: as `append`, without the cost of a request each (docs/adr/0003-log.md)."""
        authorization = request.headers.get("Authorization", "")
        self._callers.identify(authorization)
        socket = web.WebSocketResponse(compress=False, max_msg_size=MAX_STREAMED)
        await socket.prepare(request)
        self._streams.add(socket)
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                status, answer = await self.take(authorization, message.data)
                await socket.send_json({"status": status, "answer": answer})
        finally:
            self._streams.discard(socket)
        return socket

    async def take(self, authorization: str, body: bytes | str) -> tuple[int, dict[str, Any]]:
        """Append what a body holds for whom the header names; return status and answer. The token is looked at each time: it may have ended."""
        try:
            caller = self._callers.identify(authorization)
            leaf, blobs = _parse_append(body)
            self._authorize(caller, leaf.get("source"), leaf.get("boot"))
            index = self._log.stage(leaf, blobs)
            await self._committed()
        except (Refused, Unhealthy, Damaged) as error:
            return _answer_to(error)
        return 200, {"index": index}

    async def _close_streams(self, _: web.Application) -> None:
        for socket in list(self._streams):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    async def source(self, request: web.Request) -> web.Response:
        """Tell a source where it stands."""
        caller = self._caller(request)
        source = request.match_info["source"]
        if not caller.may_speak_as(source):
            raise Refused("log.foreign_source", 403)
        if self._log.failed:
            raise Unhealthy(self._log.failed)
        return web.json_response(self._log.last(source) or {"boot": None, "seq": None})

    async def entries(self, request: web.Request) -> web.Response:
        """Entries in order, filtered."""
        self._reader(request)
        query = dict(request.query)
        start, count = (_number(query.pop(name, default), name) for name, default in (("start", "0"), ("count", "100")))
        unknown = sorted(set(query) - FILTERS)
        if unknown or len(request.query) != len(set(request.query)):
            raise Refused("log.bad_query", 422, field=unknown[0] if unknown else "query", known=sorted(FILTERS))
        found, following = self._log.entries(query, start, min(max(count, 1), MAX_COUNT))
        return web.json_response({"entries": found, "next": following, "size": self._log.size})

    async def blob(self, request: web.Request) -> web.Response:
        """Bytes of a blob: never shown as a page, whatever they hold."""
        self._reader(request)
        digest = request.match_info["digest"]
        content = self._log.blob(digest) if is_digest(digest) else None
        if content is None:
            raise Refused("log.erased", 404)
        return web.Response(body=content, content_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"})

    async def head(self, request: web.Request) -> web.Response:
        """Return the newest signed head."""
        self._caller(request)
        if self._log.failed:
            raise Unhealthy(self._log.failed)
        head = self._log.head
        return web.json_response({"size": head.size, "root": head.root.hex(), "checkpoint": self._log.checkpoint.decode()})

    async def healthz(self, _: web.Request) -> web.Response:
        """200 only while appends are possible."""
        if self._log.failed:
            raise Unhealthy(self._log.failed)
        return web.json_response({"ok": True})

    def _caller(self, request: web.Request) -> Caller:
        return self._callers.identify(request.headers.get("Authorization", ""))

    def _reader(self, request: web.Request) -> None:
        if self._caller(request).holder != READER:
            raise Refused("log.forbidden", 403)

    def _authorize(self, caller: Caller, source: object, boot: object) -> None:
        if not isinstance(source, str) or not caller.may_speak_as(source):
            raise Refused("log.foreign_source", 403)
        if caller.session is not None and boot != caller.session.boot:
            raise Refused("log.foreign_boot", 403)

    def _committed(self) -> Awaitable[None]:
        """Wait for the commit that seals everything staged so far; the first to ask schedules it behind all handlers that are ready now."""
        if self._commit is None:
            loop = asyncio.get_running_loop()
            self._commit = loop.create_future()
            loop.call_soon(self._run_commit, self._commit)
        return asyncio.shield(self._commit)

    def _run_commit(self, done: asyncio.Future[None]) -> None:
        self._commit = None
        try:
            self._log.commit()
        except Unhealthy as error:
            _logger.critical("%s", error)
            done.set_exception(error)
        else:
            done.set_result(None)


@web.middleware
async def _answer_refusals(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    try:
        return await handler(request)
    except (Refused, Unhealthy, Damaged) as error:
        status, answer = _answer_to(error)
        return web.json_response(answer, status=status)
    except web.HTTPRequestEntityTooLarge:
        return web.json_response({"code": "log.too_large", "limit": MAX_BODY}, status=413)


def _answer_to(error: Refused | Unhealthy | Damaged) -> tuple[int, dict[str, Any]]:
    """Status and answer that tell of an error."""
    match error:
        case Refused():
            return error.status, {"code": error.code, **error.params}
        case Damaged():
            _logger.critical("%s", error)
            return 500, {"code": error.code, "index": error.index, "reason": str(error)}
        case _:
            return 503, {"code": "log.unhealthy", "reason": str(error)}


def _parse_append(body: bytes | str) -> tuple[dict[str, Any], list[GivenBlob]]:
    try:
        parsed = json.loads(body)
        well_formed = isinstance(parsed, dict) and {"leaf"} <= set(parsed) <= {"leaf", "blobs"} and isinstance(parsed["leaf"], dict)
        require(well_formed, 'an append is {"leaf":{…},"blobs":[…]}')
        return parsed["leaf"], [_parse_blob(blob) for blob in parsed.get("blobs", [])]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise Refused("log.bad_leaf", field="body", reason=str(error)[:200]) from error


def _parse_blob(blob: dict[str, str]) -> GivenBlob:
    if ("text" in blob) == ("base64" in blob):
        raise ValueError("a blob has either text or base64")
    content = blob["text"].encode() if "text" in blob else base64.b64decode(blob["base64"], validate=True)
    return GivenBlob(blob["digest"], bytes.fromhex(blob["salt"]), content)


def _number(text: str, field: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Refused("log.bad_query", 422, field=field)
    return int(text)
