"""`python -m sandbox.warden`: the warden of this node, on port 8030."""

import asyncio
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from audit.client import Source
from sandbox.settings import Settings
from sandbox.warden.data import DataRuns
from sandbox.warden.door import DockerDoor
from sandbox.warden.engine import Engine
from sandbox.warden.records import Recorder
from sandbox.warden.sandboxes import Sandboxes
from sandbox.warden.server import Server
from sandbox.warden.session import HUB, Sessions
from sandbox.warden.spent import Spent
from sandbox.warden.workspaces import Workspaces

PORT = 8030


def now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(UTC)


async def application(settings: Settings, log_url: str) -> web.Application:
    """Return the warden's application, after it has looked at what an earlier one left. Raises OSError, EngineError, SettingsError."""
    public = load_pem_public_key(settings.secret_file("warden", "launch.pub").read_bytes())
    if not isinstance(public, Ed25519PublicKey):
        raise TypeError("secrets/warden/launch.pub is no Ed25519 key: `sandbox init` makes it")
    engine = Engine(settings.id)
    recorder = Recorder(Source(log_url, settings.token("warden", "log"), "warden"))
    spent = Spent(settings.secret_file("warden", "spent.json"))
    # the host's devices, where it is a container (docker-compose.yml)
    workspaces = Workspaces(settings.home / "workspaces", settings.workspace, Path(os.environ.get("DATASANDBOX_DEVICES", "/dev")))
    if workspaces.impossible:
        logging.getLogger(__name__).error("no loop devices (%s): workspaces have no hard limit", workspaces.impossible)
    sandboxes = Sandboxes(settings.home, settings.run, engine=engine, recorder=recorder, spent=spent, workspaces=workspaces, now=now)
    data = DataRuns(settings.home, engine, recorder)
    await sandboxes.reconcile()
    await data.reconcile()
    sessions = Sessions(settings, os.environ.get("DATASANDBOX_HUB", HUB))
    await DockerDoor(sessions, approved=sandboxes, engine=engine, recorder=recorder).open()
    accepts = settings.accepts("warden")
    return Server(settings.id, public, accepts, sandboxes=sandboxes, data=data, spent=spent, subnets=engine.subnets, now=now).app()


def main() -> None:
    """Serve until ended; sandboxes outlive the warden and are adopted by the next."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.umask(0o022)
    loop = asyncio.new_event_loop()
    app = loop.run_until_complete(application(Settings.from_env(), os.environ.get("DATASANDBOX_LOG_URL", "http://log:8020")))
    web.run_app(app, host="0.0.0.0", port=PORT, loop=loop, access_log=None)  # noqa: S104 - the container's own network, control only


if __name__ == "__main__":
    main()
