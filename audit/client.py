"""What the other processes use: `Source` writes a record, `Reader` reads it. Both speak HTTP to the log (docs/interfaces.md, section 2)."""

import asyncio
import base64
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp

from audit.leaf import RESUMED, STARTED, Blob, time_text

__all__ = ["Blob", "LogError", "LogLost", "LogRefused", "LogUnavailable", "Page", "Reader", "Source"]

TIMEOUT = 2.0
"""Seconds that an append may take, with all its attempts."""
MAX_STREAMED = 2**18
"""Bytes of an append that goes over the stream (the log takes up to four times that)."""
_PAUSE = 0.05
_T = TypeVar("_T")
_logger = logging.getLogger("audit.client")


class LogError(Exception):
    """Nothing was acknowledged; `code` says why. Whoever needs a record first must not act."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code, params)
        self.code = code
        self.params = params


class LogUnavailable(LogError):  # noqa: N818 - the name of docs/interfaces.md
    """The log did not acknowledge in time. The leaf is kept and goes first at the next call, so it may still come on record."""

    def __init__(self, reason: str = "") -> None:
        super().__init__("log_unavailable", reason=reason)


class LogRefused(LogError):  # noqa: N818 - a refusal is an answer, not a fault
    """The log will not take this leaf (`log.bad_leaf`, `log.too_large`, `log.boot_ended`, `log.foreign_source`, …); it was given up."""


class LogLost(LogError):  # noqa: N818 - beside the two others
    """The log no longer has entries it acknowledged to us (`log_lost`): it was rolled back. Do not go on; call the security officer."""

    def __init__(self, acknowledged: int, last: dict[str, Any]) -> None:
        super().__init__("log_lost", acknowledged=acknowledged, last=last)


@dataclass
class _Pending:
    leaf: dict[str, Any]
    blobs: list[dict[str, str]]


class Source:
    """One source of the record, in one boot. Appends are kept in order; a leaf that was not acknowledged is sent again first.

    A source that is given the boot it already has in the log (a session that came back under its token) goes on in it and says so
    (`source.resumed`). One instance a (source, boot).
    """

    def __init__(
        self,
        url: str,
        token: str,
        source: str,
        boot: str | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout: float = TIMEOUT,
    ) -> None:
        self.source = source
        self.boot = boot or secrets.token_hex(8)
        self._url = url.rstrip("/")
        self._token = token
        self._clock = clock
        self._timeout = timeout
        self._order = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None
        self._stream: aiohttp.ClientWebSocketResponse | None = None
        self._seq: int | None = None
        """Last acknowledged number of this boot, None before the first."""
        self._pending: _Pending | None = None

    async def start(self) -> None:
        """Append the first leaf of the boot. May be called again after LogUnavailable; `append` does it if nobody did."""
        async with self._order:
            await self._within(self._begin)

    async def append(
        self,
        kind: str,
        *,
        actor: dict[str, str],
        refs: dict[str, str] | None = None,
        data: dict[str, Any] | None = None,
        blobs: Sequence[Blob] = (),
    ) -> int:
        """Record an event and return its index: it is on disk then. Raises LogUnavailable, LogRefused or LogLost."""

        async def send() -> int:
            await self._begin()
            self._pending = self._make(kind, actor, refs or {}, data or {}, blobs)
            return await self._flush()

        async with self._order:
            return await self._within(send)

    async def close(self) -> None:
        """Close the connection. What was not acknowledged is given up."""
        self._stream = None
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _within(self, act: Callable[[], Awaitable[_T]]) -> _T:
        try:
            async with asyncio.timeout(self._timeout):
                return await act()
        except TimeoutError as error:
            raise LogUnavailable(f"no acknowledgement in {self._timeout} s") from error

    async def _begin(self) -> None:
        """Send what is left over from an earlier call, and the boot's first leaf if it has none."""
        if self._pending is not None:
            await self._flush()
        if self._seq is not None:
            return
        last = await self._last()
        actor = {"type": "service", "id": self.source}
        if last is not None and last["boot"] == self.boot:
            self._seq = last["seq"]
            self._pending = self._make(RESUMED, actor, {}, {"previous": last}, ())
        else:
            self._pending = self._make(STARTED, actor, {}, {"previous": last}, ())
        await self._flush()

    def _make(self, kind: str, actor: dict[str, str], refs: dict[str, str], data: dict[str, Any], blobs: Sequence[Blob]) -> _Pending:
        leaf = {
            "v": 1,
            "source": self.source,
            "boot": self.boot,
            "seq": 0 if self._seq is None else self._seq + 1,
            "time": time_text(self._clock()),
            "kind": kind,
            "actor": actor,
            "refs": refs,
            "data": data,
            "blobs": [blob.ref for blob in blobs],
        }
        return _Pending(leaf, [_blob_json(blob) for blob in blobs])

    async def _flush(self) -> int:
        """Send the pending leaf until the log takes or refuses it; a failed attempt never changes it."""
        while True:
            pending = self._pending
            if pending is None:
                raise RuntimeError("nothing to send")
            status, answer = await self._append(_encoded({"leaf": pending.leaf, "blobs": pending.blobs}))
            if status == 200:
                self._pending, self._seq = None, pending.leaf["seq"]
                return int(answer["index"])
            if answer.get("code") in {"log.seq_gap", "log.leaf_conflict"}:
                await self._renumber(pending)
                continue
            self._pending = None
            raise LogRefused(str(answer.pop("code", f"log.http_{status}")), **answer)

    async def _renumber(self, pending: _Pending) -> None:
        """Another instance wrote under our name and boot: go on behind it. But if the log has *less* than it acknowledged, stop."""
        last = await self._last()
        acknowledged = -1 if self._seq is None else self._seq
        if last is None or last["boot"] != self.boot or last["seq"] < acknowledged:
            raise LogLost(acknowledged, last or {"boot": None, "seq": None})
        _logger.warning("%s: going on at %d, another instance writes as this boot", self.source, last["seq"] + 1)
        self._seq = last["seq"]
        pending.leaf["seq"] = last["seq"] + 1

    async def _last(self) -> dict[str, Any] | None:
        status, answer = await self._call("GET", f"/v1/source/{quote(self.source, safe='')}", None)
        if status != 200:
            raise LogRefused(str(answer.pop("code", f"log.http_{status}")), **answer)
        return answer if answer["boot"] is not None else None

    async def _append(self, content: bytes) -> tuple[int, dict[str, Any]]:
        """Have an append answered, by the stream if there is one: a request of its own costs several times as much (docs/adr/0003-log.md)."""
        if len(content) > MAX_STREAMED:
            return await self._call("POST", "/v1/append", content)
        text = content.decode()
        while True:
            try:
                stream = await self._opened()
                if stream is None:
                    return await self._call("POST", "/v1/append", content)
                status, answer = await self._exchange(stream, text)
                if status < 500:
                    return status, answer
                _logger.warning("the log answers %d: %s", status, answer)
            except (aiohttp.ClientError, OSError, ValueError, TypeError, KeyError) as error:
                _logger.warning("the log cannot be reached: %s", error)
            await asyncio.sleep(_PAUSE)

    async def _opened(self) -> aiohttp.ClientWebSocketResponse | None:
        """Return the open stream, None where the log takes none from us: then a request of its own says why."""
        if self._stream is not None and not self._stream.closed:
            return self._stream
        try:
            self._stream = await self._session().ws_connect(f"{self._url}/v1/stream", compress=0, max_msg_size=MAX_STREAMED)
        except aiohttp.WSServerHandshakeError as error:
            if error.status >= 500:
                raise
            self._stream = None
        return self._stream

    async def _exchange(self, stream: aiohttp.ClientWebSocketResponse, text: str) -> tuple[int, dict[str, Any]]:
        """Send one append and await its answer. Whatever interrupts that ends the stream: no answer may meet another leaf."""
        done = False
        try:
            await stream.send_str(text)
            message = await stream.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise aiohttp.ServerDisconnectedError
            parsed = json.loads(message.data)
            result = int(parsed["status"]), dict(parsed["answer"])
            done = True
        finally:
            if not done:
                self._stream = None
                stream._response.close()  # noqa: SLF001 - a polite end waits for the other side, which may be the reason
        return result

    async def _call(self, method: str, path: str, content: bytes | None) -> tuple[int, dict[str, Any]]:
        """One call, again and again while the log cannot be reached or is unhealthy; the caller's time-out ends it."""
        while True:
            try:
                async with self._session().request(method, self._url + path, data=content) as response:
                    answer = await response.json(content_type=None)
                    if response.status < 500 and isinstance(answer, dict):
                        return response.status, answer
                    _logger.warning("the log answers %d: %s", response.status, answer)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                _logger.warning("the log cannot be reached: %s", error)
            await asyncio.sleep(_PAUSE)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = _session(self._token)
        return self._http


@dataclass(frozen=True)
class Page:
    """Some entries (`{"index","leaf"}`), where to go on (None: that was all), and the log's size."""

    entries: list[dict[str, Any]]
    next: int | None
    size: int


class Reader:
    """Reads the log with the portal's token. Raises LogUnavailable or LogRefused."""

    def __init__(self, url: str, token: str, *, timeout: float = 10.0) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._http: aiohttp.ClientSession | None = None

    async def entries(self, start: int = 0, count: int = 100, **filters: str) -> Page:
        """Entries from `start`, at most `count` (and 1,000). Filters: kind, actor, source and references: `entries(sandbox=…, agreement=…)`."""
        plain = {"kind", "actor", "source"}
        query = {name if name in plain else f"refs.{name}": value for name, value in filters.items()}
        answer = json.loads(await self._get("/v1/entries", {"start": str(start), "count": str(count), **query}))
        return Page(answer["entries"], answer["next"], answer["size"])

    async def blob(self, digest: str) -> bytes | None:
        """Bytes of a blob, None if erased."""
        try:
            return await self._get(f"/v1/blob/{quote(digest, safe='')}", {})
        except LogRefused as refusal:
            if refusal.code == "log.erased":
                return None
            raise

    async def head(self) -> dict[str, Any]:
        """Return `{"size","root","checkpoint"}`; the checkpoint is a C2SP signed note, worth keeping elsewhere."""
        answer: dict[str, Any] = json.loads(await self._get("/v1/head", {}))
        return answer

    async def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _get(self, path: str, query: dict[str, str]) -> bytes:
        if self._http is None:
            self._http = _session(self._token)
        try:
            async with self._http.get(self._url + path, params=query, timeout=self._timeout) as response:
                content = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LogUnavailable(str(error)) from error
        if status == 503:
            raise LogUnavailable("the log is unhealthy")
        if status != 200:
            try:
                answer = json.loads(content)
                code = str(answer.pop("code"))
            except (ValueError, KeyError, AttributeError):
                answer, code = {}, f"log.http_{status}"
            raise LogRefused(code, **answer)
        return content


def _session(token: str) -> aiohttp.ClientSession:
    # asyncio sets TCP_NODELAY on every TCP socket. Proxies of the environment are never for the log.
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        auto_decompress=False,
    )


def _encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _blob_json(blob: Blob) -> dict[str, str]:
    fields = {"digest": blob.digest, "salt": blob.salt.hex()}
    try:
        return {**fields, "text": blob.content.decode()}
    except UnicodeDecodeError:
        return {**fields, "base64": base64.b64encode(blob.content).decode()}
