"""A project with an open sandbox on the running stack, and what tests do with the stack's containers."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from stack_world import Grant, granted

from sandbox.client import ApiError, Client, Kernel
from sandbox.deploy import compose, host

CLOSE_CODE = 4403


class Live:
    """A granted project of `researcher` on the stack; `person(login)` is their browser, logged in anew."""

    def __init__(self, stack: Any, grant: Grant) -> None:
        self.stack, self.grant = stack, grant

    @classmethod
    def made(cls, stack: Any) -> "Live":
        """Make the project through the real interfaces (about ten seconds)."""
        return cls(stack, asyncio.run(granted(stack)))

    def close(self) -> None:
        """End what runs, whosever it is."""

        async def end() -> None:
            for login in ("researcher", "researcher2"):
                async with self.person(login) as person:
                    for one in (await person.get("/sandboxes"))["items"]:
                        if one["state"] == "running" and one["login"] == login:
                            await person.post(f"/sandboxes/{one['id']}/close")
                            await becomes(person, one["id"], "stopped")

        asyncio.run(end())

    @property
    def project(self) -> str:
        return self.grant.project

    @property
    def flights(self) -> str:
        """The agreement on the mounted data set."""
        return self.grant.agreements["flights"]

    @asynccontextmanager
    async def person(self, login: str) -> AsyncIterator[Client]:
        async with Client(self.stack.url, login, self.stack.accounts[login]["password"]) as client:
            yield client

    @asynccontextmanager
    async def working(self, login: str = "researcher") -> AsyncIterator[Client]:
        """The person with their sandbox of the project open."""
        async with self.person(login) as client:
            await client.open(self.project)
            yield client

    # the record

    async def size(self) -> int:
        async with self.person("auditor") as auditor:
            return int((await auditor.get("/audit/head"))["size"])

    async def entries(self, start: int = 0, **query: str) -> list[dict[str, Any]]:
        """Entries from `start` on, as the auditor reads them in the portal: `{"index","leaf"}`."""
        words = "".join(f"&{name}={value}" for name, value in query.items())
        found: list[dict[str, Any]] = []
        async with self.person("auditor") as auditor:
            at: int | None = start
            while at is not None:
                page = await auditor.get(f"/audit/entries?start={at}&count=500{words}")
                found, at = found + page["entries"], page["next"]
        return found

    async def kinds(self, start: int = 0, **query: str) -> list[str]:
        return [entry["leaf"]["kind"] for entry in await self.entries(start, **query)]

    async def recorded(self, kind: str, start: int = 0, seconds: float = 20, **query: str) -> dict[str, Any]:
        """Wait for the first entry of that kind; return its leaf."""
        found: list[dict[str, Any]] = []

        async def look() -> bool:
            found[:] = [e["leaf"] for e in await self.entries(start, **query) if e["leaf"]["kind"] == kind]
            return bool(found)

        await until(look, seconds, f"an entry {kind}")
        return found[0]

    # the stack's containers

    def docker(self, *argv: str, text: str | None = None) -> str:
        done = subprocess.run([host.docker(), *argv], check=False, capture_output=True, text=True, input=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self, service: str) -> None:
        self.docker("kill", self.stack.container(service))  # at once, as a crash: nothing is said to anyone

    def start(self, service: str) -> None:
        """Start a service again and wait until all of the stack answers, through the proxy too."""
        self.docker("start", self.stack.container(service))
        self.healthy()

    def restart(self, service: str) -> None:
        self.stop(service)
        self.start(service)

    def healthy(self) -> None:
        compose._wait(self.stack.deployment, compose.FIRST | compose.LAST)
        compose._through_proxy(self.stack.deployment)

    @asynccontextmanager
    async def without(self, service: str) -> AsyncIterator[None]:
        """The stack with one service killed; it is back afterwards, whatever happens."""
        self.stop(service)
        try:
            yield
        finally:
            await asyncio.to_thread(self.start, service)

    def inside_portal(self, code: str, *argv: str) -> Any:
        """Run code with the portal's own rights in its container, for what has no interface (a clock, a hub call); its JSON line."""
        said = self.docker("exec", "-i", self.stack.container("portal"), "python", "-", *argv, text=code)
        return json.loads(said.splitlines()[-1])

    def containers(self, sandbox: str) -> list[str]:
        """Names of the containers of a sandbox, running or not."""
        return self.docker("ps", "-a", "--filter", f"label=datasandbox.sandbox={sandbox}", "--format", "{{.Names}}").split()


async def until(look: Callable[[], Awaitable[Any]], seconds: float, what: str) -> Any:
    """Return the first true answer of `look()`; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < end, f"{what} was not there after {seconds} s"
        await asyncio.sleep(0.2)
    return found


async def cell(runner: Client | Kernel, code: str) -> tuple[str, str]:
    """Run a cell; return (status or the error's name, everything it printed)."""
    printed = status = ""
    async for event in runner.run(code):
        printed += event.text
        if event.kind == "done":
            status = event.content.get("ename") or event.content["status"]
    return status, printed


async def refused(act: Awaitable[Any]) -> tuple[str, int, str | None]:
    """Return (code, status, field) with which an act was refused."""
    try:
        await act
    except ApiError as error:
        return error.code, error.status, error.field
    raise AssertionError("what must be refused was not")


async def state_of(person: Client, sandbox: str) -> dict[str, Any]:
    found: dict[str, Any] = await person.get(f"/sandboxes/{sandbox}")
    return found


async def becomes(person: Client, sandbox: str, state: str, seconds: float = 60) -> dict[str, Any]:
    """Wait for a state of a sandbox; return the sandbox."""

    async def look() -> dict[str, Any] | None:
        one = await state_of(person, sandbox)
        return one if one["state"] == state else None

    found: dict[str, Any] = await until(look, seconds, f"the state {state} of {sandbox}")
    return found
