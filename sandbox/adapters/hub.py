"""What the portal asks of JupyterHub: that a person's named server starts, and that it goes."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

import aiohttp

from sandbox.domain.errors import Refusal

ServerState = Literal["absent", "stopped", "starting", "running", "stopping"]

REQUEST_SECONDS = 30  # the hub answers a start after at most 10 s, done or not
START_SECONDS = 150  # more than the hub's own limit, which cleans up
STOP_SECONDS = 60
POLL_SECONDS = 0.2
_log = logging.getLogger(__name__)


class _Answer(NamedTuple):
    status: int
    body: dict[str, Any]

    @property
    def why(self) -> str:
        return str(self.body.get("message", "")) or f"HTTP {self.status}"


class Hub:
    """The hub's REST API with the portal's service token. `api_url` ends in `/hub/api`.

    Every call raises Refusal `hub_unavailable` (503) when the hub does not answer.
    """

    def __init__(self, api_url: str, token: str) -> None:
        self._url = api_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ensure_user(self, login: str) -> None:
        """Make sure that the hub knows `login`. Idempotent."""
        await self._known("POST", f"/users/{login}", HTTPStatus.CREATED, HTTPStatus.CONFLICT)

    async def start(self, login: str, server: str) -> None:
        """Start the named server and return when it is ready; one that runs already is well.

        Refusal `start_refused` (403) or `start_failed` (503), both with the hub's text as `why`, when it did not start: the
        server's row is then gone. `server_busy` (409) while an earlier stop is still under way.
        """
        await self.ensure_user(login)
        answer = await self._call("POST", f"/users/{login}/servers/{server}", {})
        if answer.status == HTTPStatus.CREATED:
            return
        if answer.status in {HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST}:  # still starting; already running or stopping
            match await self._settled(login, server, START_SECONDS):
                case "running":
                    return
                case "stopping":
                    raise Refusal("server_busy", status=409)
                case state:
                    answer = _Answer(HTTPStatus.SERVICE_UNAVAILABLE, {"message": f"the server is {state}"})
        _log.warning("the hub did not start %s of %s: %s %s", server, login, answer.status, answer.why)
        await self.stop(login, server, remove=True)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Refusal("start_failed", status=503, why=answer.why)
        raise Refusal("start_refused", status=403, why=answer.why)

    async def state(self, login: str, server: str) -> ServerState:
        """Return what the hub says of the server."""
        answer = await self._known("GET", f"/users/{login}/servers/{server}", HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        if answer.status == HTTPStatus.NOT_FOUND:
            return "absent"
        match answer.body:
            case {"pending": "spawn"}:
                return "starting"
            case {"pending": str()}:
                return "stopping"
            case {"ready": True}:
                return "running"
        return "stopped"

    async def stop(self, login: str, server: str, *, remove: bool = False) -> None:
        """End a named server, also while it is starting, and forget it with `remove`. Idempotent.

        Refusal `server_busy` (409) when it has not gone in a minute.
        """
        gone: set[ServerState] = {"absent"} if remove else {"absent", "stopped"}
        try:
            async with asyncio.timeout(STOP_SECONDS):
                while True:
                    # the hub refuses while something is pending (400), or the pending start fails on it (500): asked again
                    answer = await self._call("DELETE", f"/users/{login}/servers/{server}", {"remove": remove})
                    if answer.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND} or await self.state(login, server) in gone:
                        return
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise Refusal("server_busy", status=409) from error

    async def _settled(self, login: str, server: str, seconds: float) -> ServerState:
        try:
            async with asyncio.timeout(seconds):
                state = await self.state(login, server)
                while state == "starting":
                    await asyncio.sleep(POLL_SECONDS)
                    state = await self.state(login, server)
                return state
        except TimeoutError:
            return "starting"

    async def _known(self, method: str, path: str, *expected: HTTPStatus) -> _Answer:
        answer = await self._call(method, path)
        if answer.status not in expected:
            _log.error("the hub answered %s to %s %s: %s", answer.status, method, path, answer.why)
            raise Refusal("hub_unavailable", status=503)
        return answer

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> _Answer:
        # a session a call: these are rare, and the caller's event loop may change
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
                session.request(method, self._url + path, json=body, allow_redirects=False) as answer,
            ):
                try:
                    found = await answer.json(content_type=None)
                except ValueError:
                    found = None
                return _Answer(answer.status, found if isinstance(found, dict) else {})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Refusal("hub_unavailable", status=503) from error


class FakeHub:
    """For unit tests: servers in a dictionary; `refuse` maps a server to the reason its start is refused with."""

    def __init__(self) -> None:
        self.users: set[str] = set()
        self.servers: dict[tuple[str, str], ServerState] = {}
        self.refuse: dict[str, str] = {}

    async def ensure_user(self, login: str) -> None:
        """Remember the login."""
        self.users.add(login)

    async def start(self, login: str, server: str) -> None:
        """Make it running, unless it is to be refused."""
        await self.ensure_user(login)
        if server in self.refuse:
            raise Refusal("start_refused", status=403, why=self.refuse[server])
        self.servers[login, server] = "running"

    async def state(self, login: str, server: str) -> ServerState:
        """Return what it was set to."""
        return self.servers.get((login, server), "absent")

    async def stop(self, login: str, server: str, *, remove: bool = False) -> None:
        """Stop or forget it."""
        if remove:
            self.servers.pop((login, server), None)
        elif (login, server) in self.servers:
            self.servers[login, server] = "stopped"
