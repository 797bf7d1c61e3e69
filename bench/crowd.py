"""What needs many sandboxes: a deployment of the bench's own, its budgets and its limit of live sandboxes out of the way, and many researchers.

The demonstration keeps its policy. Here OPA runs the same bundle with three numbers changed; the deployment goes at the end.
"""

import asyncio
import contextlib
import os
import re
import secrets
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from bench.stock_peer import PeerError
from bench.study import Study
from sandbox.client import Client
from sandbox.deploy import compose, images
from sandbox.deploy.host import docker
from sandbox.deploy.state import Deployment
from sandbox.deploy.steps import CHECKOUT

PLENTY = 10**12
WORKSPACE_BYTES = 256 * 1024 * 1024  # a running sandbox has all of it reserved on disk: twenty of the usual size are 40 GiB
NUMBERS = {"session": r"^(max_live :=) \d+$", "display": r'("\w+_bytes":) \d+'}
TAG = "datasandbox/bench-opa"


class Crowd(Study):
    """One project with the mounted dataset, and as many members as are wanted."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment)
        self.members: list[Client] = []

    async def gather(self, count: int) -> None:
        """Make `count` researchers, each a member of the project, logged in."""
        administrator, officer, researcher = [await self.person(name) for name in ("administrator", "officer", "researcher")]
        for number in range(count):
            login = f"member{number:02}"
            password = self.accounts.setdefault(login, {"password": secrets.token_urlsafe(18)})["password"]
            account = {"login": login, "name": f"成员 {number}", "email": f"{login}@example.org", "password": password, "lang": "zh-CN"}
            await administrator.post("/persons", account)
            await administrator.post("/roles", {"login": login, "role": "researcher", "body": None})
        for grant in (await administrator.get("/roles"))["items"]:
            if grant["state"] == "requested":
                await officer.post(f"/roles/{grant['id']}/confirm")
        for number in range(count):
            await researcher.post(f"/projects/{self.project}/members", {"login": f"member{number:02}"})
            self.members.append(await self.person(f"member{number:02}"))

    async def end(self) -> None:
        """Nothing: the deployment goes."""


@contextlib.asynccontextmanager
async def crowd(home: Path, count: int) -> AsyncIterator[Crowd]:
    """Start the deployment, make the people and the project, give them; everything goes afterwards. SetupError, ApiError, PeerError."""
    await asyncio.to_thread(compose.clean, home)
    os.environ.setdefault("DATASANDBOX_WORKSPACE_BYTES", str(WORKSPACE_BYTES))
    try:
        # not in a thread: an interruption must not leave one that goes on starting what is being cleaned away
        deployment = compose.up(home, url=f"http://sandbox.localhost:{_free_port()}", demo=True, images_for={"opa": _opa()})
        (home / "demo").mkdir(exist_ok=True)
        made = Crowd(deployment)
        async with made.stack:
            await Study.set_up_people(made)
            await made.begin()
            await made.gather(count)
            yield made
    finally:
        await asyncio.shield(asyncio.to_thread(compose.clean, home))


def _opa() -> str:
    """Build OPA's image with the numbers changed; PeerError `peer_policy` when a rule no longer has its number."""
    base = images.build("opa")["opa"]
    with tempfile.TemporaryDirectory(prefix="datasandbox-bench-") as folder:
        context = Path(folder)
        for package, number in NUMBERS.items():
            text = (CHECKOUT / "policies" / "sandbox" / package / f"{package}.rego").read_text()
            changed, found = re.subn(number, rf"\1 {PLENTY}", text, flags=re.MULTILINE)
            if not found:
                raise PeerError("peer_policy", f"sandbox.{package} has no line {number}")
            (context / f"{package}.rego").write_text(changed)
        lines = [f"FROM {base}", *(f"COPY {package}.rego /bundle/sandbox/{package}/{package}.rego" for package in NUMBERS)]
        (context / "Dockerfile").write_text("\n".join(lines) + "\n")
        words = [docker(), "build", "-q", "--network=none", "-t", TAG, str(context)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env={"DOCKER_BUILDKIT": "0", "HOME": folder})
        if done.returncode:
            raise PeerError("peer_docker", f"docker build: {done.stderr.strip()[-400:]}")
    return TAG


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
