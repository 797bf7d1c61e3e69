"""What a person does is on record before it happens, and what is not theirs stays shut: the running stack, over its real interfaces."""

import asyncio
import json
import socket
import subprocess
import uuid

import aiohttp
import pytest
from live import cell, refused, until

from sandbox.client import ApiError, LocalhostResolver
from sandbox.deploy import host
from sandbox.deploy.demo import own_addresses

pytestmark = [pytest.mark.docker, pytest.mark.e2e]


async def test_every_cell_is_on_record_before_its_result_and_in_order(live):
    async with live.working() as person, live.person("auditor") as auditor:
        codes, heads = [f"print({n} * 7)" for n in range(6)], []
        start = (await auditor.get("/audit/head"))["size"]
        for code in codes:
            # the first byte back: the record must be there already
            heads += [(await auditor.get("/audit/head"))["size"] async for event in person.run(code) if event.kind == "stream"]
        sent = [
            e for e in await live.entries(start, sandbox=person.sandbox["id"]) if e["leaf"]["kind"] == "cell.sent" and e["leaf"]["blobs"]
        ]
        texts = [(await auditor.get(f"/audit/entries/{e['index']}"))["texts"][0]["text"] for e in sent]
    assert texts == codes
    assert all(entry["index"] < head for entry, head in zip(sent, heads, strict=True))
    assert [e["leaf"]["seq"] for e in sent] == sorted(e["leaf"]["seq"] for e in sent)


async def test_the_start_is_on_record_before_the_kernel_runs(live):
    async with live.working() as person:
        kinds = await live.kinds(sandbox=person.sandbox["id"])
    wanted = ["sandbox.requested", "session.authorised", "kernel.started", "session.running"]
    assert [kind for kind in kinds if kind in wanted][:4] == wanted


async def test_x1_another_researcher_does_not_get_in_and_the_attempts_are_recorded(live):
    async with live.working() as owner, live.person("researcher2") as other:
        start, sandbox = await live.size(), owner.sandbox
        assert (await refused(other.get(f"/sandboxes/{sandbox['id']}")))[:2] == ("not_visible", 404)
        assert (await refused(other.post(f"/projects/{live.project}/sandbox/open")))[:2] == ("not_visible", 404)
        assert (await refused(other.enter(sandbox)))[1] == 403
        other.sandbox = sandbox
        assert (await refused(other.kernel(str(uuid.uuid4()))))[1] in {403, 404}
        told = [e["leaf"] for e in await live.entries(start, login="researcher2") if e["leaf"]["kind"] == "act.refused"]
        leaf = await live.recorded("request.refused", start, sandbox=sandbox["id"])
        status, _ = await cell(owner, "1 + 1")
    assert [one["data"]["code"] for one in told] == ["not_visible", "not_visible"]
    assert leaf["data"]["code"] == "not_signed_in"
    assert status == "ok"


async def test_x3_a_token_in_the_address_opens_nothing(live):
    stolen = live.docker("exec", f"ds-{live.stack.deployment.id}-portal", "cat", f"{live.stack.home}/secrets/portal/hub.token").strip()
    async with live.working() as person, aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=LocalhostResolver())) as anyone:
        inspected = json.loads(live.docker("inspect", *[n for n in live.containers(person.sandbox["id"]) if "session" in n]))[0]
        own = dict(line.split("=", 1) for line in inspected["Config"]["Env"])
        for token in (own["JUPYTERHUB_API_TOKEN"], own["DATASANDBOX_SESSION_TOKEN"], stolen):
            for url in (f"{person.sandbox['url']}api/kernels?token={token}", f"{person.sandbox['url']}lab?token={token}"):
                async with anyone.get(url, allow_redirects=False) as answer:
                    body = await answer.text()
                assert answer.status in {302, 403}
                assert "hub/api/oauth2" in answer.headers.get("Location", "") or answer.status == 403
                assert "jupyter-config-data" not in body


@pytest.mark.parametrize("who", ["the person's cookie", "the portal's token"])
async def test_x5_a_server_that_nobody_approved_does_not_start(live, who):
    start, server = await live.size(), "bcdf23456789"
    if who == "the person's cookie":
        async with live.person("researcher") as person:
            url = f"{live.stack.url}/hub/api/users/researcher/servers/{server}"
            async with person.http.post(url, json={"image": "debian"}, headers={"Origin": live.stack.url}) as answer:
                assert answer.status == 403
    else:
        code = (
            "import asyncio, json, sys; from sandbox.adapters.hub import Hub; from sandbox.domain.errors import Refusal\n"
            "from sandbox.settings import Settings\n"
            "hub = Hub('http://hub:8081/hub/api', Settings.from_env().token('portal', 'hub'))\n"
            "try:\n    asyncio.run(hub.start('researcher', sys.argv[1]))\n"
            "except Refusal as refusal:\n    print(json.dumps([refusal.code, refusal.status]))\n"
        )
        assert live.inside_portal(code, server) == ["start_refused", 403]
        leaf = await live.recorded("session.refused", start)
        assert leaf["data"]["code"] == "start_not_requested"
    assert live.containers(server) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "api/terminals"),
        ("GET", "api/terminals"),
        ("GET", "terminals/websocket/1"),
        ("GET", "files/note.txt"),
        ("GET", "files/note.txt?download=1"),
        ("GET", "nbconvert/html/note.ipynb"),
    ],
)
async def test_w1_w2_w3_what_a_session_must_not_do_is_refused_with_a_record(live, method, path):
    async with live.working() as person:
        await person.save("note.txt", "hello")
        start = await live.size()
        _, status, _ = await refused(person.jupyter(method, path, {} if method == "POST" else None))
        assert status in {403, 404}
        again = [e["leaf"] for e in await live.entries(sandbox=person.sandbox["id"]) if e["leaf"]["kind"] == "request.refused"]
        if not any(path.split("?")[0] in leaf["data"]["path"] for leaf in again):
            leaf = await live.recorded("request.refused", start, sandbox=person.sandbox["id"])
            assert path.split("?")[0] in leaf["data"]["path"]


async def test_n8_no_listener_of_this_machine_or_of_the_stack_is_reached_from_the_kernel(live):
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port, addresses = listener.getsockname()[1], own_addresses()
        services = json.loads(
            live.docker("inspect", *[live.stack.container(s) for s in ("hub", "portal", "opa", "log", "warden", "proxy")])
        )
        inner = [n["IPAddress"] for s in services for n in s["NetworkSettings"]["Networks"].values() if n["IPAddress"]]
        tries = [(a, port) for a in addresses] + [(a, p) for a in inner for p in (8000, 8001, 8010, 8011, 8020, 8030, 8081, 8181)]
        code = (
            "import json, socket\nreached = []\n"
            f"for at in {tries!r}:\n"
            "    try:\n        socket.create_connection(at, timeout=1).close(); reached.append(at)\n"
            "    except OSError:\n        pass\nprint(json.dumps(reached))"
        )
        async with live.working() as person:
            assert await cell(person, code) == ("ok", "[]\n")
        # the twin: a plain container on Docker's default network reaches the same listener
        image = live.stack.deployment.images["kernel"]
        argv = [
            host.docker(),
            "run",
            "--rm",
            "--entrypoint",
            "python3",
            image,
            "-c",
            code.replace(repr(tries), repr(tries[: len(addresses)])),
        ]
        twin = await asyncio.to_thread(subprocess.run, argv, check=True, capture_output=True, text=True)
    assert json.loads(twin.stdout) != []


async def test_f1_nothing_under_data_can_be_written(live):
    code = """
import os
for act in (lambda: open("/data/flights/data.parquet", "ab"), lambda: open("/data/flights/x", "w"), lambda: os.mkdir("/data/x"),
            lambda: os.chmod("/data/flights/data.parquet", 0o777), lambda: os.remove("/data/flights/manifest.json")):
    try:
        act(); print("done")
    except OSError as error:
        print(error.strerror)
"""
    async with live.working() as person:
        status, printed = await cell(person, code)
    assert status == "ok"
    assert set(printed.splitlines()) <= {"Read-only file system", "Operation not permitted", "Permission denied"}


async def test_the_queried_data_set_is_not_in_the_sandbox(live):
    async with live.working() as person:
        _, printed = await cell(person, "import os; print(sorted(os.listdir('/data')))")
        status, said = await cell(person, "import datasandbox as ds; ds.load('randhie')")
    assert printed == "['flights']\n"
    assert status == "SandboxError"
    assert "queried_not_available" in said


async def test_a_closed_sandbox_opens_again_with_its_workspace(live):
    async with live.working() as person:
        sandbox = person.sandbox["id"]
        await cell(person, "open('kept.txt', 'w').write('still here')")
        await person.post(f"/sandboxes/{sandbox}/close")

        async def stopped():
            return (await person.get(f"/sandboxes/{sandbox}"))["state"] == "stopped"

        await until(stopped, 30, "the state stopped")
        assert live.containers(sandbox) == []
        try:
            await person.jupyter("GET", "api/kernels")
        except ApiError as error:
            assert error.status in {302, 403, 404, 424, 503}  # noqa: PT017 - any of them: nobody is there
        else:
            raise AssertionError("a closed sandbox answered")
    async with live.working() as person:
        assert person.sandbox["id"] == sandbox
        assert await cell(person, "print(open('kept.txt').read())") == ("ok", "still here\n")
