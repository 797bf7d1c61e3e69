"""The client's own rules: host names, the form, what a message shows, and a kernel's socket that closes."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sandbox.client import ApiError, Client, Kernel, LocalhostResolver, _api_error, _event, _LoginForm, choose_project

FORM = """<form action="/hub/login?next=%2Fx"><input type="hidden" name="_xsrf" value="t&amp;k">
<input name="username" value=""><input name="password" type="password"></form>"""


async def test_every_name_below_localhost_is_this_machine():
    resolver = LocalhostResolver()
    for name in ("localhost", "sandbox.localhost", "researcher.sandbox.localhost"):
        (found,) = await resolver.resolve(name, 8000)
        assert (found["host"], found["port"]) == ("127.0.0.1", 8000)


def test_the_form_gives_its_action_and_hidden_fields():
    form = _LoginForm(FORM)
    assert form.action == "/hub/login?next=%2Fx"
    assert form.fields == {"_xsrf": "t&k", "username": "", "password": ""}
    assert form.alert == ""


def test_the_forms_alert_is_its_text_only():
    assert _LoginForm(f'<p role="alert">no &lt;b&gt;</p>{FORM}<p>else</p>').alert == "no <b>"


@pytest.mark.parametrize(
    ("kind", "content", "shown"),
    [
        ("stream", {"name": "stdout", "text": "a"}, ("stream", "a")),
        ("execute_result", {"data": {"text/plain": "2"}}, ("result", "2\n")),
        ("display_data", {"data": {"image/png": "…"}}, ("display", "\n")),
        ("error", {"traceback": ["x", "y"]}, ("error", "x\ny\n")),
        ("error", {"ename": "E", "evalue": "v"}, ("error", "E: v\n")),
    ],
)
def test_outputs_are_shown_as_text(kind, content, shown):
    event = _event(kind, content, 1.0)
    assert event is not None
    assert (event.kind, event.text, event.at) == (*shown, 1.0)


def test_other_messages_show_nothing():
    assert _event("execute_input", {"code": "1"}, 1.0) is None


def test_an_error_keeps_its_code_field_and_status():
    error = _api_error({"error": {"code": "purpose_missing", "message": "m", "field": "purpose", "params": {"n": 1}}}, b"", 422)
    assert (error.code, error.message, error.status, error.field, error.params) == ("purpose_missing", "m", 422, "purpose", {"n": 1})
    assert _api_error(None, b"<html>", 502).code == "http_error"


class Script:
    """A kernel's end of a WebSocket that plays what a test says for each request."""

    def __init__(self, answers: dict[str, list[tuple[str, dict[str, object]]]]) -> None:
        self.answers, self.close = answers, asyncio.Event()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        closing = asyncio.create_task(self.close.wait())
        while True:
            receiving = asyncio.create_task(socket.receive())
            done, _ = await asyncio.wait({receiving, closing}, return_when=asyncio.FIRST_COMPLETED)
            if closing in done or receiving.result().type is not aiohttp.WSMsgType.TEXT:
                receiving.cancel()
                await socket.close(code=4001)
                return socket
            asked = json.loads(receiving.result().data)
            for kind, content in self.answers[asked["content"]["code"]]:
                await socket.send_json({"header": {"msg_type": kind}, "parent_header": asked["header"], "content": content})


@pytest.fixture
async def script():
    played = Script({
        "ok": [
            ("status", {"execution_state": "busy"}),
            ("stream", {"text": "hi"}),
            ("execute_reply", {"status": "ok"}),
            ("status", {"execution_state": "idle"}),
        ],
        "aborted": [("execute_reply", {"status": "aborted"})],
        "hangs": [("stream", {"text": "on my way"})],
    })  # fmt: skip
    app = web.Application()
    app.router.add_get("/", played.serve)
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession() as http, Kernel(await http.ws_connect(server.make_url("/"), autoping=False), "k") as kernel:
        yield played, kernel
    await server.close()


async def test_a_cell_ends_when_its_reply_and_its_idle_have_come(script):
    _, kernel = script
    events = [event async for event in kernel.run("ok")]
    assert [(event.kind, event.text) for event in events] == [("stream", "hi"), ("done", "")]
    assert events[-1].content == {"status": "ok"}
    assert [event.kind async for event in kernel.run("aborted")] == ["done"]


async def test_a_socket_that_closes_ends_the_cell_with_its_code_and_the_time_of_the_last_byte(script):
    played, kernel = script
    before = kernel.last_byte
    cell = kernel.run("hangs")
    assert (await anext(cell)).text == "on my way"
    played.close.set()
    last = await kernel.wait_closed()
    with pytest.raises(ApiError) as caught:
        await anext(cell)
    assert (caught.value.code, caught.value.status) == ("socket_closed", 4001)
    assert last == kernel.last_byte > before
    with pytest.raises(ApiError):
        await anext(kernel.run("ok"))


class Answers(Client):
    """A client whose portal answers from a dictionary."""

    def __init__(self, found: dict[str, object]) -> None:
        super().__init__("http://sandbox.localhost:8000", "me", "")
        self.found = found

    async def get(self, path: str):
        return self.found[path]


async def test_ones_own_running_sandbox_names_the_project_else_the_newest_does():
    projects = {"items": [{"id": "p2", "created": "2026-02"}, {"id": "p3", "created": "2026-03"}, {"id": "p1", "created": "2026-01"}]}
    other = {"state": "running", "login": "else", "project": "p9"}
    mine = {"state": "running", "login": "me", "project": "p1"}
    assert await choose_project(Answers({"/sandboxes": {"items": [other, mine]}, "/projects": projects})) == "p1"
    assert await choose_project(Answers({"/sandboxes": {"items": [other]}, "/projects": projects})) == "p3"
    with pytest.raises(ApiError) as caught:
        await choose_project(Answers({"/sandboxes": {"items": []}, "/projects": {"items": []}}))
    assert caught.value.code == "project_missing"


async def test_nothing_at_the_address_is_said_plainly(unused_tcp_port):
    with pytest.raises(ApiError) as caught:
        async with Client(f"http://sandbox.localhost:{unused_tcp_port}", "me", "x"):
            pass
    assert caught.value.code == "unreachable"


@pytest.mark.parametrize("call", ["jupyter", "get", "download", "enter"])
async def test_a_connection_that_ends_in_mid_answer_is_told_as_disconnected(call):
    async def cut(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        url = f"http://sandbox.localhost:{server.sockets[0].getsockname()[1]}"
        client = Client(url, "researcher", "x")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=LocalhostResolver())) as client.http:
            client.sandbox = {"url": f"{url}/"}
            act = {
                "jupyter": lambda: client.jupyter("GET", "api/kernels"),
                "get": lambda: client.get("/me"),
                "download": lambda: client.download("/exports/1/download"),
                "enter": lambda: client.enter({"url": f"{url}/"}),
            }[call]
            with pytest.raises(ApiError) as refused:
                await act()
            assert refused.value.code == "disconnected"
