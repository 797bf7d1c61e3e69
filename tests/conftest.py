"""The stack: a deployment of its own, started when the first test asks for it, shared by all, gone at the end."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.deploy import compose, host, tools
from sandbox.deploy.state import Deployment
from sandbox.deploy.steps import CACHE, CHECKOUT
from sandbox.settings import Settings


@dataclass(frozen=True)
class Stack:
    """A running deployment in demonstration mode."""

    deployment: Deployment
    settings: Settings
    accounts: dict[str, dict[str, Any]]  # login -> {"password", …}, the people of the demonstration

    @property
    def url(self) -> str:
        return self.deployment.url

    @property
    def home(self) -> Path:
        return self.deployment.home

    def container(self, service: str) -> str:
        """Return the name of a service's container."""
        return f"{self.deployment.project}-{service}"


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A deployment under var/test (or DATASANDBOX_TEST_HOME) on a free port, with the demonstration's bodies and people."""
    home = Path(os.environ.get("DATASANDBOX_TEST_HOME") or CHECKOUT / "var" / "test").absolute()
    compose.clean(home)  # what an interrupted run left
    deployment = None
    try:
        deployment = compose.up(home, url=f"http://sandbox.localhost:{free_port()}", demo=True)
        yield Stack(deployment, compose.settings(deployment), people(deployment))
    finally:
        if deployment is not None:
            keep_logs(deployment)
        compose.clean(home)


@pytest.fixture(scope="session")
def opa_binary() -> Path:
    """The real OPA, compiled if it is not there."""
    return tools.opa()


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def people(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Make the demonstration's bodies, people and roles through the real interfaces."""
    from sandbox.deploy.demo import Demo  # noqa: PLC0415 - unit tests need none of it

    async def make() -> None:
        demo = Demo(deployment, [])
        async with demo.stack:
            await demo.set_up_people()

    asyncio.run(make())
    found: dict[str, dict[str, Any]] = json.loads((deployment.home / "demo" / "accounts.json").read_text())["accounts"]
    return found


def keep_logs(deployment: Deployment) -> None:
    """Keep what the services printed, for whoever reads a failure: var/cache/logs/test-<service>.log."""
    for service in ("proxy", "hub", "portal", "opa", "log", "warden"):
        said = subprocess.run([host.docker(), "logs", f"{deployment.project}-{service}"], check=False, capture_output=True)
        (CACHE / "logs" / f"test-{service}.log").write_bytes(said.stdout + said.stderr)
