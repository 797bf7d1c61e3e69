"""A warden on the real engine, for tests: own home, own run directory, own deployment id; everything goes at the end."""

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.client import LogUnavailable
from sandbox.adapters.warden import Warden
from sandbox.domain.ids import new_id
from sandbox.domain.spec import Workspace, sign, timestamp
from sandbox.domain.uids import UIDS
from sandbox.settings import Settings
from sandbox.warden.data import DataRuns
from sandbox.warden.door import DockerDoor
from sandbox.warden.engine import Engine
from sandbox.warden.records import Recorder
from sandbox.warden.sandboxes import Sandboxes
from sandbox.warden.server import Server
from sandbox.warden.session import Sessions
from sandbox.warden.spent import Spent
from sandbox.warden.workspaces import Workspaces

TOKENS = {"hub": secrets.token_urlsafe(32), "portal": secrets.token_urlsafe(32)}


class Log:
    """The log at the edge: remembers, or is down."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.down = False

    async def append(self, kind: str, *, actor: dict[str, str], refs: dict[str, str], data: dict[str, Any]) -> int:
        if self.down:
            raise LogUnavailable("down")
        self.entries.append({"kind": kind, "actor": actor, "refs": refs, "data": data})
        return len(self.entries) - 1

    def kinds(self, sandbox: str) -> list[str]:
        return [entry["kind"] for entry in self.entries if entry["refs"].get("sandbox") == sandbox]


class Stage:
    """A running warden in a thread, its two clients, and the means to make specs and look inside containers."""

    def __init__(self, home: Path, image: str, deployment: str | None = None, workspace_mode: str = "auto", runtime: str = "runc") -> None:
        self.id = deployment or secrets.token_hex(4)
        self.runtime = runtime
        self.home = home
        self.workspace_mode = workspace_mode
        self.image = image
        self.run = Path("/run/datasandbox") / self.id
        self.run.mkdir(parents=True, exist_ok=True)
        for name in ("secrets/warden", "workspaces", "releases", "jobs", "uploads"):
            (home / name).mkdir(parents=True, exist_ok=True)
        self.docker = docker.from_env()
        self.key = Ed25519PrivateKey.generate()
        self.log = Log()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None
        self.start()

    def start(self) -> None:
        """Start a warden process's worth of objects on what is there: a restart when called again."""
        self.do(self._serve())

    async def _serve(self) -> None:
        if self._runner is not None:
            await self._close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

        def now() -> datetime:
            return datetime.now(UTC)

        engine = Engine(self.id)
        recorder = Recorder(self.log)
        spent = Spent(self.home / "secrets/warden/spent.json")
        self.workspaces = Workspaces(self.home / "workspaces", self.workspace_mode)
        self.sandboxes = Sandboxes(self.home, self.run, engine=engine, recorder=recorder, spent=spent, workspaces=self.workspaces, now=now)
        self.recorder = recorder
        data = DataRuns(self.home, engine, recorder)
        await self.sandboxes.reconcile()
        await data.reconcile()
        accepts = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in TOKENS.items()}
        self.sessions = Sessions(Settings(self.home, self.run, self.id, "http://sandbox.localhost:8000"))
        self.docker_door = DockerDoor(self.sessions, approved=self.sandboxes, engine=engine, recorder=recorder)
        self.door_path = await self.docker_door.open()
        public = self.key.public_key()
        server = Server(self.id, public, accepts, sandboxes=self.sandboxes, data=data, spent=spent, subnets=engine.subnets, now=now)
        self._runner = web.AppRunner(server.app())
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.portal = Warden(self.url, TOKENS["portal"])
        self.hub = Warden(self.url, TOKENS["hub"])

    def do(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine where the warden runs, and return its result."""
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(90)

    def spec(self, sandbox: str | None = None, **kernel: Any) -> dict[str, Any]:
        """Return a launch spec in force."""
        now = datetime.now(UTC)
        return {
            "v": 1,
            "kind": "sandbox",
            "nonce": secrets.token_hex(16),
            "issued": timestamp(now),
            "expires": timestamp(now + timedelta(seconds=60)),
            "deployment": self.id,
            "sandbox": sandbox or new_id(),
            "boot": new_id(),
            "login": "researcher",
            "project": new_id(),
            "epochs": {},
            "kernel": {
                "image": self.image,
                "runtime": self.runtime,
                "memory": 1 << 30,
                "cpus": 1.0,
                "pids": 128,
                "tmp_bytes": 64 << 20,
                "workspace": {"bytes": 64 << 20, "inodes": 1000},
                "lang": "en",
                "releases": [],
                **kernel,
            },
            "session": {"id": new_id(), "image": self.image, "memory": 1 << 29, "environment": {}},
        }

    def data_spec(self, image: str, seconds: int = 30, **inputs: str) -> dict[str, Any]:
        """Return a data spec in force, with its job's directory made as the portal would."""
        now = datetime.now(UTC)
        job = new_id()
        folder = self.home / "jobs" / job
        folder.mkdir()
        (folder / "job.json").write_text(json.dumps({"job": job}))
        for path in (folder, folder / "job.json"):
            os.chown(path, UIDS["portal"], UIDS["portal"])
        (folder / "job.json").chmod(0o600)
        return {
            "v": 1,
            "kind": "data",
            "nonce": secrets.token_hex(16),
            "issued": timestamp(now),
            "expires": timestamp(now + timedelta(seconds=60)),
            "deployment": self.id,
            "job": job,
            "task": "import",
            "image": image,
            "memory": 256 << 20,
            "seconds": seconds,
            "inputs": [{"source": source, "target": f"/in/{name}"} for name, source in inputs.items()],
            "output": f"jobs/{job}/out",
        }

    def launch(self, spec: dict[str, Any] | None = None) -> dict[str, Any]:
        """Launch, as the hub does."""
        return self.do(self.hub.launch(sign(spec or self.spec(), self.key)))

    @contextmanager
    def kept(self, sandbox: str) -> Iterator[Path]:
        """Look into the workspace of a sandbox that does not run, as an administrator with the image would."""
        self.do(self.sandboxes.stop(sandbox))  # until it is unmounted
        self.workspaces.open(sandbox, Workspace(64 << 20, 1000))
        try:
            yield self.home / "workspaces" / sandbox
        finally:
            self.workspaces.close(sandbox)

    def release(self, text: str = "a,b\n1,2\n") -> str:
        """Make a release directory as the portal leaves it; return its id."""
        release = new_id()
        folder = self.home / "releases" / release
        folder.mkdir()
        (folder / "data.parquet").write_text(text)
        for path in (folder, folder / "data.parquet"):
            os.chown(path, UIDS["portal"], UIDS["portal"])
            path.chmod(0o700 if path is folder else 0o600)
        return release

    def run_inside(self, container: str, code: str, *arguments: str) -> str:
        """Run Python in a container as its user, under its confinement; return what it printed."""
        command = ["docker", "exec", "-i", container, "python3", "-", *arguments]
        return subprocess.run(command, input=code, capture_output=True, text=True, timeout=60, check=True).stdout

    def close(self) -> None:
        """End what is left, and remove it."""
        for found in self.docker.containers.list(all=True, filters={"label": f"datasandbox.deployment={self.id}"}):
            found.remove(force=True)
        self.start()  # reconciling takes the mounts away
        self.do(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        shutil.rmtree(self.run / "docker")
        if (self.run / "sb").exists():
            (self.run / "sb").rmdir()
        self.run.rmdir()

    async def _close(self) -> None:
        await self.portal.close()
        await self.hub.close()
        await self.docker_door.close()
        await self._runner.cleanup()


def kernel_image() -> str | None:
    """Return the id of the kernel image: that of the environment, else the newest built here."""
    client = docker.from_env()
    if name := os.environ.get("DATASANDBOX_IMAGE_KERNEL"):
        return str(client.images.get(name).id)
    images = client.images.list("datasandbox/kernel") or client.images.list("dev-warden-kernel")
    return str(images[0].id) if images else None
