"""W and X: what a person's browser, developer tools and cookies can ask, and how the answers are judged."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from sandbox.client import Client, LocalhostResolver
from sandbox.prove.verdicts import BREACHED, HELD, NOT_APPLICABLE, Word

Outcome = tuple[Word, str]
REFUSED = frozenset({400, 401, 403, 404, 405, 413})
GIANT = 64 << 20


@dataclass(frozen=True)
class Ask:
    """One request: it must be refused. `path` is below the sandbox's own address and sent as it stands."""

    method: str
    path: str
    body: object = None


REQUESTS: dict[str, list[Ask]] = {
    "W1": [Ask("POST", "api/terminals", {}), Ask("GET", "api/terminals"), Ask("GET", "terminals/1")],
    "W2": [Ask("GET", "files/groups.csv"), Ask("GET", "files/"), Ask("GET", "view/groups.csv")],
    "W3": [Ask("GET", "nbconvert/html/a.ipynb"), Ask("POST", "nbconvert/html", {}), Ask("GET", "api/nbconvert")],
    "W4": [
        Ask("PUT", "api/config/notebook", {}),
        Ask("PUT", "lab/api/settings/@jupyterlab/apputils-extension:themes", {"raw": "{}"}),
        Ask("PUT", "lab/api/workspaces/a", {"data": {}, "metadata": {"id": "a"}}),
        Ask("POST", "lab/api/extensions", {"cmd": "install", "extension_name": "a"}),
    ],
    "W5": [Ask("POST", "api/kernels", {"name": "../../tmp/a"}), Ask("POST", "api/kernels", {"name": "bash"})],
    "W6": [
        Ask("GET", "%66iles/groups.csv"),
        Ask("GET", "files%2Fgroups.csv"),
        Ask("GET", "/files/groups.csv"),
        Ask("GET", "files;a=b/groups.csv"),
        Ask("GET", "lab/..%2Ffiles/groups.csv"),
        Ask("GET", "api/contents/..%2F..%2Fetc%2Fpasswd"),
    ],
}


def judged(answers: list[tuple[str, int]], wanted: frozenset[int] = REFUSED) -> Outcome:
    """Judge HTTP statuses: all refused is held, any other a breach, a server's fault (5xx) proves nothing."""
    words = "; ".join(f"{what}: HTTP {status}" for what, status in answers)
    if any(status not in wanted and status < HTTPStatus.INTERNAL_SERVER_ERROR for _, status in answers):
        return BREACHED, words
    if not answers or any(status not in wanted for _, status in answers):
        return NOT_APPLICABLE, words or "nothing was asked"
    return HELD, words


class Browser:
    """The attacks of one person who is in their sandbox; `stranger` is another person, logged in, if there is one."""

    def __init__(self, person: Client, stranger: Client | None) -> None:
        self.person, self.stranger = person, stranger
        self.base = str((person.sandbox or {})["url"])

    def attacks(self) -> dict[str, Callable[[], Awaitable[Outcome]]]:
        """Return what can be tried: id -> attack."""
        return {
            **{number: partial(self._refused, asks) for number, asks in REQUESTS.items()},
            "W8": self.debug,
            "W11": self.bulk,
            "W15": self.foreign,
            "X1": self.other,
            "X2": lambda: self._without_cookie({"Cookie": f"jupyterhub-session-id={secrets.token_hex(16)}; _xsrf=a"}, ""),
            "X3": lambda: self._without_cookie({}, f"?token={secrets.token_hex(16)}"),
            "X5": self.unapproved,
            "D8": self.giant,
        }

    async def status(self, ask: Ask, **headers: str) -> int:
        """Ask as JupyterLab would, and return the status where redirects lead; the path goes out unchanged."""
        own = self.person._sandbox_headers(self.base)  # noqa: SLF001 - the same package's client, one way to say who we are
        url = URL(self.base + ask.path, encoded=True)
        async with self.person.http.request(ask.method, url, json=ask.body, headers=own | headers) as answer:
            # a path below lab/ may be answered by the notebook's own start page, which holds nothing of the workspace
            own_page = answer.status == HTTPStatus.OK and b'id="jupyter-config-data"' in await answer.read()
            return HTTPStatus.NOT_FOUND if own_page and answer.url.path.startswith(f"{URL(self.base).path}lab") else answer.status

    async def _refused(self, asks: list[Ask]) -> Outcome:
        return judged([(f"{ask.method} {ask.path}", await self.status(ask)) for ask in asks])

    async def debug(self) -> Outcome:
        """W8: a debugger that evaluates on the control channel."""
        content = {"type": "request", "seq": 1, "command": "evaluate", "arguments": {"expression": "1+1"}}
        async with await self.person.kernel() as kernel:
            message = await kernel.send("debug_request", content, channel="control")
            answer = None
            with contextlib.suppress(TimeoutError):
                while (answer := await asyncio.wait_for(kernel._waiting[message].get(), 4)) is not None:  # noqa: SLF001 - as above
                    if (answer.get("header") or {}).get("msg_type") == "debug_reply":
                        break
            said = json.dumps((answer or {}).get("content") or {}, ensure_ascii=False)[:200]
        done = (answer or {}).get("content", {}).get("success") is True
        return (BREACHED, f"debug_reply {said}") if done else (HELD, f"no debugger answered: {said}")

    async def bulk(self) -> Outcome:
        """W11: a binary file of a mebibyte through the contents."""
        async for event in self.person.run("import os; open('prove-w11.bin', 'wb').write(os.urandom(1 << 20)); print('written')"):
            if event.kind == "error":
                return NOT_APPLICABLE, f"the file was not written: {event.text[-200:]}"
        ask = Ask("GET", "api/contents/prove-w11.bin?content=1&format=base64&type=file")
        found = judged([(f"{ask.method} {ask.path}", await self.status(ask))])
        async for _ in self.person.run("os.unlink('prove-w11.bin')"):
            pass
        return found

    async def foreign(self) -> Outcome:
        """W15: a write and a WebSocket from another site's page, with the person's cookies."""
        evil = "https://elsewhere.example"
        answers = [
            ("PUT with a foreign Origin", await self.status(Ask("PUT", "api/contents/prove-w15.txt", {"type": "file"}), Origin=evil))
        ]
        kernel = await self.person.kernel()
        async with kernel:
            url = f"{self.base}api/kernels/{kernel.id}/channels"
            for what, headers in (("a foreign Origin", {"Origin": evil}), ("no Origin", {})):
                try:
                    async with self.person.http.ws_connect(url, headers=headers):
                        status = 101
                except aiohttp.WSServerHandshakeError as error:
                    status = error.status
                answers.append((f"WebSocket with {what}", status))
        await self.person.jupyter("DELETE", f"api/kernels/{kernel.id}")
        return judged(answers)

    async def other(self) -> Outcome:
        """X1: another person, logged in, asks for this sandbox."""
        if self.stranger is None:
            return NOT_APPLICABLE, "no second account is known here (`--stranger`)"
        answers = []
        # a page is asked for without following the log-in, a call as a program would
        for what, url in (("the sandbox's page", f"{self.base}lab"), ("its kernels", f"{self.base}api/kernels")):
            async with self.stranger.http.get(url) as answer:
                answers.append((what, answer.status))
        return judged(answers)

    async def _without_cookie(self, headers: dict[str, str], query: str) -> Outcome:
        connector = aiohttp.TCPConnector(resolver=LocalhostResolver())
        async with (
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.get(f"{self.base}api/kernels{query}", headers=headers, allow_redirects=False) as answer,
        ):
            # a page is sent to the log-in: not let in either
            return judged([(f"GET api/kernels{'?token=…' if query else ''}", answer.status)], REFUSED | {302})

    async def unapproved(self) -> Outcome:
        """X5: ask the hub for a server nobody approved, with options of one's own."""
        answers = []
        hub, login = self.person.url, self.person.login
        headers = {"Origin": hub, "Referer": f"{hub}/hub/home"}
        cookie = self.person.http.cookie_jar.filter_cookies(URL(f"{hub}/hub/")).get("_xsrf")
        if cookie:
            headers["X-XSRFToken"] = cookie.value
        for method, path in (
            ("POST", f"api/users/{login}/servers/prove"),
            ("POST", f"api/users/{login}/tokens"),
            ("POST", f"spawn/{login}/prove"),
            ("GET", "admin"),
        ):
            url = f"{hub}/hub/{path}"
            async with self.person.http.request(method, url, json={"image": "a"}, headers=headers, allow_redirects=False) as answer:
                answers.append((f"{method} {urlsplit(url).path}", answer.status))
        return judged(answers)

    async def giant(self) -> Outcome:
        """D8: one frame of 64 MiB; the session must answer a cell afterwards."""
        kernel = await self.person.kernel()
        async with kernel:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await kernel._socket.send_str("x" * GIANT)  # noqa: SLF001 - as above
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(kernel.wait_closed(), 20)
            code = kernel.close_code
        said = ""
        async for event in self.person.run("print(6 * 7)"):
            said += event.text
        words = f"closed with {code}; a cell afterwards answers {said.strip()!r}"
        return (HELD if code and said.strip() == "42" else BREACHED), words
