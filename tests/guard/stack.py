"""A session as it runs in production, without containers: the real supervisor, ipykernel, jupyterhub-singleuser, guard and log.

Hub, portal and OPA are small servers on loopback that answer what the interfaces say. The log can be held (`log_gate`) or made to
fail (`log_down`), policy and lease can be changed while it runs.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import tokens
from audit.checkpoint import Signer
from audit.server import Callers, Service
from audit.writer import Log
from sandbox.guard.messages import V1

ROOT = Path(__file__).parents[2]
SANDBOX, BOOT, LOGIN = "t3st5andb0x", "b00t1", "researcher"
PREFIX = f"/user/{LOGIN}/{SANDBOX}/"
AGREEMENT = {
    "id": "agr1",
    "epoch": 1,
    "dataset": "flights",
    "title": "航班",
    "access": "mounted",
    "columns": [{"name": "month", "class": "open", "treatment": "kept"}],
    "not_after": "2099-01-01T00:00:00.000Z",
    "rows": 3,
    "release": "rel1",
    "state": "ready",
}
QUERIED = AGREEMENT | {"id": "agr2", "dataset": "randhie", "access": "queried", "state": "queried_not_available"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stack:
    """Start with `async with`; everything it started ends with it."""

    def __init__(self, *, config=None, extra_env=None, kernel_path=""):
        self.root = Path(tempfile.mkdtemp(prefix="ds-guard-"))
        self.config = config
        self.kernel_path = kernel_path  # a folder whose ipykernel_launcher takes the real one's place
        self.extra_env = extra_env or {}
        self.processes = []
        self.runners = []
        self.log_gate = asyncio.Event()
        self.log_gate.set()
        self.log_down = False
        self.appended = asyncio.Condition()
        self.held = asyncio.Event()
        self.leases = set()
        self.greeted = asyncio.Event()
        self.epoch = 1
        self.renewing = True
        self.signed_out = False  # the hub forgets everybody
        self.allow = True
        self.reasons = ["policy_says_no"]
        self.policy_down = False
        self.asked = []
        self.exports = []
        self.cell_bytes = 262144
        self.hour_bytes, self.day_bytes = 1 << 30, 1 << 32
        self.reserved = self.given_back = 0  # as the portal's account has it
        self.asked_budget = {}  # request -> answer
        self.budget_gate = asyncio.Event()
        self.budget_gate.set()
        self.budget_down = False
        self.key = Ed25519PrivateKey.generate()

    # --- peers

    async def serve(self, app):
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def make_log(self):
        folder = self.root / "audit"
        folder.mkdir()
        clock = lambda: datetime.now(UTC)  # noqa: E731
        self.log = Log(folder, Signer("log.test/dev", Ed25519PrivateKey.generate()), clock)
        stack = self

        class Held(Service):
            """A log whose answer to an append can be held or refused."""

            async def take(self, authorization, body):
                if stack.log_down:
                    return 503, {"code": "log.unhealthy"}
                if not stack.log_gate.is_set():
                    stack.held.set()
                    await stack.log_gate.wait()
                answer = await super().take(authorization, body)
                async with stack.appended:
                    stack.appended.notify_all()
                return answer

        @web.middleware
        async def gate(request, handler):
            if self.log_down:
                return web.json_response({"code": "log.unhealthy"}, status=503)
            return await handler(request)

        service = Held(self.log, Callers({}, self.key.public_key(), lambda: datetime.now(UTC).timestamp()))
        app = service.app()
        app.middlewares.insert(0, gate)
        return await self.serve(app)

    async def make_opa(self):
        async def decide(request):
            asked = (request.path, (await request.json())["input"])
            self.asked.append(asked)
            if self.policy_down:
                return web.Response(status=500)
            obligations = {"cell_bytes": self.cell_bytes, "max_bytes": 1 << 20}
            result = {"allow": self.allow, "reasons": [] if self.allow else self.reasons, "obligations": obligations}
            return web.json_response({"result": result, "decision_id": "d-1"})

        app = web.Application()
        app.router.add_post("/v1/data/{path:.*}", decide)
        return await self.serve(app)

    async def make_hub(self):
        async def version(_):
            return web.json_response({"version": "6.1.1"}, headers={"X-JupyterHub-Version": "6.1.1"})

        async def user(request):
            token = request.headers.get("Authorization", "").removeprefix("token ")
            mine = {"own-token": [f"access:servers!server={LOGIN}/{SANDBOX}"], "no-scope": [f"read:users:name!user={LOGIN}"]}
            scopes = (mine | {"other-token": ["access:servers!user=somebody"]}).get(token)
            if scopes is None or self.signed_out:
                raise web.HTTPForbidden
            name = LOGIN if token in mine else "somebody"
            return web.json_response({"name": name, "kind": "user", "admin": False, "groups": [], "scopes": scopes})

        app = web.Application()
        app.router.add_get("/hub/api", version)
        app.router.add_get("/hub/api/", version)
        app.router.add_get("/hub/api/user", user)
        app.router.add_post("/hub/api/users/{name}/activity", version)
        return await self.serve(app)

    async def make_portal(self):
        async def lease(request):
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                raise web.HTTPUnauthorized
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            self.leases.add(ws)

            async def renew():
                while self.renewing:
                    await ws.send_json(self.grant())
                    await asyncio.sleep(5)

            renewal = asyncio.ensure_future(renew())
            async for message in ws:
                self.greeted.set()
                self.last_activity = json.loads(message.data)
            renewal.cancel()
            self.leases.discard(ws)
            return ws

        async def create(request):
            self.exports.append({"body": await request.json(), "files": {}})
            return web.json_response({"export": f"exp{len(self.exports) - 1}"}, status=201)

        async def upload(request):
            self.exports[-1]["files"][int(request.match_info["n"])] = await request.read()
            return web.Response(status=204)

        async def submit(_):
            if self.exports[-1]["body"]["title"] == "refuse":
                return web.json_response({"error": {"code": "export_denied", "message": "不行", "field": None, "params": {}}}, status=403)
            finding = {"file": "a.csv", "code": "small_cell", "verdict": "deny", "message": "小于10", "params": {}}
            return web.json_response({"export": "exp", "state": "denied", "findings": [finding]})

        app = web.Application(client_max_size=1 << 26)
        app.router.add_get("/internal/session/lease", lease)
        app.router.add_post("/internal/session/display", self.display)
        app.router.add_post("/internal/session/exports", create)
        app.router.add_put("/internal/session/exports/{id}/files/{n}", upload)
        app.router.add_post("/internal/session/exports/{id}/submit", submit)
        return await self.serve(app)

    async def display(self, request):
        body = await request.json()
        await self.budget_gate.wait()
        if self.budget_down:
            raise web.HTTPServiceUnavailable
        if body["request"] not in self.asked_budget:
            self.given_back += body["return"]
            self.reserved -= body["return"]
            granted = max(0, min(body["reserve"], self.hour_bytes - self.reserved, self.day_bytes - self.reserved))
            self.reserved += granted
            self.asked_budget[body["request"]] = {"granted": granted}
        return web.json_response(self.asked_budget[body["request"]] | self.figures())

    def figures(self):
        left = {f"{name}_left": max(0, limit - self.reserved) for name, limit in (("hour", self.hour_bytes), ("day", self.day_bytes))}
        return {
            "cell_bytes": self.cell_bytes,
            "hour_bytes": self.hour_bytes,
            "day_bytes": self.day_bytes,
            "extension_until": None,
        } | left

    def grant(self, seconds=20):
        facts = {
            "sandbox": SANDBOX,
            "boot": BOOT,
            "project": {"id": "prj1", "title": "项目"},
            "person": {"login": LOGIN, "name": "研究员", "lang": "zh-CN"},
            "agreements": [AGREEMENT, QUERIED],
            "display": self.figures(),
            "url": "http://sandbox.localhost:8000",
        }
        return {"type": "lease", "epoch": self.epoch, "seconds": seconds, "facts": facts}

    async def tell(self, message):
        for ws in list(self.leases):
            await ws.send_json(message)

    # --- life

    async def __aenter__(self):
        try:
            await self._start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _start(self):
        for name in ("sock", "door", "home", "tmp", "etc", "session"):
            (self.root / name).mkdir()
        expires = int(datetime.now(UTC).timestamp()) + 3600
        self.token = tokens.sign(self.key, sandbox=SANDBOX, boot=BOOT, exp=expires)
        log, opa, hub, portal = [await make() for make in (self.make_log, self.make_opa, self.make_hub, self.make_portal)]
        self.http = aiohttp.ClientSession(headers={"Authorization": "token own-token"})
        await self.start_supervisor()
        shutil.copytree(ROOT / "images/session/labconfig", self.root / "etc/labconfig")
        shutil.copy(self.config or ROOT / "images/session/jupyter_server_config.py", self.root / "etc/jupyter_server_config.py")
        port = free_port()
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}{PREFIX}"
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.root / "session"),
            "LANG": "C.UTF-8",
            "JUPYTER_CONFIG_PATH": str(self.root / "etc"),
            "JUPYTER_RUNTIME_DIR": str(self.root / "session/runtime"),
            "JUPYTERHUB_DISABLE_USER_CONFIG": "1",
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}{PREFIX}",
            "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
            "JUPYTERHUB_API_URL": f"{hub}/hub/api",
            "JUPYTERHUB_ACTIVITY_URL": f"{hub}/hub/api/users/{LOGIN}/activity",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_API_TOKEN": "server-token",
            "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{LOGIN}-{SANDBOX}",
            "JUPYTERHUB_USER": LOGIN,
            "JUPYTERHUB_SERVER_NAME": SANDBOX,
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps([f"access:servers!server={LOGIN}/{SANDBOX}"]),
            "JUPYTERHUB_OAUTH_SCOPES": json.dumps([f"access:servers!server={LOGIN}/{SANDBOX}"]),
            "DATASANDBOX_SANDBOX": SANDBOX,
            "DATASANDBOX_BOOT": BOOT,
            "DATASANDBOX_SESSION_TOKEN": self.token,
            "DATASANDBOX_OPA_TOKEN": "opa-token",
            "DATASANDBOX_LOG": log,
            "DATASANDBOX_OPA": opa,
            "DATASANDBOX_PORTAL": portal,
            "DATASANDBOX_SOCK": str(self.root / "sock"),
            "DATASANDBOX_DOOR": str(self.root / "door"),
            **self.extra_env,
        }
        self.session_log = (self.root / "session.log").open("ab")
        await self.start_session()

    async def restart_session(self):
        """SIGKILL, as the kernel's own OOM killer does, and start the same container's process again."""
        if self.session.returncode is None:
            self.session.kill()
            await self.session.wait()
        self.greeted.clear()
        await self.start_session()

    async def start_session(self):
        self.session = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "jupyterhub.singleuser",
            "--allow-root",
            cwd=self.root / "session",
            env=self.env,
            stdout=self.session_log,
            stderr=self.session_log,
        )
        self.processes.append(self.session)
        async with asyncio.timeout(60):
            ended = asyncio.ensure_future(self.session.wait())
            greeted = asyncio.ensure_future(self.greeted.wait())  # the guard asks for its lease when it is ready to work
            await asyncio.wait({ended, greeted}, return_when=asyncio.FIRST_COMPLETED)
            assert not ended.done(), (self.root / "session.log").read_text()[-3000:]
            ended.cancel()
            while (await self.get("api/kernels"))[0] in {0, 503}:  # noqa: ASYNC110 - another process decides
                await asyncio.sleep(0.1)

    async def start_supervisor(self):
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "IPYTHONDIR": str(self.root / "tmp/ipython"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(filter(None, [self.kernel_path, str(ROOT / "images/kernel")])),
            "DATASANDBOX_SOCK": str(self.root / "sock"),
            "DATASANDBOX_WORKSPACE": str(self.root / "home"),
            "DATASANDBOX_TMP": str(self.root / "tmp"),
            "DATASANDBOX_DOOR": str(self.root / "door"),
            "DATASANDBOX_DATA": str(self.root / "data"),
        }
        self.supervisor = await asyncio.create_subprocess_exec(sys.executable, str(ROOT / "images/kernel/supervisor.py"), env=env)
        self.processes.append(self.supervisor)
        async with asyncio.timeout(10):
            while not (self.root / "sock/supervisor.sock").exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.01)

    async def __aexit__(self, *_):
        self.log_gate.set()
        for process in reversed(self.processes):
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                try:
                    async with asyncio.timeout(5):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
        if hasattr(self, "http"):
            await self.http.close()
        for runner in self.runners:
            await runner.cleanup()
        if hasattr(self, "session_log"):
            self.session_log.close()
        if os.environ.get("KEEP_GUARD_LOG"):
            sys.stdout.write((self.root / "session.log").read_text()[-8000:])
        shutil.rmtree(self.root, ignore_errors=True)

    # --- what a browser does

    async def call(self, method, path, body=None, **kwargs):
        async with self.http.request(method, self.url + path, json=body, allow_redirects=False, **kwargs) as answer:
            raw = await answer.read()
            with contextlib.suppress(ValueError):
                return answer.status, json.loads(raw)
            return answer.status, raw

    async def get(self, path, **kwargs):
        try:
            return await self.call("GET", path, **kwargs)
        except aiohttp.ClientError:
            return 0, None

    async def start_kernel(self):
        status, kernel = await self.call("POST", "api/kernels", {"name": "python3"})
        assert status == 201, (status, kernel)
        return kernel["id"]

    def connect(self, kernel, protocol=V1, **kwargs):
        protocols = (protocol,) if protocol else ()
        return self.http.ws_connect(f"{self.url}api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}", protocols=protocols, **kwargs)

    def entries(self, kind=None):
        found, start = [], 0
        while True:
            page, following = self.log.entries({"kind": kind} if kind else {}, start, 1000)
            found += [entry["leaf"] for entry in page]
            if following is None:
                return found
            start = following

    async def entry(self, kind, where=lambda leaf: True, seconds=10):
        """Wait until the log has such an entry."""
        async with asyncio.timeout(seconds), self.appended:
            while not (found := [leaf for leaf in self.entries(kind) if where(leaf)]):
                await self.appended.wait()
            return found[-1]
