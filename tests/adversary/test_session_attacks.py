"""Attacks on the session, each by its id: against the guard on its real parts, and the twin against a plain Jupyter server or with the control off."""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from sandbox.guard.messages import V1
from tests.guard.conftest import Client
from tests.guard.stack import PREFIX, ROOT, Stack, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHROMIUM = "/usr/bin/chromium"


def settings_with(folder, code):
    """The session's settings with a control changed: what a twin runs with."""
    config = folder / "config.py"
    config.write_text((ROOT / "images/session/jupyter_server_config.py").read_text() + "\n" + code)
    return config


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session():
    async with Stack() as stack:
        stack.kernel = await stack.start_kernel()
        yield stack


@pytest_asyncio.fixture(loop_scope="module", params=[V1, None], ids=["v1", "default"])
async def client(session, request):
    async with session.connect(session.kernel, request.param) as ws:
        yield Client(ws, request.param)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain(tmp_path_factory):
    """A stock Jupyter server, as a notebook without a guard is."""
    home = tmp_path_factory.mktemp("plain")
    (home / "data.bin").write_bytes(b"\0secret" * 1000)
    (home / "n.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    port = free_port()
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "LANG": "C.UTF-8",
    }
    options = (
        "--allow-root",
        "--no-browser",
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.allow_origin=*",
    )
    with (home / "log").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jupyterlab", f"--port={port}", *options), cwd=home, env=env, stdout=said, stderr=said
        )
        url = f"http://127.0.0.1:{port}/"
        try:
            async with aiohttp.ClientSession() as http, asyncio.timeout(60):
                while True:
                    with contextlib.suppress(aiohttp.ClientError):
                        async with http.get(f"{url}api") as answer:
                            if answer.status == 200:
                                break
                    await asyncio.sleep(0.1)
            async with aiohttp.ClientSession() as http:
                async with http.post(f"{url}api/kernels", json={"name": "python3"}) as answer:
                    kernel = (await answer.json())["id"]
                yield SimpleNamespace(url=url, http=http, kernel=kernel, home=home, port=port)
        finally:
            process.terminate()
            await process.wait()


REQUESTS = [
    ("W1", "POST", "api/terminals", {}),
    ("W2", "GET", "files/data.bin", None),
    ("W3", "GET", "nbconvert/script/n.ipynb", None),
    ("W4", "PUT", "api/config/notebook", {"a": 1}),
    ("W4", "PUT", "lab/api/settings/@jupyterlab/apputils-extension:themes", {"raw": "{}"}),
    ("W11", "GET", "api/contents/data.bin?type=file&format=base64&content=1", None),
]


@pytest.mark.parametrize("attack", REQUESTS, ids=[f"{r[0]}-{r[2][:24]}" for r in REQUESTS])
async def test_w1_w2_w3_w4_w11_what_is_not_offered_is_refused(session, plain, attack):
    number, method, path, body = attack
    (session.root / "home/data.bin").write_bytes(b"\0secret" * 1000)
    status, answer = await session.call(method, path, body)
    code = answer.get("reason") or answer["error"]["code"]
    assert (status, code) == ((400, "file_not_text") if number == "W11" else (403, "path_refused")), answer
    if number == "W11":
        assert "ds.export" in answer["message"]
    async with plain.http.request(method, plain.url + path, json=body) as twin:
        assert twin.status in {200, 201, 204}, f"twin: {await twin.text()}"


async def test_w5_a_kernelspec_of_ones_own_is_not_found(session, plain):
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "mine", "language": "python"}
    for home in (session.root / "home", session.root / "session", plain.home):
        folder = home / ".local/share/jupyter/kernels/mine"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kernel.json").write_text(json.dumps(spec))
    assert set((await session.get("api/kernelspecs"))[1]["kernelspecs"]) == {"python3"}
    status, answer = await session.call("POST", "api/kernels", {"name": "mine"})
    assert (status, answer["reason"]) == (400, "kernel_unknown")
    async with plain.http.post(f"{plain.url}api/kernels", json={"name": "mine"}) as twin:
        assert twin.status == 201


async def raw(host, target):
    """Ask for a path as it is written, because a client would tidy it; return the status and the body."""
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: token own-token\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]) if head else 0, body


@pytest.mark.parametrize(
    "path",
    ["files/%64ata.bin", "%66iles/data.bin", "/files/data.bin", ";/files/data.bin", "static/../files/data.bin", "lab/..%2ffiles/data.bin"],
)
async def test_w6_no_spelling_of_a_path_gets_through(session, plain, path):
    (session.root / "home/data.bin").write_bytes(b"\0secret" * 1000)
    for target in (PREFIX + path, f"http://{session.host}{PREFIX}{path}"):
        status, body = await raw(session.host, target)
        assert b"secret" not in body
        # What follows `lab/` is the lab's own page, which then asks for what it opens.
        assert status in {400, 403, 404} or (path.startswith("lab/") and b"jupyter-config-data" in body)
    status, body = await raw(f"127.0.0.1:{plain.port}", "/files/%64ata.bin")  # twin
    assert (status, b"secret" in body) == (200, True)


async def test_w7_fragments_and_compression(session, client):
    """A message in fragments is one message, on record; compression is not spoken, so nothing can be a bomb."""
    made = {
        "header": {"msg_id": f"frag{client.protocol}"[:12], "msg_type": "execute_request"},
        "content": {"code": "6*7"},
        "channel": "shell",
    }
    if client.protocol is None:
        text = json.dumps(made).encode()
        socket_ = client.ws._response.connection.transport

        def fragment(first, data, *, last):
            mask = b"\0\0\0\0"
            return bytes([(0x80 if last else 0) | (1 if first else 0), 0x80 | 126]) + len(data).to_bytes(2, "big") + mask + data

        socket_.write(fragment(True, text[:40], last=False) + fragment(False, text[40:], last=True))
        found = await client.collect(made["header"]["msg_id"])
        assert any(frame.content.get("data", {}).get("text/plain") == "42" for frame in found)
        sent = await session.entry("cell.sent", lambda leaf: leaf["data"]["msg_id"] == made["header"]["msg_id"])
        assert session.log.blob(sent["blobs"][0]["digest"]) == b"6*7"
    async with session.connect(session.kernel, client.protocol, compress=15) as ws:
        assert ws.compress == 0


async def test_w8_w10_messages_that_run_code_aside_are_refused(session, client, plain):
    for kind, channel, content in (
        ("debug_request", "control", {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}}),
        ("comm_open", "shell", {"comm_id": "c", "target_name": "t", "data": {}}),
        ("comm_msg", "shell", {"comm_id": "c", "data": {}}),
    ):
        number = await client.send(kind, content, channel)
        denied = await session.entry("message.denied", lambda leaf, number=number: leaf["data"]["msg_id"] == number)
        assert (denied["data"]["code"], denied["data"]["type"]) == ("message_type_refused", kind)
    protocols = (client.protocol,) if client.protocol else ()
    async with plain.http.ws_connect(f"{plain.url}api/kernels/{plain.kernel}/channels?session_id=t", protocols=protocols) as ws:
        twin = Client(ws, client.protocol)
        number = await twin.send("comm_msg", {"comm_id": "c", "data": {}})
        async with asyncio.timeout(20):
            while (await twin.receive()).parent.get("msg_id") != number:  # the kernel took it
                pass


async def test_w9_expressions_with_empty_code_are_on_record(session, client, plain):
    asked = {"code": "", "silent": True, "user_expressions": {"x": "6*7"}}
    number = await client.send("execute_request", asked)
    reply = next(frame for frame in await client.collect(number) if frame.header["msg_type"] == "execute_reply")
    assert reply.content["user_expressions"]["x"]["data"]["text/plain"] == "42"
    sent = await session.entry("cell.sent", lambda leaf: leaf["data"]["msg_id"] == number)
    assert any(b"6*7" in session.log.blob(blob["digest"]) for blob in sent["blobs"])
    number = await client.send("execute_request", asked | {"allow_stdin": "print('unrecorded')"})
    assert (await session.entry("cell.denied", lambda leaf: leaf["data"]["msg_id"] == number))["data"]["code"] == "message_malformed"
    protocols = (client.protocol,) if client.protocol else ()
    async with plain.http.ws_connect(f"{plain.url}api/kernels/{plain.kernel}/channels?session_id=t9", protocols=protocols) as ws:
        twin = Client(ws, client.protocol)
        number = await twin.send("execute_request", asked | {"allow_stdin": "print('unrecorded')"})
        async with asyncio.timeout(20):
            while (await twin.receive()).parent.get("msg_id") != number:  # the kernel took it, and nobody wrote it down
                pass


async def test_d7_a_browser_that_does_not_read_is_let_go(tmp_path):
    flood = "for _ in range(4): print('x' * 100_000, flush=True)"
    patch = """
import socket
from sandbox.guard import channels
channels.UNREAD = {0}
begin = channels.SandboxConnection.connect
def connect(self):
    self.websocket_handler.ws_connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    return begin(self)
channels.SandboxConnection.connect = connect
"""
    for limit, closed in ((200_000, True), (1 << 40, False)):
        async with Stack(config=settings_with(tmp_path, patch.format(limit))) as stack:
            kernel = await stack.start_kernel()
            async with stack.connect(kernel) as ws:
                transport = ws._response.connection.transport
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
                transport.pause_reading()
                for _ in range(15):
                    await Client(ws, V1).send("execute_request", {"code": flood, "silent": False})
                unread = stack.entry("connection.unread", seconds=12)
                if closed:
                    assert (await unread)["data"]["kernel"] == kernel
                else:
                    with pytest.raises(TimeoutError):
                        await unread
            assert (await stack.get("api/kernels"))[0] == 200


async def closed_by_frame(stack, kernel, protocol, size):
    """Send a cell of `size` bytes, then a small one; whether the socket ended instead of answering the small one."""
    async with stack.connect(kernel, protocol) as ws:
        client = Client(ws, protocol)
        try:
            await client.send("execute_request", {"code": "#" + "x" * size, "silent": True})
            return (await client.run("1+2"))[1] != "3"
        except (aiohttp.ClientError, ConnectionError):
            return True
        except AssertionError:  # the helper's, about what came in the place of a message
            return ws.closed


async def test_d8_a_giant_frame_ends_its_connection_only(session, client, tmp_path):
    assert await closed_by_frame(session, session.kernel, client.protocol, 5 << 20)
    assert (await client.run("1+2"))[1] == "3"
    async with Stack(config=settings_with(tmp_path, 'c.ServerApp.tornado_settings["websocket_max_message_size"] = 1 << 26')) as twin:
        assert not await closed_by_frame(twin, await twin.start_kernel(), client.protocol, 5 << 20)


async def ends(ws, seconds=3):
    """The code with which a socket is closed within `seconds`, or None."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (message := await ws.receive()).type not in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}:
                pass
            return message.data
    return None


async def test_d8_sockets_are_counted(tmp_path):
    patch = "from sandbox.guard import channels, signedin\nchannels.CONNECTIONS = signedin.LISTENERS = {0}"
    for limit, code in ((2, 1013), (3, None)):
        async with Stack(config=settings_with(tmp_path, patch.format(limit))) as stack, contextlib.AsyncExitStack() as held:
            kernel = await stack.start_kernel()
            for _ in range(2):
                kept = await held.enter_async_context(stack.connect(kernel))
                await held.enter_async_context(stack.http.ws_connect(f"{stack.url}api/events/subscribe"))
            more = await held.enter_async_context(stack.connect(kernel))
            events = await held.enter_async_context(stack.http.ws_connect(f"{stack.url}api/events/subscribe"))
            assert (await ends(more), await ends(events)) == (code, code)
            assert (await Client(kept, V1).run("1+2"))[1] == "3"


async def test_d8_connections_are_counted(tmp_path):
    for limit in (6, 256):
        config = settings_with(tmp_path, f"from sandbox.guard import intake\nintake.CONNECTIONS = {limit}")
        async with Stack(config=config) as stack:
            opened = [await asyncio.open_connection(*stack.host.split(":")) for _ in range(12)]
            answered = 0
            for reader, writer in opened:
                with contextlib.suppress(ConnectionError):
                    writer.write(f"GET {PREFIX}api HTTP/1.1\r\nHost: {stack.host}\r\n\r\n".encode())
                    answered += (await reader.read(12)).startswith(b"HTTP/1.1 200")
            for _, writer in opened:
                writer.close()
            assert 0 < answered <= 6 if limit == 6 else answered == 12


async def test_d8_frames_that_wait_are_counted_over_all_sockets(tmp_path):
    """The log holds its answer, so frames wait: two sockets are over the bound together."""
    for limit, code in ((700_000, 1008), (1 << 30, None)):
        config = settings_with(tmp_path, f"from sandbox.guard import channels\nchannels.WAITING_BYTES = {limit}")
        async with Stack(config=config) as stack:
            kernel = await stack.start_kernel()
            async with stack.connect(kernel) as first, stack.connect(kernel) as second:
                stack.log_gate.clear()
                for ws in (first, second):
                    for _ in range(3):
                        await Client(ws, V1).send("execute_request", {"code": "#" + "x" * 200_000, "silent": False})
                    await asyncio.sleep(0.3)
                assert await ends(second) == code
                assert await ends(first, 0.5) is None
                stack.log_gate.set()


async def test_nothing_may_be_said_on_the_event_socket(session):
    async with session.http.ws_connect(f"{session.url}api/events/subscribe") as ws:
        await ws.send_str("{}")
        assert await ends(ws) == 1008
    async with session.http.ws_connect(f"{session.url}api/events/subscribe") as ws:
        assert await ends(ws, 1) is None  # twin: silent, it stays


async def slow_body(stack, seconds):
    """Begin a body and never end it; whether the server closed within `seconds`."""
    reader, writer = await asyncio.open_connection(*stack.host.split(":"))
    head = f"PUT {PREFIX}api/contents/slow.txt HTTP/1.1\r\nHost: {stack.host}\r\nAuthorization: token own-token\r\nContent-Length: 1000\r\n\r\n"
    writer.write(head.encode() + b"{")
    try:
        async with asyncio.timeout(seconds):
            return await reader.read() is not None
    except TimeoutError:
        return False
    finally:
        writer.close()


async def test_d8_a_slow_body_and_too_many_bytes_at_once_are_dropped(tmp_path):
    patch = "from sandbox.guard import intake\nintake.BODY_SECONDS = {0}\nintake.BODIES = 100_000"
    async with Stack(config=settings_with(tmp_path, patch.format(0.5))) as stack:
        assert await slow_body(stack, 10)
        with pytest.raises(aiohttp.ClientError):
            await stack.call("PUT", "api/contents/a.txt", {"type": "file", "format": "text", "content": "x" * 200_000})
        assert (await stack.call("PUT", "api/contents/a.txt", {"type": "file", "format": "text", "content": "x"}))[0] == 201
    async with Stack(
        config=settings_with(tmp_path, "from sandbox.guard.intake import Intake\nIntake.install = classmethod(lambda cls, server: None)")
    ) as twin:
        assert not await slow_body(twin, 3)
        assert (await twin.call("PUT", "api/contents/a.txt", {"type": "file", "format": "text", "content": "x" * 200_000}))[0] == 201


HTML = """<img src="x" onerror="window.pwned='onerror'"><script>window.pwned='script'</script>
<iframe srcdoc="<script>parent.pwned='iframe'</script>"></iframe><a id="bad" href="javascript:window.pwned='link'">x</a>
<svg onload="window.pwned='svg'"></svg><form id="f" action="http://127.0.0.1:9/" method="post"><button id="send">x</button></form>"""
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": 1,
            "id": "a1",
            "metadata": {"trusted": True},
            "source": "1",
            "outputs": [
                {"output_type": "display_data", "metadata": {}, "data": {kind: text}}
                for kind, text in (("text/html", HTML), ("application/javascript", "window.pwned='javascript'"))
            ],
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


async def rendered(stack):
    """Open a trusted notebook with such outputs in Chromium; what ran of it, and whether a service worker could be installed."""
    status, _ = await stack.call("PUT", "api/contents/evil.ipynb", {"type": "notebook", "format": "json", "content": NOTEBOOK})
    assert status == 201
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"])
        context = await browser.new_context(extra_http_headers={"Authorization": "token own-token"})
        page = await context.new_page()
        await page.goto(stack.url + "lab/tree/evil.ipynb")
        await page.wait_for_selector("#bad", timeout=60_000, state="attached")
        await page.wait_for_timeout(1500)
        with contextlib.suppress(Exception):
            await page.evaluate("document.getElementById('bad').click()")
        worker = "navigator.serviceWorker.register('./sandbox/script.js').then(() => 'installed', e => e.message)"
        found = await page.evaluate("window.pwned"), await page.evaluate(worker.replace("./", PREFIX))
        await browser.close()
        return found


async def test_w13_w14_scripts_in_outputs_do_not_run_and_no_worker_is_installed(session, tmp_path):
    ran, worker = await rendered(session)
    assert ran is None
    assert "bad HTTP response code (403)" in worker
    assert (await session.get("sandbox/script.js", headers={"Service-Worker": "script"}))[0] == 403
    leaf = await session.entry("request.refused", lambda leaf: leaf["data"]["path"].endswith("sandbox/script.js"))
    assert leaf["data"]["code"] == "path_refused"
    off = "from sandbox.guard import app, authorizer\napp.content_security_policy = lambda page: ''\nauthorizer.ServiceWorker.match = lambda self, request: None"
    async with Stack(config=settings_with(tmp_path, off)) as twin:
        ran, worker = await rendered(twin)
        assert ran is not None
        assert "403" not in worker  # the browser got the script and ran it
        assert (await twin.get("sandbox/script.js", headers={"Service-Worker": "script"}))[0] == 200


async def test_w15_a_foreign_page_opens_no_socket_and_writes_nothing(session, plain):
    """With a cookie only our own page may write; the token in a header, which no page can add, is taken off here by a basic scheme."""
    foreign = {"Origin": "http://evil.example", "Authorization": "Basic eDp5"}
    async with aiohttp.ClientSession(headers=foreign) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{session.url}api/kernels/{session.kernel}/channels")
        assert refused.value.status == 403
        async with http.ws_connect(f"{plain.url}api/kernels/{plain.kernel}/channels") as twin:
            assert not twin.closed


async def test_w16_a_supervisor_that_lies_about_names_and_sizes_ends_in_bounds(session):
    from sandbox.guard.contents import model_of, stripped  # noqa: PLC0415 - pure rules

    lie = {"name": "a", "type": "file", "size": "huge", "modified": "never", "created": 1e300, "writable": "yes"}
    model = model_of("a", lie)
    assert (model["size"], model["last_modified"].year) == (0, 1970)
    assert stripped(b'{"cells": ' + b"[" * 100_000) is None
    folder = session.root / "home/names"
    folder.mkdir()
    (folder / "<img src=x onerror=alert(1)>.txt").touch()
    (folder / "bad\x1b[31m.txt").touch()
    names = [item["name"] for item in (await session.get("api/contents/names"))[1]["content"]]
    assert names == ["<img src=x onerror=alert(1)>.txt"]  # text for the page, never a control character


async def test_w17_x1_x3_another_persons_token_reaches_nothing_and_is_named(session):
    for kwargs, code in (({"headers": {"Authorization": "token other-token"}}, 403), ({"headers": {"Authorization": ""}}, 403)):
        assert (await session.get("api/kernels", **kwargs))[0] == code
    leaf = await session.entry("request.refused", lambda leaf: leaf["actor"].get("login") == "somebody")
    assert leaf["data"]["code"] == "not_signed_in"
    await session.entry("request.refused", lambda leaf: leaf["actor"]["type"] == "anonymous")
    async with aiohttp.ClientSession() as http, http.get(f"{session.url}api/kernels?token=own-token") as answer:
        assert answer.status == 403
    assert (await session.get("api/kernels"))[0] == 200  # twin: the right token in a header


async def test_x2_x4_sockets_end_when_the_hub_no_longer_knows_their_person(tmp_path):
    known = "from sandbox.guard import signedin\nsignedin.AGAIN = {0}\nc.HubAuth.cache_max_age = c.HubOAuth.cache_max_age = 1"
    for again, closes in ((0.3, True), (3600, False)):
        async with Stack(config=settings_with(tmp_path, known.format(again))) as stack:
            kernel = await stack.start_kernel()
            events = await stack.http.ws_connect(f"{stack.url}api/events/subscribe")
            async with stack.connect(kernel) as ws:
                await Client(ws, V1).run("1")
                stack.signed_out = True
                if closes:
                    async with asyncio.timeout(10):
                        while (message := await ws.receive()).type is not aiohttp.WSMsgType.CLOSE:
                            pass
                    assert (message.data, message.extra) == (4401, "logged_out")
                    assert (await events.receive(timeout=10)).data == 4401
                    await stack.entry("session.signed_out")
                    assert (await stack.get("api/kernels"))[0] == 403
                else:
                    with pytest.raises(TimeoutError):
                        await events.receive(timeout=2)
            await events.close()


async def test_x5_a_scope_that_was_not_granted_opens_nothing(session):
    """A token of the same person without this server's scope: the name is right, the right is missing."""
    assert (await session.get("api/kernels", headers={"Authorization": "token no-scope"}))[0] == 403
    await session.entry("request.refused", lambda leaf: leaf["actor"].get("login") == "researcher")


async def test_uploads_in_parts_are_on_record_and_notebooks_without_their_outputs(session):
    parts = [os.urandom(300_000) for _ in range(3)]
    for number, data in zip((1, 2, -1), parts, strict=True):
        body = {
            "type": "file",
            "format": "base64",
            "chunk": number,
            "content": base64.b64encode(data).decode(),
            "name": "up.bin",
            "path": "up.bin",
        }
        status, answer = await session.call("PUT", "api/contents/up.bin", body)
        assert status in {200, 201}, answer
    whole = b"".join(parts)
    assert (session.root / "home/up.bin").read_bytes() == whole
    leaf = await session.entry("file.saved", lambda leaf: leaf["data"]["path"] == "up.bin")
    assert leaf["data"]["whole"] == {"size": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
    status, answer = await session.call("PUT", "api/contents/up.bin", body | {"chunk": 7})
    assert (status, answer["reason"]) == (409, "upload_out_of_order")
    content = json.loads(json.dumps(NOTEBOOK).replace("window.pwned", "shown_secret"))
    assert (await session.call("PUT", "api/contents/s.ipynb", {"type": "notebook", "format": "json", "content": content}))[0] == 201
    leaf = await session.entry("file.saved", lambda leaf: leaf["data"]["path"] == "s.ipynb")
    kept = session.log.blob(leaf["blobs"][0]["digest"])
    assert b"shown_secret" not in kept
    assert json.loads(kept)["cells"][0]["source"] == "1"
    assert leaf["data"]["sha256"] == hashlib.sha256((session.root / "home/s.ipynb").read_bytes()).hexdigest()
