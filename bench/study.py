"""What the benches work on: a project of their own in the running demonstration, made through the portal as the demonstration does."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sandbox.client import ApiError, Client
from sandbox.deploy import demo_data, state
from sandbox.deploy.demo import Demo
from sandbox.deploy.state import Deployment
from sandbox.deploy.steps import SetupError

ADVICE = "start the demonstration first: `make demo`"


class Study(Demo):
    """The demonstration's own steps, up to the releases, for a new project with the mounted dataset. Its files are not touched."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment, [demo_data.flights()])
        self.accounts = self._read("accounts.json").get("accounts", {})

    def _write(self, name: str, value: Any) -> None:
        """Leave the demonstration's report, accounts and run alone."""

    async def _project(self, researcher: Client) -> None:
        made = await researcher.post("/projects", {"title": "性能测试", "purpose": "测量性能，不作研究用途（示范）。"})
        self.project = made["id"]

    async def begin(self) -> None:
        """Make the project and its agreement, and wait for the release."""
        await self.register_data()
        await self.agree()
        await self.prepare()

    @property
    def agreement(self) -> str:
        """The id of the project's one agreement."""
        return str(self.agreements[0]["id"])

    async def end(self) -> None:
        """Revoke the agreement: its sandbox, if any, is cut, and nobody opens another."""
        if self.agreements and self.agreements[0]["state"] == "active":
            given = {"ground": "性能测试", "reason": "测量结束"}
            await (await self.person("administrator")).post(f"/agreements/{self.agreement}/revoke", given)
            if self.sandbox_id:
                await self.cut()

    async def cut(self) -> None:
        """Wait until the sandbox is cut."""
        officer = await self.person("administrator")
        await self._until(lambda: officer.get(f"/sandboxes/{self.sandbox_id}"), lambda one: one["state"] == "cut", "the state 'cut'")

    async def evidence(self, kind: str, start: int) -> dict[str, Any]:
        """Return the data of the sandbox's entry of that kind, from `start` on, once the log has it."""

        async def look() -> list[dict[str, Any]]:
            entries = await self._entries(start, f"sandbox={self.sandbox_id}")
            return [entry["leaf"]["data"] for entry in entries if entry["leaf"]["kind"] == kind]

        found: list[dict[str, Any]] = await self._until(look, bool, f"the entry {kind}")
        return found[0]

    async def head(self) -> int:
        """Return the number of entries in the log."""
        return await self._head()

    def talking(self, researcher: Client) -> contextlib.AbstractAsyncContextManager[Any]:
        """Give a kernel's socket on which a cell prints without end."""
        return self._talking(researcher)


def running(home: Path) -> Deployment:
    """Return the demonstration that `home` says is running; SetupError `no_deployment` otherwise."""
    deployment = state.load(home)
    if deployment is None or not deployment.demo:
        raise SetupError("no_deployment", f"{home} holds no deployment in demonstration mode", ADVICE)
    try:
        json.loads((home / "demo" / "accounts.json").read_text())
    except (OSError, ValueError) as error:
        raise SetupError("no_deployment", f"the demonstration's accounts cannot be read: {error}", ADVICE) from error
    return deployment


@contextlib.asynccontextmanager
async def study(deployment: Deployment) -> AsyncIterator[Study]:
    """Give a project ready to be opened; it is closed down afterwards. SetupError `no_deployment` when nothing answers."""
    async with contextlib.AsyncExitStack() as stack:
        made = Study(deployment)
        await stack.enter_async_context(made.stack)
        try:
            await made.person("researcher")
        except ApiError as error:
            if error.code == "unreachable":
                raise SetupError("no_deployment", error.message, ADVICE) from error
            raise
        stack.push_async_callback(made.end)
        await made.begin()
        yield made
