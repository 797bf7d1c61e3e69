"""The door: the one verb API the session offers to the kernel container, on `/door/door.sock`.

Newline JSON: `{"verb", …}` -> `{"ok": true, "result"}` or `{"ok": false, "error": {"code", "message", "params"}}`, the message in
the person's language. A connection may be kept: its requests are answered in their order. Whoever connects is user code: every field is checked, every size bounded, and a request is on record
before it is answered.

| verb | takes | result |
|---|---|---|
| info | - | the facts of the lease a researcher may know, `now`, and `facts`: changes whenever the agreements do |
| query | sql, datasets | `{"query", "mode": "mounted", "paths": {dataset: path}, "facts"}`: whoever kept an `info` sees whether it still holds |
| query_done | query, status, rows, columns, seconds | `{}`; a declaration of the client, recorded as such |
| show_again | parent (the request of the asking cell), cell (a number in brackets, or null) | `{"shown", "left", "code", "message"}`: withheld output appears under that request |
| check, export | title, context, files `[{"name", "size", "sha256"}]`, then the files' bytes one after the other | what the portal's checks say |
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp

from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id
from sandbox.guard.again import show_again
from sandbox.guard.guard import Guard

LINE = 1024 * 1024
AT_ONCE = 16  # requests that are being answered
CONNECTIONS = 64  # kept open; of more the one idle for longest is closed
FILE_BYTES = 20 * 1024 * 1024
PACKAGE_BYTES = 50 * 1024 * 1024
FILES = 20
TITLE, CONTEXT = 200, 4000
SECONDS = 120.0  # a check that takes longer is broken
NAME = re.compile(r"[^/\\\x00-\x1f]{1,200}")
SHA256 = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)


class Door:
    """Serves user code in the kernel container."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._idle: OrderedDict[asyncio.StreamWriter, None] = OrderedDict()  # longest idle first
        self._open = 0
        self._queries: dict[str, list[str]] = {}
        self._version: tuple[dict[str, Any] | None, str] = (None, "")

    async def listen(self) -> asyncio.Server:
        """Make the socket; whoever reaches the directory may connect, which is the kernel container and this session."""
        path = self.guard.settings.door / "door.sock"
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, path, limit=LINE)
        path.chmod(0o666)
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        if self._open > CONNECTIONS and self._idle:
            self._idle.popitem(last=False)[0].close()
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                while line := await self._next(reader, writer):
                    async with self._slots:
                        answer, go_on = await self._answer(line, reader)
                    writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                    await writer.drain()
                    if not go_on:
                        break
        finally:
            self._open -= 1
            writer.close()

    async def _next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Wait for the next request of a connection, which meanwhile counts as idle."""
        self._idle[writer] = None
        try:
            return await reader.readline()
        finally:
            self._idle.pop(writer, None)

    async def _answer(self, line: bytes, reader: asyncio.StreamReader) -> tuple[dict[str, Any], bool]:
        """Answer one request; after a failed upload the stream is out of step, so the connection ends."""
        streamed = False
        try:
            request = json.loads(line)
            streamed = isinstance(request, dict) and request.get("verb") in {"check", "export"}
            result = await self._act(request, reader)
        except Refusal as refusal:
            params = {name: value for name, value in refusal.params.items() if name != "text"}
            message = str(refusal.params.get("text") or self.guard.say(refusal.code, **refusal.params))
            error = {"code": refusal.code, "message": message, "field": refusal.field, "params": params}
            return {"ok": False, "error": error}, not streamed
        except (ValueError, RecursionError):
            code = "door_bad_request"
            return {"ok": False, "error": {"code": code, "message": self.guard.say(code), "field": None, "params": {}}}, False
        return {"ok": True, "result": result}, True

    async def _act(self, request: Any, reader: asyncio.StreamReader) -> dict[str, Any]:
        """Carry out one verb; Refusal for anything unknown."""
        self.guard.require_lease()
        match request:
            case {"verb": "info"}:
                return self.info()
            case {"verb": "query"}:
                return await self.query(request)
            case {"verb": "query_done"}:
                return await self.query_done(request)
            case {"verb": "show_again"}:
                return await show_again(self.guard, request.get("parent"), request.get("cell"))
            case {"verb": "check" | "export"}:
                return await self.export(request, reader)
            case _:
                raise Refusal("door_bad_request", field="verb")

    def info(self) -> dict[str, Any]:
        """What the researcher may know of the lease."""
        facts = self.guard.lease.facts
        return {name: facts.get(name) for name in ("sandbox", "project", "person", "agreements", "display", "url")} | {
            "now": datetime.now(UTC).isoformat(timespec="seconds"),
            "facts": self.version(),
        }

    def version(self) -> str:
        """Name the agreements as they are now: another name whenever any of their facts changes."""
        facts = self.guard.lease.facts
        if self._version[0] is not facts:  # each grant brings new facts
            text = json.dumps([self.guard.lease.epoch, facts.get("agreements")], sort_keys=True, default=str)
            self._version = facts, hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
        return self._version[1]

    def _agreements(self) -> list[dict[str, Any]]:
        found = self.guard.lease.facts.get("agreements")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    async def query(self, request: dict[str, Any]) -> dict[str, Any]:
        """Decide on a query, record it, and say where its data is. The worker for queried mode comes later."""
        sql, datasets = request.get("sql"), request.get("datasets")
        if not isinstance(sql, str) or not sql.strip():
            raise Refusal("query_empty", field="sql")
        if not isinstance(datasets, list) or len(datasets) > 50 or not all(isinstance(name, str) and len(name) <= 100 for name in datasets):
            raise Refusal("door_bad_request", field="datasets")
        text = sql.encode(errors="replace")
        mine = [item for item in self._agreements() if item.get("dataset") in datasets]
        queried = any(item.get("access") != "mounted" for item in mine)
        mode = "queried" if queried else "mounted"
        agreements = [
            {
                "id": item.get("id"),
                "dataset": item.get("dataset"),
                "access": item.get("access"),
                "columns": [c.get("name") for c in item.get("columns", [])],
            }
            for item in mine
        ]
        number = new_id()
        code: str | None = None
        params: dict[str, Any] = {}
        missing = sorted(set(datasets) - {str(item.get("dataset")) for item in mine})
        data: dict[str, Any] = {"query": number, "mode": mode, "datasets": sorted(datasets), "size": len(text)}
        if missing:
            code, params = "dataset_not_agreed", {"datasets": ", ".join(missing)}
        elif any(item.get("state") == "queried_not_available" for item in mine) or queried:
            code, params = (
                "queried_not_available",
                {"datasets": ", ".join(str(item.get("dataset")) for item in mine if item.get("access") != "mounted")},
            )
        else:
            facts = {"query": {"mode": mode, "datasets": datasets, "size": len(text)}, "agreements": agreements}
            decision = await self.guard.decide("sandbox.query", facts)
            data["decision"] = self.guard.decision_data(decision)
            if not decision.allow:
                code = decision.reasons[0] if decision.reasons else "policy_unavailable"
        if code:
            data["code"] = code
        data["agreements"] = sorted(str(item["id"]) for item in agreements)
        await self.guard.record("query.denied" if code else "query.sent", data, [("sql", "application/sql", text)])
        if code:
            raise Refusal(code, field="sql", **params)
        self.guard.require_lease()
        self._queries[number] = datasets
        while len(self._queries) > 256:
            self._queries.pop(next(iter(self._queries)))
        return {"query": number, "mode": mode, "paths": {name: f"/data/{name}/data.parquet" for name in datasets}, "facts": self.version()}

    async def query_done(self, request: dict[str, Any]) -> dict[str, Any]:
        """Record what the client says became of its query."""
        number = str(request.get("query"))
        if self._queries.pop(number, None) is None:
            raise Refusal("door_bad_request", field="query")
        status = request.get("status")
        data = {
            "query": number,
            "declared": True,
            "status": status if status in {"ok", "error"} else "unknown",
            "rows": _count(request.get("rows")),
            "columns": _count(request.get("columns")),
            "milliseconds": _count(request.get("milliseconds")),
        }
        self.guard.record_when_idle("query.closed", data)
        return {}

    async def export(self, request: dict[str, Any], reader: asyncio.StreamReader) -> dict[str, Any]:
        """Record a request to export (or to check beforehand), stream the files to quarantine, return what the checks say."""
        files = _files(request.get("files"))
        check_only = request["verb"] == "check"
        title, context = (str(request.get(name) or "").strip() for name in ("title", "context"))
        for name, text, limit in (("title", title, TITLE), ("context", context, CONTEXT)):
            if (not text and not check_only) or len(text) > limit:
                raise Refusal("export_text_missing", field=name, limit=limit)
        data = {"check_only": check_only, "files": files, "size": sum(item["size"] for item in files)}
        blobs = [("title", "text/plain", title.encode(errors="replace")), ("context", "text/plain", context.encode(errors="replace"))]
        await self.guard.record("export.requested", data, [blob for blob in blobs if blob[2]])
        headers = {"Authorization": f"Bearer {self.guard.settings.tokens['session']}"}
        try:
            async with (
                asyncio.timeout(SECONDS),
                aiohttp.ClientSession(self.guard.settings.portal, headers=headers, trust_env=False) as portal,
            ):
                body = {"title": title, "context": context, "check_only": check_only, "files": files}
                export = str((await self._post(portal, "/internal/session/exports", json=body)).get("export"))
                for number, item in enumerate(files):
                    path = f"/internal/session/exports/{export}/files/{number}"
                    sent = hashlib.sha256()
                    async with portal.put(
                        path, data=_body(reader, item["size"], sent.update), headers={"Content-Length": str(item["size"])}
                    ) as answer:
                        await _refused(answer)
                    if sent.hexdigest() != item["sha256"]:
                        raise Refusal("export_file_changed", field=item["name"], name=item["name"])
                return await self._post(portal, f"/internal/session/exports/{export}/submit")
        except (aiohttp.ClientError, TimeoutError, OSError) as down:
            _log.warning("export: %r", down)
            raise Refusal("portal_unavailable", status=503) from down

    async def _post(self, portal: aiohttp.ClientSession, path: str, **kwargs: Any) -> dict[str, Any]:
        async with portal.post(path, **kwargs) as answer:
            await _refused(answer)
            result = await answer.json()
            return result if isinstance(result, dict) else {}


async def _refused(answer: aiohttp.ClientResponse) -> None:
    """Hand a refusal of the portal on as it is, with its text."""
    if answer.status < 400:
        return
    try:
        error = (await answer.json())["error"]
        code, text = str(error["code"]), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError, aiohttp.ClientError) as bad:
        raise Refusal("portal_unavailable", status=503) from bad
    raise Refusal(code, field=error.get("field"), status=answer.status, text=text)


async def _body(reader: asyncio.StreamReader, size: int, seen: Callable[[bytes], None]) -> AsyncIterator[bytes]:
    """Pass exactly `size` bytes on."""
    left = size
    while left:
        part = await reader.read(min(left, 65536))
        if not part:
            raise Refusal("export_file_changed", name="")
        seen(part)
        left -= len(part)
        yield part


def _files(value: Any) -> list[dict[str, Any]]:
    """Check the list of files a client announced."""
    if not isinstance(value, list) or not 1 <= len(value) <= FILES:
        raise Refusal("export_files", field="files", limit=FILES)
    found: list[dict[str, Any]] = []
    for item in value:
        match item:
            case {"name": str(name), "size": int(size), "sha256": str(digest)} if (
                NAME.fullmatch(name) and SHA256.fullmatch(digest) and size >= 0
            ):
                if size > FILE_BYTES:
                    raise Refusal("export_file_too_large", field=name, name=name, limit=FILE_BYTES >> 20)
                found.append({"name": name, "size": size, "sha256": digest})
            case _:
                raise Refusal("export_files", field="files", limit=FILES)
    if sum(item["size"] for item in found) > PACKAGE_BYTES:
        raise Refusal("export_file_too_large", field="files", name="*", limit=PACKAGE_BYTES >> 20)
    return found


def _count(value: Any) -> int | None:
    """A whole number that a client may state."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None
