"""The one client of everything that checks: demo, benches, tests and `sandbox run`. Only the public interfaces, as a browser.

async with Client(url, "researcher", password) as person:
    await person.post("/projects", {"title": …, "purpose": …})
    await person.open(project)
    async for event in person.run("print(1 + 1)"):
        print(event.text, end="")
"""

import asyncio
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

API = "/services/portal/api/v1"
LIVE = {"requested", "starting"}
POLL_SECONDS = 0.2


class ApiError(Exception):
    """An interface said no: stable `code`, `message` for people, HTTP `status`, and the `field` it concerns."""

    def __init__(self, code: str, message: str = "", status: int = 0, *, field: str | None = None, params: Any = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code, self.message, self.status, self.field, self.params = code, message, status, field, params


class LocalhostResolver(AbstractResolver):
    """`*.localhost` is this machine (RFC 6761), which neither Debian 12's resolver nor Python knows; the rest as usual."""

    def __init__(self) -> None:
        self._usual: ThreadedResolver | None = None

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Return the addresses of `host`."""
        if host == "localhost" or host.endswith(".localhost"):
            flags = socket.AI_NUMERICHOST
            return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=flags)]
        self._usual = self._usual or ThreadedResolver()
        return await self._usual.resolve(host, port, family)

    async def close(self) -> None:
        """Close the usual resolver."""
        if self._usual:
            await self._usual.close()


class _LoginForm(HTMLParser):
    """The hub's form: where it goes, its hidden fields, and what it says went wrong."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.alert = ""
        self._in_alert = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the form, its fields and where the alert begins."""
        have = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = have.get("action", "")
        elif tag == "input" and "name" in have:
            self.fields[have["name"]] = have.get("value", "")
        self._in_alert = have.get("role") == "alert"

    def handle_data(self, data: str) -> None:
        """Collect the alert."""
        if self._in_alert:
            self.alert += data

    def handle_endtag(self, tag: str) -> None:
        """An alert ends with its element."""
        del tag
        self._in_alert = False


@dataclass(frozen=True)
class Event:
    """One output of a cell. `kind`: stream, display, result, error, or done (the last; `content` is the execute_reply's)."""

    kind: str
    text: str
    content: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0  # time.monotonic() of its last byte


class Kernel:
    """A kernel's WebSocket: runs code, and knows when its last byte came. `async with`, or `close()`."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse, kernel: str) -> None:
        self.id = kernel
        self.last_byte = time.monotonic()
        self.close_code: int | None = None
        self._socket = socket_
        self._session = uuid.uuid4().hex
        self._waiting: dict[str, asyncio.Queue[dict[str, Any] | None]] = {}
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        # pings are answered here, so that they count as bytes that came
        while True:
            frame = await self._socket.receive()
            if frame.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}:
                break
            self.last_byte = time.monotonic()
            if frame.type is aiohttp.WSMsgType.PING:
                await self._socket.pong(frame.data)
            elif frame.type is aiohttp.WSMsgType.TEXT:
                self._deliver(json.loads(frame.data))
            elif frame.type is aiohttp.WSMsgType.BINARY:
                # JSON, then buffers: offsets are big-endian, the first part is the message
                count = int.from_bytes(frame.data[:4])
                start = int.from_bytes(frame.data[4:8])
                end = int.from_bytes(frame.data[8:12]) if count > 1 else len(frame.data)
                self._deliver(json.loads(frame.data[start:end]))
        self.close_code = self._socket.close_code
        for queue in self._waiting.values():
            queue.put_nowait(None)

    def _deliver(self, message: dict[str, Any]) -> None:
        queue = self._waiting.get((message.get("parent_header") or {}).get("msg_id", ""))
        if queue:
            queue.put_nowait(message)

    async def send(self, kind: str, content: Mapping[str, Any], channel: str = "shell") -> str:
        """Send one message as JupyterLab does and return its id; ApiError `socket_closed` when the socket is closed."""
        message_id = uuid.uuid4().hex
        header = {
            "msg_id": message_id,
            "msg_type": kind,
            "session": self._session,
            "username": "",
            "version": "5.3",
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": dict(content), "channel": channel, "buffers": []}
        self._waiting[message_id] = asyncio.Queue()
        try:
            await self._socket.send_json(message)
        except (ConnectionError, aiohttp.ClientError) as error:
            raise self._closed() from error
        return message_id

    async def run(self, code: str) -> AsyncIterator[Event]:
        """Run `code` as one cell and yield its outputs; ends with `done`. ApiError `socket_closed` when the socket closes first."""
        if self._reader.done():
            raise self._closed()
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        message_id = await self.send("execute_request", content)
        reply: Mapping[str, Any] | None = None
        idle = False
        try:
            while reply is None or not idle:
                message = await self._waiting[message_id].get()
                if message is None:
                    raise self._closed()
                content, kind = message.get("content") or {}, (message.get("header") or {}).get("msg_type")
                if kind == "execute_reply":
                    reply = content
                    # what never ran (refused by the guard, or aborted) has no idle of its own
                    idle = idle or content.get("status") == "aborted"
                elif kind == "status":
                    idle = idle or content.get("execution_state") == "idle"
                elif event := _event(str(kind), content, self.last_byte):
                    yield event
        finally:
            del self._waiting[message_id]
        yield Event("done", "", reply, self.last_byte)

    async def wait_closed(self) -> float:
        """Keep the socket open and idle until the other side closes it; return when its last byte came (time.monotonic())."""
        await asyncio.shield(self._reader)
        return self.last_byte

    def _closed(self) -> ApiError:
        return ApiError("socket_closed", f"the kernel's WebSocket was closed ({self.close_code})", self.close_code or 0)

    async def close(self) -> None:
        """Close the socket; the kernel lives on."""
        await self._socket.close()
        self._reader.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


def _event(kind: str, content: Mapping[str, Any], at: float) -> Event | None:
    """Return what an output message shows as text, or None for a message that shows nothing."""
    data = content.get("data") or {}
    match kind:
        case "stream":
            return Event("stream", content.get("text", ""), content, at)
        case "display_data" | "update_display_data":
            return Event("display", data.get("text/plain", "") + "\n", content, at)
        case "execute_result":
            return Event("result", data.get("text/plain", "") + "\n", content, at)
        case "error":
            lines = content.get("traceback") or [f"{content.get('ename', '')}: {content.get('evalue', '')}"]
            return Event("error", "\n".join(lines) + "\n", content, at)
    return None


class Client:
    """One person's browser. `async with Client(url, login, password) as person` logs in through the hub's own form."""

    def __init__(self, url: str, login: str, password: str, *, otp: str = "", lang: str = "") -> None:
        parts = urlsplit(url.rstrip("/"))
        self.url, self.login, self._password, self._otp = url.rstrip("/"), login, password, otp
        self.portal = f"{parts.scheme}://portal.{parts.netloc}"
        self.csrf = ""
        self.sandbox: dict[str, Any] | None = None
        self._headers = {"Accept-Language": lang} if lang else {}
        self._kernel: Kernel | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(resolver=LocalhostResolver())
        # quote_cookie: the hub's cookies hold what aiohttp would quote
        jar = aiohttp.CookieJar(quote_cookie=False)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=180)
        self.http = await self._stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=timeout, headers=self._headers)
        )
        try:
            await self._log_in()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._kernel:
            await self._kernel.close()
        await self._stack.aclose()

    # Log-in

    async def _log_in(self) -> None:
        """Go to the portal, be sent to the hub, fill in its form, come back; then learn the CSRF token."""
        page, where = await self._page(f"{self.portal}/services/portal/login")
        form = _LoginForm(page)
        if form.action is None or "password" not in form.fields:
            raise ApiError("login_form_missing", f"no log-in form at {where}")
        fields = form.fields | {"username": self.login, "password": self._password} | ({"otp": self._otp} if "otp" in form.fields else {})
        target = urljoin(str(where), form.action)
        with _answering(target):
            async with self.http.post(target, data=fields, headers={"Origin": self.url}) as answer:
                page, status = await answer.text(), answer.status
        form = _LoginForm(page)
        if status >= HTTPStatus.BAD_REQUEST or "password" in form.fields:
            raise ApiError("login_failed", form.alert.strip(), status)
        me = await self.get("/me")
        if me.get("login") != self.login:
            raise ApiError("login_failed", f"the portal does not know {self.login} after the log-in")
        self.csrf = me["csrf"]

    async def _page(self, url: str) -> tuple[str, URL]:
        with _answering(url):
            async with self.http.get(url) as answer:
                return await answer.text(), answer.url

    # The portal's API

    async def request(self, method: str, path: str, body: Any = None, *, data: Any = None) -> Any:
        """Call the portal's API (`path` below `/api/v1`) and return its JSON, bytes for other types, None for 204; ApiError."""
        headers = {"Origin": self.portal, "X-CSRF-Token": self.csrf, "Accept": "application/json"}
        url = path if path.startswith("http") else f"{self.portal}{API}{path}"
        with _answering(url):
            async with self.http.request(method, url, json=body, data=data, headers=headers, allow_redirects=False) as answer:
                raw, status, kind = await answer.read(), answer.status, answer.content_type
        found = _json(raw) if kind.endswith("json") else None
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _api_error(found, raw, status)
        return found if kind.endswith("json") else (raw or None)

    async def get(self, path: str) -> Any:
        """GET; see `request`."""
        return await self.request("GET", path)

    async def post(self, path: str, body: Any = None) -> Any:
        """POST JSON; see `request`."""
        return await self.request("POST", path, {} if body is None else body)

    async def put(self, path: str, body: Any) -> Any:
        """PUT JSON; see `request`."""
        return await self.request("PUT", path, body)

    async def delete(self, path: str) -> Any:
        """DELETE; see `request`."""
        return await self.request("DELETE", path)

    async def upload(self, path: str, **fields: Path | str) -> Any:
        """POST a form; a Path is sent as a file, streamed."""
        form = aiohttp.FormData()
        with ExitStack() as files:
            for name, value in fields.items():
                if isinstance(value, Path):
                    form.add_field(
                        name, files.enter_context(value.open("rb")), filename=value.name, content_type="application/octet-stream"
                    )
                else:
                    form.add_field(name, value)
            return await self.request("POST", path, data=form)

    async def download(self, path: str) -> bytes:
        """GET a file's bytes, whatever its type; ApiError as `request`."""
        url = f"{self.portal}{API}{path}"
        with _answering(url):
            async with self.http.get(url, headers={"Origin": self.portal}, allow_redirects=False) as answer:
                raw = await answer.read()
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _api_error(_json(raw), raw, answer.status)
        return raw

    # The sandbox

    async def open(self, project: str, *, seconds: float = 180, environment: str | None = None) -> dict[str, Any]:
        """Open the project's sandbox, wait until it runs and log in to it; return it. ApiError with the portal's reason otherwise."""
        sandbox = await self.post(f"/projects/{project}/sandbox/open", {"environment": environment} if environment else None)
        until = time.monotonic() + seconds
        while sandbox["state"] in LIVE:
            if time.monotonic() > until:
                raise ApiError("start_timeout", f"the sandbox was still {sandbox['state']} after {seconds:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
            sandbox = await self.get(f"/sandboxes/{sandbox['id']}")
        if sandbox["state"] != "running":
            reason = sandbox.get("reason") or sandbox["state"]
            code, message = (reason.get("code"), reason.get("message", "")) if isinstance(reason, dict) else (str(reason), "")
            raise ApiError(str(code), str(message), HTTPStatus.FORBIDDEN)
        await self.enter(sandbox)
        return dict(sandbox)

    async def enter(self, sandbox: Mapping[str, Any]) -> None:
        """Go to a running sandbox's own host, through its OAuth; ApiError with the HTTP status when it does not let us in."""
        url = f"{sandbox['url']}lab"
        with _answering(url):
            async with self.http.get(url) as answer:
                status = answer.status
                await answer.read()
        if status != HTTPStatus.OK:
            raise ApiError("sandbox_closed", f"the sandbox answers {status}", status)
        self.sandbox = dict(sandbox)

    async def jupyter(self, method: str, path: str, body: Any = None) -> Any:
        """Call the sandbox's Jupyter REST API (`path` such as `api/kernels`); return JSON or None; ApiError with its status, the answer as `params`."""
        url = f"{self._base}{path}"
        with _answering(url):
            async with self.http.request(method, url, json=body, headers=self._sandbox_headers(url), allow_redirects=False) as answer:
                raw = await answer.read()
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            found = _json(raw) or {}
            raise ApiError("jupyter_refused", str(found.get("message") or found.get("reason") or ""), answer.status, params=found)
        return _json(raw)

    async def contents(self, path: str = "") -> Any:
        """Return a file or folder of the workspace."""
        return await self.jupyter("GET", f"api/contents/{quote(path)}")

    async def save(self, path: str, text: str) -> Any:
        """Write a text file into the workspace."""
        return await self.jupyter("PUT", f"api/contents/{quote(path)}", {"type": "file", "format": "text", "content": text})

    async def kernel(self, kernel: str | None = None, *, name: str | None = None) -> Kernel:
        """Start a kernel (`name`: `python3`, `ir`), or attach to `kernel`, and return its socket (the caller closes it)."""
        if kernel is None:
            kernel = (await self.jupyter("POST", "api/kernels", {"name": name} if name else {}))["id"]
        url = f"{self._base}api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}"
        try:
            with _answering(url):
                socket_ = await self.http.ws_connect(url, headers=self._sandbox_headers(url), autoping=False, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            raise ApiError("jupyter_refused", "the kernel's WebSocket was refused", error.status) from error
        return Kernel(socket_, str(kernel))

    async def run(self, code: str) -> AsyncIterator[Event]:
        """Run `code` in this client's own kernel of the open sandbox, started at the first run."""
        if self._kernel is None:
            self._kernel = await self.kernel()
        async for event in self._kernel.run(code):
            yield event

    async def close_kernel(self) -> None:
        """End this client's own kernel."""
        if self._kernel:
            kernel, self._kernel = self._kernel, None
            await kernel.close()
            await self.jupyter("DELETE", f"api/kernels/{kernel.id}")

    @property
    def _base(self) -> str:
        if self.sandbox is None:
            raise ApiError("sandbox_closed", "open the project's sandbox first")
        return str(self.sandbox["url"])

    def _sandbox_headers(self, url: str) -> dict[str, str]:
        """Return what JupyterLab sends: the origin, and the XSRF token of the sandbox's own cookie."""
        parts = urlsplit(url)
        cookie = self.http.cookie_jar.filter_cookies(URL(url)).get("_xsrf")
        return {"Origin": f"{parts.scheme}://{parts.netloc}"} | ({"X-XSRFToken": cookie.value} if cookie else {})


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """Turn what goes wrong below HTTP into `unreachable` (nobody listens) or `disconnected` (gone in mid-answer, as after a cut)."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise ApiError("unreachable", f"nothing answers at {url}: is the stack up (`sandbox up`)?") from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError, TimeoutError) as error:
        raise ApiError("disconnected", f"{url} ended the connection before its answer was whole") from error


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _api_error(found: Any, raw: bytes, status: int) -> ApiError:
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict):
        return ApiError("http_error", raw[:200].decode(errors="replace"), status)
    return ApiError(error.get("code", "http_error"), error.get("message", ""), status, field=error.get("field"), params=error.get("params"))


async def choose_project(person: Client) -> str:
    """Return the project of the person's running sandbox, else their newest; ApiError `project_missing` when there is none."""
    for sandbox in (await person.get("/sandboxes"))["items"]:
        if sandbox["state"] == "running" and sandbox["login"] == person.login:
            return str(sandbox["project"])
    projects = (await person.get("/projects"))["items"]
    if not projects:
        raise ApiError("project_missing", f"{person.login} is a member of no project: start one in the portal")
    return str(max(projects, key=lambda project: str(project.get("created", "")))["id"])


async def run_file(url: str, login: str, password: str, code: str, *, project: str | None = None, show: Any = print) -> bool:
    """Run `code` as one cell in the person's sandbox, opened if needed; `show(text, end="")` gets outputs as they come.

    Return whether it ran without an error; ApiError when it could not be run.
    """
    async with Client(url, login, password) as person:
        await person.open(project or await choose_project(person))
        ok = False
        async for event in person.run(code):
            if event.kind == "done":
                ok = event.content.get("status") == "ok"
            else:
                show(event.text, end="")
        await person.close_kernel()
        return ok
