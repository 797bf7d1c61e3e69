"""The warden in its own container, with the capabilities it names and no others: mounts reach the host, cgroups can be written."""

import asyncio
import hashlib
import os
import subprocess
import threading
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from stage import TOKENS

from sandbox.adapters.warden import Warden
from sandbox.domain.spec import sign

pytestmark = pytest.mark.docker

CAPABILITIES = ["SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "DAC_OVERRIDE", "CHOWN", "FOWNER", "FSETID", "KILL"]
SOURCE = Path(__file__).parents[2]


@pytest.fixture
def log_url(stage):
    """A log that takes everything, on the bridge's address, as the container sees it."""

    async def last(_request):
        return web.json_response({"boot": None, "seq": None})

    async def append(request):
        body = await request.json()
        taken.append(body["leaf"]["kind"])
        if len(taken) == 4:
            complete.set()
        return web.json_response({"index": len(taken) - 1})

    async def serve():
        app = web.Application()
        app.add_routes([web.get("/v1/source/warden", last), web.post("/v1/append", append)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, gateway, 0).start()
        return runner

    taken: list[str] = []
    complete = threading.Event()
    gateway = stage.docker.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    runner = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    yield f"http://{gateway}:{runner.addresses[0][1]}", taken, complete
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)


@pytest.fixture
def contained(stage, log_url):
    """A warden process in a container; the directories are bound on themselves and shared, as `sandbox up` does."""
    images = stage.docker.images.list("datasandbox/control")
    assert images, "no control image: `make setup` builds it"
    secrets = stage.home / "secrets" / "warden"
    (secrets / "accepts").mkdir(exist_ok=True)
    for name, token in TOKENS.items():
        (secrets / "accepts" / f"{name}.sha256").write_text(hashlib.sha256(token.encode()).hexdigest())
    (secrets / "log.token").write_text("token")
    (secrets / "launch.pub").write_bytes(stage.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for path in (stage.home, stage.run):
        subprocess.run(["mount", "--bind", path, path], check=True)
        subprocess.run(["mount", "--make-shared", path], check=True)
    command = ["docker", "run", "-d", "--pid", "host", "--cgroupns", "host", "--cap-drop", "ALL", "--read-only", "--user", "0:0"]
    command += [option for name in CAPABILITIES for option in ("--cap-add", name)]
    command += ["--security-opt", "no-new-privileges:true", "--label", f"datasandbox.deployment={stage.id}"]
    command += [option for path in (stage.home, stage.run) for option in ("-v", f"{path}:{path}:rshared")]
    command += ["--device-cgroup-rule", "b 7:* rmw", "--device-cgroup-rule", "c 10:237 rmw", "-v", "/dev:/host/dev"]
    command += ["-e", "DATASANDBOX_DEVICES=/host/dev", "-e", "DATASANDBOX_WORKSPACE=loop"]
    command += ["-v", "/sys/fs/cgroup:/sys/fs/cgroup", "-v", "/run/docker.sock:/var/run/docker.sock"]
    command += ["-v", f"{SOURCE}:/src:ro", "-e", "PYTHONPATH=/src", "-w", "/src", "-e", "PYTHONDONTWRITEBYTECODE=1"]
    settings = {"HOME": stage.home, "RUN": stage.run, "ID": stage.id, "LOG_URL": log_url[0]}
    command += [option for name, value in settings.items() for option in ("-e", f"DATASANDBOX_{name}={value}")]
    command += ["--entrypoint", "python", str(images[0].id), "-m", "sandbox.warden"]
    container = stage.docker.containers.get(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    container.reload()
    address = container.attrs["NetworkSettings"]["IPAddress"]
    yield container, f"http://{address}:8030", *log_url[1:]
    container.remove(force=True)
    for path in (stage.home, stage.run):
        subprocess.run(["umount", "-l", path], check=True)


def test_the_contained_warden_launches_cuts_and_clears_away(stage, contained):
    container, url, taken, complete = contained
    for line in container.logs(stream=True):
        if b"Running on" in line:
            break
    spec = stage.spec(releases=[{"id": stage.release(), "dataset": "flights"}])

    async def act():
        hub, portal = Warden(url, TOKENS["hub"]), Warden(url, TOKENS["portal"])
        try:
            launched = await hub.launch(sign(spec, stage.key))
            seen = Path(launched["sock"]).stat()  # noqa: ASYNC240 - a test, and the directory is in memory
            sizes = os.statvfs(stage.home / "workspaces" / spec["sandbox"])  # seen on the host: the mount got out of the container
            inside = stage.run_inside(launched["kernel_container"], "import os; print(os.statvfs('/home/researcher').f_files)")
            assert (sizes.f_files, int(inside)) == (sizes.f_files, sizes.f_files)
            assert sizes.f_files < 1100
            return launched, seen, await portal.cut(spec["sandbox"], "revoked"), await portal.state()
        finally:
            await hub.close()
            await portal.close()

    launched, seen, cut, state = asyncio.run(act())
    assert (seen.st_mode & 0o7777, seen.st_uid) == (0o2710, 1300)
    assert cut["was_running"] is True
    assert cut["frozen_ms"] > 0
    assert state == []
    assert not Path(launched["sock"]).exists()
    assert not stage.docker.containers.list(all=True, filters={"label": f"datasandbox.sandbox={spec['sandbox']}"})
    assert complete.wait(10)
    assert sorted(taken) == ["kernel.cut", "kernel.ended", "kernel.started", "source.started"]
