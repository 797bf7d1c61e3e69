"""The plain peer of B1 and B2: JupyterHub, configurable-http-proxy and single-user containers as they come, in containers of their own.

It runs beside the deployment, on a network and a free port of its own, from the deployment's images, and leaves nothing behind.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.client import POLL_SECONDS, Kernel
from sandbox.deploy.host import docker

FOLDER = Path(__file__).parent / "stock"
LABEL = "datasandbox.bench"
WAIT_SECONDS = 120


class PeerError(Exception):
    """The peer could not be had; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Stock:
    """A running stock hub: its address, and what opens it."""

    name: str  # of its network; containers are `<name>-bench-<server>`
    url: str
    http: aiohttp.ClientSession

    async def kernel(self, server: str, spec: str, *, direct: bool = False) -> Kernel:
        """Start the named server and a kernel of `spec` in it; return the kernel's socket, by the same client code as ours.

        `direct` goes to the server itself, without the proxy.
        """
        await self._call("POST", f"/hub/api/users/bench/servers/{server}", (HTTPStatus.CREATED, HTTPStatus.ACCEPTED))
        await self._until(lambda: self._ready(server), f"the server {server}")
        base = f"{self._address(server) if direct else self.url}/user/bench/{server}/api/kernels"
        async with self.http.post(base, json={"name": spec}) as answer:
            if answer.status != HTTPStatus.CREATED:
                raise PeerError("peer_kernel_failed", f"{answer.status} {(await answer.text())[:300]}")
            kernel = str((await answer.json())["id"])
        socket = await self.http.ws_connect(f"{base}/{kernel}/channels?session_id={uuid.uuid4().hex}", autoping=False, max_msg_size=0)
        return Kernel(socket, kernel)

    def _address(self, server: str) -> str:
        found = json.loads(_docker("inspect", f"{self.name}-bench-{server}"))[0]
        return f"http://{found['NetworkSettings']['Networks'][self.name]['IPAddress']}:8888"

    async def stop(self, server: str) -> None:
        """Stop a server and wait until it is gone."""
        await self._call("DELETE", f"/hub/api/users/bench/servers/{server}", (HTTPStatus.NO_CONTENT, HTTPStatus.ACCEPTED))

        async def gone() -> bool:
            return server not in (await self._call("GET", "/hub/api/users/bench", (HTTPStatus.OK,)))["servers"]

        await self._until(gone, f"the end of {server}")

    async def _ready(self, server: str) -> bool:
        user = await self._call("GET", "/hub/api/users/bench", (HTTPStatus.OK,))
        return bool(user["servers"].get(server, {}).get("ready"))

    async def answers(self) -> bool:
        """Tell whether hub and proxy are up."""
        try:
            await self._call("GET", "/hub/api/users", (HTTPStatus.OK,))
        except (aiohttp.ClientError, PeerError):
            return False
        return True

    async def begin(self) -> None:
        """Wait for the hub and make the one user."""
        await self._until(self.answers, "the hub")
        await self._call("POST", "/hub/api/users/bench", (HTTPStatus.CREATED,))

    async def _until(self, look: Any, what: str) -> None:
        until = time.monotonic() + WAIT_SECONDS
        while not await look():
            if time.monotonic() > until:
                raise PeerError("peer_not_ready", f"{what} of the stock peer was not there after {WAIT_SECONDS} s")
            await asyncio.sleep(POLL_SECONDS)

    async def _call(self, method: str, path: str, well: tuple[HTTPStatus, ...]) -> Any:
        async with self.http.request(method, self.url + path) as answer:
            raw = await answer.read()
            if answer.status not in well:
                raise PeerError("peer_refused", f"{method} {path}: {answer.status} {raw[:300].decode(errors='replace')}")
            return json.loads(raw) if raw else None


@contextlib.asynccontextmanager
async def stock(images: Mapping[str, str]) -> AsyncIterator[Stock]:
    """Run a stock hub from the deployment's `images` (name -> `sha256:…`); PeerError when that fails. All of it goes afterwards."""
    name = f"ds-bench-{secrets.token_hex(4)}"
    token, proxy_token = secrets.token_hex(32), secrets.token_hex(32)
    try:
        # not in threads: one that goes on after an interruption would make what was just cleaned away
        _build(name, images)
        _start(name, images, token, proxy_token)
        address = _docker("port", f"{name}-proxy", "8000/tcp").splitlines()[0]
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
        async with aiohttp.ClientSession(headers={"Authorization": f"token {token}"}, timeout=timeout) as http:
            peer = Stock(name, f"http://{address}", http)
            await peer.begin()
            yield peer
    finally:
        _clean(name)


def _build(name: str, images: Mapping[str, str]) -> None:
    for key in ("session", "kernel", "proxy", "control"):
        try:
            _docker("image", "inspect", images.get(key, key))
        except PeerError as error:
            raise PeerError("peer_image_missing", f"the deployment's image {key} is not on this machine; run `make demo`") from error
    with tempfile.TemporaryDirectory(prefix="datasandbox-bench-") as folder:
        context = Path(folder) / "stock"
        shutil.copytree(FOLDER, context, ignore=shutil.ignore_patterns("__pycache__"))
        arguments = [f"--build-arg={key.upper()}={images[key]}" for key in ("session", "kernel")]
        _docker("build", "-q", "--network=none", "--force-rm", f"--label={LABEL}={name}", "-t", name, *arguments, str(context))


def _start(name: str, images: Mapping[str, str], token: str, proxy_token: str) -> None:
    """Start network, proxy and hub. The hub is root with the engine's socket, as DockerSpawner is usually run."""
    label = f"{LABEL}={name}"
    _docker("network", "create", "--label", label, name)
    _docker(
        "run", "-d", "--name", f"{name}-proxy", "--label", label, "--network", name, "-p", "127.0.0.1::8000",
        "-e", f"CONFIGPROXY_AUTH_TOKEN={proxy_token}", images["proxy"], "--ip=0.0.0.0", "--port=8000", "--api-ip=0.0.0.0", "--api-port=8001",
    )  # fmt: skip
    environment = {"BENCH_NAME": name, "BENCH_TOKEN": token, "BENCH_IMAGE": name, "CONFIGPROXY_AUTH_TOKEN": proxy_token, "HOME": "/tmp"}  # noqa: S108 - the container's own
    _docker(
        "run", "-d", "--name", f"{name}-hub", "--label", label, "--network", name, "--user", "0:0",
        "-v", "/var/run/docker.sock:/var/run/docker.sock", "-v", f"{FOLDER}:/bench:ro",
        *(part for key, value in environment.items() for part in ("-e", f"{key}={value}")),
        images["control"], "jupyterhub", "-f", "/bench/jupyterhub_config.py",
    )  # fmt: skip


def _clean(name: str) -> None:
    """Remove what carries this run's label: containers, network, image. What is not there is well."""
    with contextlib.suppress(PeerError):
        _docker("rm", "-f", f"{name}-hub")  # first, so that it starts nothing more
    for container in _docker("ps", "-aq", "--filter", f"label={LABEL}={name}").split():
        with contextlib.suppress(PeerError):  # DockerSpawner's own removal may be under way
            _docker("rm", "-f", container)
    for network in _docker("network", "ls", "-q", "--filter", f"label={LABEL}={name}").split():
        _docker("network", "rm", network)
    with contextlib.suppress(PeerError):
        _docker("image", "rm", "-f", name)


def _docker(*words: str) -> str:
    """Run the Docker client and return what it printed; PeerError `peer_docker` with the end of what it said."""
    done = subprocess.run(
        [docker(), *words], capture_output=True, text=True, check=False, timeout=300, env=os.environ | {"DOCKER_BUILDKIT": "0"}
    )
    if done.returncode != 0:
        raise PeerError("peer_docker", f"docker {words[0]}: {done.stderr.strip()[-600:]}")
    return done.stdout.strip()
