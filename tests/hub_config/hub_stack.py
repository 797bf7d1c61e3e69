"""The real hub, proxy and engine around a portal and a warden of the test's own, on free loopback ports."""

import asyncio
import contextlib
import io
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import docker
import requests
from aiohttp import web

from sandbox.domain.ids import new_id
from sandbox.domain.spec import SandboxSpec, Session
from sandbox.settings import Settings
from sandbox.warden.door import DockerDoor
from sandbox.warden.engine import Engine
from sandbox.warden.records import Recorder
from sandbox.warden.session import Sessions
from sandbox.web.hub_oauth import HubOAuth

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PASSWORDS = {"researcher": "a b&c=ü", "researcher2": "second"}
MEMORY = 512 * 1024 * 1024


@dataclass
class Asked:
    """What portal and warden were asked, in order, and what they are to answer."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuse: tuple[int, str, str] | None = None
    warden_refuses: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


class Loop:
    """An event loop in its own thread, for the servers of the test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def serve(self, app: web.Application, host: str, port: int) -> None:
        async def begin() -> None:
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, host, port).start()

        self.do(begin())

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(10)


def portal(asked: Asked, image: str, deployment: str) -> web.Application:
    """The internal port: log-in, launch, stopped."""
    app = web.Application()

    async def login(request: web.Request) -> web.Response:
        body = await request.json()
        asked.calls.append(("login", body))
        if PASSWORDS.get(body["login"]) == body["password"]:
            return web.json_response({"login": body["login"]})
        return web.json_response({"error": {"code": "login_failed", "message": "账号或密码不正确 <b>"}}, status=401)

    async def launch(request: web.Request) -> web.Response:
        body = await request.json()
        asked.calls.append(("launch", body | {"authorization": request.headers["Authorization"]}))
        if asked.refuse:
            status, code, message = asked.refuse
            return web.json_response({"error": {"code": code, "message": message}}, status=status)
        session = {"image": image, "memory": MEMORY, "environment": {"DATASANDBOX_SANDBOX": body["server"]}}
        spec = {"sandbox": body["server"], "login": body["login"], "deployment": deployment, "session": session}
        return web.json_response({"spec": spec, "signature": "…"})

    async def stopped(request: web.Request) -> web.Response:
        asked.calls.append(("stopped", await request.json()))
        asked.stopped.set()
        return web.json_response({})

    for act in (login, launch, stopped):
        app.router.add_post(f"/internal/hub/{act.__name__}", act)
    return app


def pages(oauth: HubOAuth) -> web.Application:
    """The portal's pages as far as a log-in needs them."""
    app, sessions = web.Application(), {}

    async def begin(_: web.Request) -> web.Response:
        return web.Response(status=303, headers={"Location": oauth.authorize_url("state", "v" * 43)})

    async def callback(request: web.Request) -> web.Response:
        token = secrets.token_urlsafe(8)
        sessions[token] = await asyncio.to_thread(oauth.login_of, request.query["code"], "v" * 43)
        answer = web.Response(status=303, headers={"Location": "/services/portal/"})
        answer.set_cookie("portal", token, httponly=True)
        return answer

    async def me(request: web.Request) -> web.Response:
        return web.json_response({"login": sessions[request.cookies["portal"]], "csrf": "c"})

    async def home(_: web.Request) -> web.Response:
        return web.Response(text="portal")

    app.router.add_get("/services/portal/login", begin)
    app.router.add_get("/services/portal/oauth_callback", callback)
    app.router.add_get("/services/portal/api/v1/me", me)
    app.router.add_get("/services/portal/", home)
    return app


class Approved:
    """The sandboxes that the warden of this test launched: what its door may make sessions of."""

    def __init__(self) -> None:
        self.specs: dict[str, SandboxSpec] = {}

    def approved(self, sandbox: str) -> SandboxSpec | None:
        return self.specs.get(sandbox)

    def lives(self, sandbox: str) -> bool:
        return sandbox in self.specs


class Door(DockerDoor):
    """The warden's own door, which also remembers the lines of environment that the hub asked for."""

    asked_for: ClassVar[dict[str, list[str]]] = {}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if name := request.query.get("name"):  # a body is kept once read, so the door reads the same
            Door.asked_for[name] = json.loads(await request.read())["Env"]
        return await super().answer(request)


class Log:
    """The log at the door's edge: remembers."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    async def append(self, kind: str, **_rest: Any) -> int:
        self.kinds.append(kind)
        return len(self.kinds)


def warden(asked: Asked, run: Path, approved: Approved) -> web.Application:
    """The warden's three calls of the hub; a sandbox is live from its launch to its stop."""
    app = web.Application()

    async def networks(_: web.Request) -> web.Response:
        return web.json_response({"networks": ["127.0.0.0/8"]})

    app.router.add_get("/v1/networks", networks)

    async def launch(request: web.Request) -> web.Response:
        envelope = await request.json()
        asked.calls.append(("warden launch", envelope))
        if asked.warden_refuses:
            return web.json_response({"code": "spec_expired"}, status=403)
        spec = envelope["spec"]
        session = Session(new_id(), spec["session"]["image"], spec["session"]["memory"], spec["session"]["environment"])
        given = {"deployment": spec["deployment"], "sandbox": spec["sandbox"], "login": spec["login"], "session": session}
        blank = {field.name: "" for field in fields(SandboxSpec)}
        approved.specs[spec["sandbox"]] = SandboxSpec(**blank | given)
        places = {name: run / "sb" / envelope["spec"]["sandbox"] / name for name in ("sock", "door")}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        return web.json_response({"sandbox": envelope["spec"]["sandbox"]} | {name: str(place) for name, place in places.items()})

    async def stop(request: web.Request) -> web.Response:
        asked.calls.append(("warden stop", body := await request.json()))
        approved.specs.pop(body["sandbox"], None)
        return web.json_response({})

    app.router.add_post("/v1/launch", launch)
    app.router.add_post("/v1/stop", stop)
    return app


@dataclass
class Stack:
    url: str
    deployment: str
    api: str
    service_token: str
    portal_token: str
    image: str
    asked: Asked
    engine: docker.DockerClient
    restart_hub: Callable[[], None]
    asked_for: dict[str, list[str]]  # name of a session's container -> the environment in the body of its create
    recorded: list[str]  # kinds

    def session_name(self, server: str) -> str:
        return f"ds-{self.deployment}-session-{server}"


def session_image(engine: docker.DockerClient, tag: str) -> str:
    """Build the plain single-user server from the deployment's own dependencies: what is tested here is the hub's side."""
    found = next((tag for image in engine.images.list("datasandbox/session-deps") for tag in image.tags), None)
    assert found, "no image datasandbox/session-deps: make setup builds it"
    recipe = f'FROM {found}\nUSER 1200:1200\nENV HOME=/tmp\nWORKDIR /tmp\nCMD ["jupyterhub-singleuser"]\n'
    image, _ = engine.images.build(fileobj=io.BytesIO(recipe.encode()), tag=tag, rm=True)
    return str(image.id)


@contextlib.contextmanager
def running(tmp: Path, ports: list[int]) -> Any:
    """Start everything, wait until the portal answers through the proxy, and end it."""
    public, api, hub, portal_port, internal, warden_port = ports
    deployment, asked, loop = secrets.token_hex(4), Asked(), Loop()
    engine = docker.from_env()
    image = session_image(engine, f"dev-hub-session:{deployment}")
    network = engine.networks.create(f"ds-{deployment}-sessions", driver="bridge", labels={"datasandbox.deployment": deployment})
    network.reload()
    gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
    url = f"http://sandbox.localhost:{public}"
    tokens = {name: secrets.token_urlsafe(32) for name in ("portal", "warden", "proxy", "service-portal")}
    (tmp / "home/secrets/hub").mkdir(parents=True)
    (tmp / "home/hub").mkdir()
    (tmp / "run").mkdir()
    for name, token in tokens.items():
        (tmp / f"home/secrets/hub/{name}.token").write_text(token + "\n")
    environment = {
        "PATH": os.environ["PATH"],
        "DATASANDBOX_HOME": str(tmp / "home"),
        "DATASANDBOX_RUN": str(tmp / "run"),
        "DATASANDBOX_ID": deployment,
        "DATASANDBOX_URL": url,
        "DATASANDBOX_HUB": f"http://{gateway}:{hub}",
        "DATASANDBOX_HUB_BIND": f"http://0.0.0.0:{hub}",
        "DATASANDBOX_PROXY_API": f"http://127.0.0.1:{api}",
        "DATASANDBOX_PORTAL": f"http://127.0.0.1:{portal_port}",
        "DATASANDBOX_PORTAL_INTERNAL": f"http://127.0.0.1:{internal}",
        "DATASANDBOX_WARDEN": f"http://127.0.0.1:{warden_port}",
    }
    settings = Settings.from_env(environment)
    oauth = HubOAuth(
        public_url=url,
        api_url=f"http://127.0.0.1:{hub}/hub/api",
        token=tokens["service-portal"],
        redirect_uri=f"{settings.portal_url}oauth_callback",
    )
    loop.serve(pages(oauth), "127.0.0.1", portal_port)
    loop.serve(portal(asked, image, deployment), "127.0.0.1", internal)
    approved, log = Approved(), Log()
    loop.serve(warden(asked, tmp / "run", approved), "127.0.0.1", warden_port)
    sessions = Sessions(settings, environment["DATASANDBOX_HUB"])
    door = Door(sessions, approved=approved, engine=Engine(deployment), recorder=Recorder(log))
    path = loop.do(door.open())
    environment["DOCKER_HOST"] = f"unix://{path}"
    proxy_image = next(tag for found in engine.images.list("datasandbox/proxy") for tag in found.tags)
    proxy = engine.containers.run(
        proxy_image,
        ["--ip=127.0.0.1", f"--port={public}", "--api-ip=127.0.0.1", f"--api-port={api}", "--host-routing"],
        name=f"dev-hub-proxy-{deployment}",
        environment={"CONFIGPROXY_AUTH_TOKEN": tokens["proxy"]},
        network_mode="host",
        detach=True,
        remove=True,
    )
    output = (tmp / "hub.log").open("w")
    command = [sys.executable, "-m", "jupyterhub", "-f", ROOT / "hub_config/jupyterhub_config.py"]
    process = None

    def start_hub() -> None:
        """Start the hub, anew if it runs, and wait until the portal answers through the proxy."""
        nonlocal process
        if process:
            process.terminate()
            process.wait(20)
        process = subprocess.Popen(command, env=environment, cwd=tmp / "home/hub", stdout=output, stderr=subprocess.STDOUT)
        until = time.monotonic() + 60
        while True:
            alive = process.poll() is None and time.monotonic() < until
            assert alive, (tmp / "hub.log").read_text()[-4000:]
            with contextlib.suppress(requests.RequestException):
                host = {"Host": f"portal.sandbox.localhost:{public}"}
                up = requests.get(f"http://127.0.0.1:{hub}/hub/health", timeout=2).ok
                if up and requests.get(f"http://127.0.0.1:{public}/services/portal/", headers=host, timeout=2).text == "portal":
                    return
            time.sleep(0.1)

    try:
        start_hub()
        api_url = f"http://127.0.0.1:{hub}/hub/api"
        yield Stack(
            url, deployment, api_url, tokens["service-portal"], tokens["portal"], image, asked, engine, start_hub, door.asked_for, log.kinds
        )
    finally:
        if process:
            process.terminate()
            process.wait(20)
        output.close()
        loop.do(door.close())
        for container in engine.containers.list(all=True, filters={"label": f"datasandbox.deployment={deployment}"}):
            container.remove(force=True)
        proxy.kill()
        network.remove()
        engine.images.remove(f"dev-hub-session:{deployment}", force=True)


def inspect(stack: Stack, server: str) -> dict[str, Any]:
    """Return what the engine says of a session container."""
    return json.loads(json.dumps(stack.engine.api.inspect_container(stack.session_name(server))))
