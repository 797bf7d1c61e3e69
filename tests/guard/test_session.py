"""The session end to end on its real parts: what is recorded before it is delivered, what is refused, what a cut does."""

import asyncio
import hashlib
import json
import time
from types import SimpleNamespace

import aiohttp
import duckdb
import pytest

from sandbox.guard.authorizer import SandboxAuthorizer
from sandbox.guard.messages import V1
from tests.guard.conftest import Client
from tests.guard.stack import ROOT, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_cell_runs_in_both_encodings_and_is_on_record(client, stack):
    reply, text, number = await client.run("1+1")
    assert (reply["status"], text) == ("ok", "2")
    sent = await stack.entry("cell.sent", lambda leaf: leaf["data"]["msg_id"] == number)
    assert stack.log.blob(sent["blobs"][0]["digest"]) == b"1+1"
    closed = await stack.entry("cell.closed", lambda leaf: leaf["data"]["msg_id"] == number)
    assert closed["data"]["status"] == "ok"
    assert closed["data"]["shown_bytes"] > 0


async def test_nothing_reaches_the_kernel_before_it_is_on_record(client, stack):
    marker = stack.root / "home" / "marker"
    marker.unlink(missing_ok=True)
    stack.held.clear()
    stack.log_gate.clear()
    number = await client.send("execute_request", {"code": "open('marker','w').close()", "silent": False})
    await stack.held.wait()  # the log has the entry in its hands and does not answer
    with pytest.raises(TimeoutError):  # noqa: PT012 - other messages may come meanwhile
        while True:
            frame = await client.receive(seconds=0.5)
            assert frame.parent.get("msg_id") != number
    assert not marker.exists()
    stack.log_gate.set()
    await client.collect(number)
    assert marker.exists()


async def test_without_the_log_a_cell_is_refused_and_the_kernel_survives(one, stack):
    await one.run("kept = 41")
    stack.log_down = True
    reply, text, number = await one.run("kept = 0")
    assert (reply["status"], reply["ename"]) == ("error", "log_unavailable")
    assert "审计日志" in text
    stack.log_down = False
    assert (await one.run("kept + 1"))[1] == "42"
    closed = await stack.entry("cell.closed", lambda leaf: leaf["data"]["msg_id"] == number)
    assert closed["data"]["status"] == "not_delivered"


@pytest.mark.parametrize(("attribute", "value", "code"), [("policy_down", True, "policy_unavailable"), ("allow", False, "policy_says_no")])
async def test_without_a_yes_of_policy_a_cell_is_refused_and_recorded(one, stack, attribute, value, code):
    setattr(stack, attribute, value)
    reply, _, number = await one.run("1+1")
    assert reply["ename"] == code
    denied = await stack.entry("cell.denied", lambda leaf: leaf["data"]["msg_id"] == number)
    assert denied["data"]["code"] == code


async def test_a_cell_over_the_size_of_policy_is_refused(one):
    assert (await one.run("#" * (1 << 20)))[0]["ename"] == "message_too_large"


async def test_a_debugger_message_is_refused_and_recorded(client, stack):
    number = await client.send("debug_request", {"command": "evaluate"}, channel="control")
    found = await client.collect(number, "debug_reply")
    assert found[1].content["ename"] == "message_type_refused"
    assert (await stack.entry("message.denied", lambda leaf: leaf["data"]["msg_id"] == number))["data"]["type"] == "debug_request"


async def test_a_malformed_frame_is_recorded_and_the_connection_goes_on(client, stack):
    await client.ws.send_bytes(b"\xff" * 40)
    await stack.entry("message.denied", lambda leaf: leaf["data"].get("sha256") == hashlib.sha256(b"\xff" * 40).hexdigest())
    assert (await client.run("2+2"))[1] == "4"


async def test_output_over_the_allowance_is_replaced_by_a_notice(client, stack):
    reply, text, number = await client.run("for _ in range(20): print('x' * 50_000, flush=True)")
    assert reply["status"] == "ok"
    assert "显示上限" in text
    assert len(text) < 300_000
    closed = await stack.entry("cell.closed", lambda leaf: leaf["data"]["msg_id"] == number)
    assert closed["data"]["withheld_bytes"] > 700_000
    assert (await client.run("3+3"))[1] == "6"


async def test_other_requests_are_answered_and_recorded(one, stack):
    number = await one.send("complete_request", {"code": "pri", "cursor_pos": 3})
    found = await one.collect(number, "complete_reply")
    assert "print" in found[-2].content.get("matches", []) + found[-1].content.get("matches", [])
    await stack.entry("message.sent", lambda leaf: leaf["data"]["msg_id"] == number)


async def test_garbage_on_iopub_does_not_end_the_session(one):
    code = "import zmq; s = get_ipython().kernel.iopub_socket; [s.send_multipart([b'x', b'<IDS|MSG>', b'', b'{', b'[]', b'', b'']) for _ in range(3)]"
    await one.run(code)
    assert (await one.run("5+5"))[1] == "10"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "files/欢迎.ipynb"),
        ("GET", "api/terminals"),
        ("POST", "api/terminals"),
        ("GET", "terminals/websocket/1"),
        ("GET", "nbconvert/html/欢迎.ipynb"),
        ("GET", "api/nbconvert"),
        ("GET", "view/欢迎.ipynb"),
        ("GET", "metrics"),
        ("GET", "api/config/notebook"),
        ("PUT", "lab/api/settings/@jupyterlab/notebook-extension:tracker"),
        ("PUT", "lab/api/workspaces/default"),
        ("PATCH", "api/me"),
        ("GET", "lsp/status"),
        ("POST", "api/shutdown"),
        ("POST", "api/events"),
        ("GET", "api/security/csp-report"),
        ("GET", "invented"),
        ("POST", "lab/api/build"),
        ("GET", "api/contents/%2e%2e/x"),
    ],
)
async def test_what_is_not_listed_is_refused(stack, method, path):
    status, answer = await stack.call(method, path, {} if method != "GET" else None)
    assert status in {400, 403, 404}, answer
    assert status != 404 or "%2e" in path


async def test_a_refused_request_is_on_record_with_its_path(stack):
    async with Stack() as fresh:  # its own allowance of refusals
        assert (await fresh.get("files/secret.csv"))[0] == 403
        leaf = await fresh.entry("request.refused", lambda leaf: leaf["data"]["path"].endswith("files/secret.csv"))
        assert leaf["data"]["code"] == "path_refused"
        assert (await fresh.get("api/kernels", headers={"Authorization": "token other-token"}))[0] == 403
        await fresh.entry("request.refused", lambda leaf: leaf["data"]["code"] == "not_signed_in")


async def test_a_stranger_gets_nothing(stack):
    async with aiohttp.ClientSession(headers={"Authorization": "token other-token"}) as http:
        for path in ("api/kernels", "api/contents", f"api/kernels/{stack.kernel}/channels"):
            async with http.get(stack.url + path, allow_redirects=False) as answer:
                assert answer.status in {302, 403}
    async with aiohttp.ClientSession() as http, http.get(stack.url + "api/kernels?token=own-token") as answer:
        assert answer.status == 403


async def test_the_lab_page_allows_only_its_own_scripts(stack):
    async with stack.http.get(stack.url + "lab") as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.status == 200
    assert "script-src 'self' 'sha256-" in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]


async def test_files_are_recorded_before_they_are_written_and_links_stay_inside(stack):
    body = {"type": "file", "format": "text", "content": "甲,乙\n1,2\n"}
    status, model = await stack.call("PUT", "api/contents/表.csv", body)
    assert (status, model["size"]) == (201, len(body["content"].encode()))
    leaf = await stack.entry("file.saved", lambda leaf: leaf["data"]["path"] == "表.csv")
    assert stack.log.blob(leaf["blobs"][0]["digest"]) == body["content"].encode()
    assert (await stack.get("api/contents/表.csv?hash=1"))[1]["hash"] == hashlib.sha256(body["content"].encode()).hexdigest()
    await stack.entry("file.read", lambda leaf: leaf["data"]["path"] == "表.csv")
    stack.log_down = True
    status, answer = await stack.call("PUT", "api/contents/表.csv", body | {"content": "neu"})
    assert (status, answer["reason"]) == (503, "log_unavailable")
    stack.log_down = False
    assert (stack.root / "home/表.csv").read_text() == body["content"]
    (stack.root / "session/secret").write_text("of the session")
    assert (await stack.get("api/contents/../session/secret"))[0] in {400, 403, 404}
    assert (await stack.call("DELETE", "api/contents/表.csv"))[0] == 204


async def test_a_notebook_opens_saves_checkpoints_and_renames(stack):
    status, model = await stack.get("api/contents/欢迎.ipynb?type=notebook&content=1")
    assert (status, model["type"]) == (200, "notebook")
    status, saved = await stack.call("PUT", "api/contents/欢迎.ipynb", {"type": "notebook", "format": "json", "content": model["content"]})
    assert status == 200, saved
    assert (await stack.call("POST", "api/contents/欢迎.ipynb/checkpoints"))[0] == 201
    assert (await stack.call("PATCH", "api/contents/欢迎.ipynb", {"path": "b.ipynb"}))[0] == 200
    assert (await stack.call("PATCH", "api/contents/b.ipynb", {"path": "欢迎.ipynb"}))[0] == 200
    assert [item["name"] for item in (await stack.get("api/contents"))[1]["content"]].count("欢迎.ipynb") == 1


async def test_a_large_file_cannot_be_read_through_the_browser(stack):
    (stack.root / "home/big.csv").write_bytes(b"1,2\n" * 300_000)
    status, answer = await stack.get("api/contents/big.csv?type=file&content=1")
    assert (status, answer["reason"]) == (413, "workspace_too_large")


async def test_a_kernel_restarts_is_interrupted_and_comes_back_and_leaves_no_socket(stack):
    before = {path.name for path in (stack.root / "sock").iterdir()}
    kernel = await stack.start_kernel()
    async with stack.connect(kernel) as ws:
        client = Client(ws, V1)
        await client.run("gone = 1")
        number = await client.send("execute_request", {"code": "print('on', flush=True)\nwhile True: pass", "silent": False})
        while (await client.receive()).content.get("text") != "on\n":
            pass
        assert (await stack.call("POST", f"api/kernels/{kernel}/interrupt"))[0] == 204
        assert (
            next(f for f in await client.collect(number) if f.header["msg_type"] == "execute_reply").content["ename"] == "KeyboardInterrupt"
        )
        assert (await stack.call("POST", f"api/kernels/{kernel}/restart"))[0] == 200
        while (message := await ws.receive(timeout=10)).type is not aiohttp.WSMsgType.CLOSE:
            pass
        assert message.data == 1012
    async with stack.connect(kernel) as ws:
        assert (await Client(ws, V1).run("gone"))[0]["ename"] == "NameError"
    assert (await stack.get(f"api/kernels/{kernel}"))[1]["execution_state"] == "idle"
    for kind in ("kernel.start", "kernel.interrupt", "kernel.restart"):
        await stack.entry(kind, lambda leaf: leaf["data"]["kernel"] == kernel)
    assert (await stack.call("DELETE", f"api/kernels/{kernel}"))[0] == 204
    assert {path.name for path in (stack.root / "sock").iterdir()} == before


async def test_a_kernel_that_dies_is_started_anew_and_the_browser_told(stack):
    kernel = await stack.start_kernel()
    async with stack.connect(kernel) as ws:
        await Client(ws, V1).send("execute_request", {"code": "import os; os._exit(3)", "silent": False})
        while (message := await ws.receive(timeout=20)).type is not aiohttp.WSMsgType.CLOSE:
            pass
        assert message.data == 1012
    await stack.entry("kernel.died", lambda leaf: leaf["data"]["kernel"] == kernel)
    async with stack.connect(kernel) as ws:
        assert (await Client(ws, V1).run("6+6"))[1] == "12"
    await stack.call("DELETE", f"api/kernels/{kernel}")


async def test_the_door_tells_decides_and_records(stack, door):
    info = (await door(verb="info"))["result"]
    assert [item["dataset"] for item in info["agreements"]] == ["flights", "randhie"]
    answer = await door(verb="query", sql="SELECT 1 FROM flights", datasets=["flights"])
    assert answer["result"]["paths"] == {"flights": "/data/flights/data.parquet"}
    leaf = await stack.entry("query.sent", lambda leaf: leaf["data"]["query"] == answer["result"]["query"])
    assert stack.log.blob(leaf["blobs"][0]["digest"]) == b"SELECT 1 FROM flights"
    assert (await door(verb="query_done", query=answer["result"]["query"], status="ok", rows=1, columns=1))["ok"]
    await stack.entry("query.closed", lambda leaf: leaf["data"]["query"] == answer["result"]["query"])


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"verb": "query", "sql": "SELECT 1 FROM randhie", "datasets": ["randhie"]}, "queried_not_available"),
        ({"verb": "query", "sql": "SELECT 1 FROM other", "datasets": ["other"]}, "dataset_not_agreed"),
        ({"verb": "query", "sql": " ", "datasets": []}, "query_empty"),
        ({"verb": "query", "sql": "SELECT 1", "datasets": "flights"}, "door_bad_request"),
        ({"verb": "query_done", "query": "invented"}, "door_bad_request"),
        ({"verb": "invented"}, "door_bad_request"),
        ({"verb": "export", "files": []}, "export_files"),
        ({"verb": "export", "files": [{"name": "../a", "size": 1, "sha256": "0" * 64}]}, "export_files"),
        ({"verb": "export", "files": [{"name": "a", "size": 1 << 30, "sha256": "0" * 64}]}, "export_file_too_large"),
        ({"verb": "export", "files": [{"name": "a", "size": 1, "sha256": "0" * 64}], "title": "t"}, "export_text_missing"),
    ],
)
async def test_the_door_refuses_with_a_code(door, request_, code):
    answer = await door(**request_)
    assert (answer["ok"], answer["error"]["code"]) == (False, code)
    assert answer["error"]["message"] != code


async def test_a_query_is_not_answered_without_the_log(stack, door):
    stack.log_down = True
    assert (await door(verb="query", sql="SELECT 1 FROM flights", datasets=["flights"]))["error"]["code"] == "log_unavailable"


async def test_an_export_streams_to_the_portal_and_comes_back_with_findings(stack, door):
    data = b"a,n\nx,3\n" * 20_000
    files = [{"name": "a.csv", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}]
    answer = await door(data, verb="export", title="标题", context="说明", files=files)
    assert answer["result"]["findings"][0]["code"] == "small_cell"
    assert stack.exports[-1]["files"] == {0: data}
    assert (await stack.entry("export.requested"))["data"]["files"] == files
    changed = await door(data, verb="export", title="标题", context="说明", files=[files[0] | {"sha256": "0" * 64}])
    assert changed["error"]["code"] == "export_file_changed"


async def test_the_client_package_works_in_the_kernel(one, stack):
    folder = stack.root / "data/flights"
    folder.mkdir(parents=True)
    duckdb.sql("SELECT * FROM (VALUES (1), (2), (2)) t(month)").write_parquet(str(folder / "data.parquet"))
    reply, text, _ = await one.run(
        "import datasandbox as ds\nprint(ds.sql('SELECT month, count(*) AS n FROM flights GROUP BY 1 ORDER BY 1').values.tolist())"
    )
    assert (reply["status"], text.strip()) == ("ok", "[[1, 1], [2, 2]]")
    assert (await one.run("print(ds.load('flights', columns=['month'], limit=2).shape)"))[1].strip() == "(2, 1)"
    assert (await one.run("print(ds.info()['queried_not_available'])"))[1].strip() == "['randhie']"
    assert "航班" in (await one.run("ds.info()"))[1]
    reply, text, _ = await one.run("ds.sql('SELEC 1')")
    assert "sql_syntax" in text
    assert "^" in text
    assert "queried_not_available" in (await one.run("ds.sql('SELECT * FROM randhie')"))[1]
    assert "sql_failed" in (await one.run("ds.sql('SELECT nope FROM flights')"))[1]
    assert "column_missing" in (await one.run("ds.load('flights', columns=['nope'])"))[1]
    await one.run("mine = ds.load('flights')")
    assert (await one.run("print(len(ds.sql('SELECT * FROM mine')))"))[1].strip() == "3"
    assert "12" in (await one.run("%%sql kept\nSELECT 12 AS a FROM flights LIMIT 1"))[1]
    assert "[12]" in (await one.run("print(kept.a.tolist())"))[1]
    await one.run("open('a.csv','w').write('a,n\\nx,3\\n')")
    assert "小于10" in (await one.run("ds.check('a.csv')"))[1]
    assert "export_text_missing" in (await one.run("ds.export('a.csv', title='', context='')"))[1]
    assert "file_missing" in (await one.run("ds.check(['none.csv'])"))[1]


async def test_the_supervisor_answers_only_what_it_knows(stack):
    kernel = await stack.start_kernel()
    reader, writer = await asyncio.open_unix_connection(str(stack.root / "sock/supervisor.sock"), limit=1 << 22)

    async def ask(**request):
        writer.write(json.dumps(request).encode() + b"\n")
        return json.loads(await reader.readline())

    assert (await ask(id=1, verb="poll", kernel=kernel))["result"]["status"] is None
    assert (await ask(id=2, verb="fs.read", path="../../etc/passwd"))["error"]["code"] == "bad_path"
    assert (await ask(id=3, verb="invented"))["error"]["code"] == "bad_request"
    writer.close()


async def test_a_cut_closes_the_socket_at_once_and_everything_is_refused():
    async with Stack() as fresh:
        kernel = await fresh.start_kernel()
        async with fresh.connect(kernel) as ws:
            client = Client(ws, V1)
            await client.run("1+1")
            begun = time.monotonic()
            await fresh.tell({"type": "cut", "code": "lease_cut"})
            while (message := await ws.receive(timeout=5)).type is not aiohttp.WSMsgType.CLOSE:
                pass
            took = time.monotonic() - begun
        assert (message.data, message.extra) == (4403, "lease_cut")
        assert took < 1
        status, answer = await fresh.get("api/kernels")
        assert (status, answer["error"]["code"]) == (403, "lease_cut")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await fresh.connect(kernel)
        assert (await fresh.get("api/contents"))[0] == 403
        await fresh.entry("session.cut")
        fresh.epoch += 1
        await fresh.tell(fresh.grant())  # a grant after a cut changes nothing
        assert (await fresh.get("api/kernels"))[0] == 403


async def test_a_lease_that_is_not_renewed_ends_and_can_be_granted_again():
    async with Stack() as fresh:
        kernel = await fresh.start_kernel()
        async with fresh.connect(kernel) as ws:
            fresh.renewing = False
            await fresh.tell(fresh.grant(seconds=0.2))
            while (message := await ws.receive(timeout=5)).type is not aiohttp.WSMsgType.CLOSE:
                pass
            assert (message.data, message.extra) == (4403, "lease_ended")
        assert (await fresh.get("api/kernels"))[1]["error"]["code"] == "lease_ended"
        await fresh.tell(fresh.grant())
        async with asyncio.timeout(5):
            while (await fresh.get("api/kernels"))[0] != 200:
                pass
        async with fresh.connect(kernel) as ws:
            assert (await Client(ws, V1).run("1+1"))[1] == "2"


async def test_without_the_kernel_container_the_reason_is_given():
    async with Stack() as fresh:
        fresh.supervisor.kill()
        await fresh.supervisor.wait()
        status, answer = await fresh.call("POST", "api/kernels", {"name": "python3"})
        assert (status, answer["reason"]) == (503, "kernel_container_down")
        assert (await fresh.get("api/contents/x"))[0] == 503


async def test_twin_with_delivery_before_the_record_the_order_test_fails(tmp_path):
    """The test of order can fail: with the pump's two steps swapped the kernel has the message while the log still holds it."""
    config = tmp_path / "config.py"
    swapped = """
from sandbox.guard import channels

async def record_after(self, request, code, decision):
    if code is None:
        self._deliver(request)
    await record(self, request, code, decision)

record = channels.SandboxConnection._record
channels.SandboxConnection._record = record_after
"""
    config.write_text((ROOT / "images/session/jupyter_server_config.py").read_text() + swapped)
    async with Stack(config=config) as fresh:
        fresh.kernel = await fresh.start_kernel()
        async with fresh.connect(fresh.kernel) as ws:
            with pytest.raises(AssertionError):
                await test_nothing_reaches_the_kernel_before_it_is_on_record(Client(ws, V1), fresh)


async def test_the_lab_page_has_the_parts_off_that_the_session_refuses(stack):
    async with stack.http.get(stack.url + "lab") as answer:
        page = await answer.text()
    config = json.loads(page.split('id="jupyter-config-data" type="application/json">')[1].split("</script>")[0])
    off = config["disabledExtensions"]
    for name in ("@jupyterlab/javascript-extension", "@jupyterlab/terminal-extension", "@jupyterlab/filebrowser-extension:download"):
        assert name in off
    settings = (await stack.get("lab/api/settings/@jupyterlab/translation-extension:plugin"))[1]
    assert settings["schema"]["properties"]["locale"]["default"] == "zh_CN"


@pytest.mark.parametrize("flag", ["stop_on_error", "silent", "store_history", "allow_stdin"])
async def test_w9_code_in_a_flag_does_not_reach_the_kernel(client, stack, flag):
    reply, _, number = await client.run("get_ipython().get_parent()['content']", **{flag: "print('unrecorded')"})
    assert reply["ename"] == "message_malformed"
    denied = await stack.entry("cell.denied", lambda leaf: leaf["data"]["msg_id"] == number)
    assert any(b"unrecorded" in stack.log.blob(blob["digest"]) for blob in denied["blobs"])  # what was tried is on record


async def test_w12_what_the_kernel_sees_and_says_in_headers_is_known(client):
    _, text, _ = await client.run("p = get_ipython().get_parent(); sorted(p['header']), p['parent_header'], p['metadata']", silent=False)
    assert "smuggled" not in text
    code = (
        "s = get_ipython().kernel.session; "
        "s.send(get_ipython().kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': 'said'}, "
        "header=dict(s.msg_header('stream'), smuggled='in header'), parent=dict(get_ipython().get_parent()['header'], smuggled='in parent'))"
    )
    number = await client.send("execute_request", {"code": code, "silent": False})
    found = await client.collect(number)
    assert any(frame.content.get("text") == "said" for frame in found)
    assert all("smuggled" not in json.dumps([frame.header, frame.parent]) for frame in found)


async def test_w11_a_data_file_under_a_notebooks_name_is_not_shown(stack):
    (stack.root / "home/a2.ipynb").write_bytes(b"PAR1" + bytes(range(256)) * 100)
    (stack.root / "home/b2.ipynb").write_bytes(b'{"text": "' + b"x" * 2_000_000 + b'"}')
    for query, code in (
        ("a2.ipynb?type=file&format=base64&content=1", "file_not_text"),
        ("a2.ipynb?type=file&content=1", "file_not_text"),
        ("a2.ipynb?type=notebook&content=1", "notebook_unreadable"),
        ("b2.ipynb?type=notebook&content=1", "notebook_unreadable"),
        ("b2.ipynb?type=file&format=text&content=1", "workspace_too_large"),
    ):
        assert (await stack.get(f"api/contents/{query}"))[1]["reason"] == code
    (stack.root / "home/c2.txt").write_text("words")
    assert (await stack.get("api/contents/c2.txt?content=1&format=base64"))[1]["reason"] == "file_not_text"
    status, model = await stack.get("api/contents/c2.txt?content=0&hash=1")
    assert (status, model["hash"]) == (200, hashlib.sha256(b"words").hexdigest())
    await stack.entry("file.read", lambda leaf: leaf["data"]["path"] == "c2.txt" and not leaf["data"]["content"])


async def test_w16_a_listing_is_bounded_and_on_record(stack):
    folder = stack.root / "home/lst"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number:04d}{'x' * 200}").touch()
    status, model = await stack.get("api/contents/lst?content=1")
    assert status == 200
    assert sum(len(item["name"]) for item in model["content"]) < 65536
    leaf = await stack.entry("file.listed", lambda leaf: leaf["data"]["path"] == "lst")
    assert leaf["data"]["count"] == len(model["content"])
    await stack.entry("file.asked", lambda leaf: leaf["data"]["path"] == "lst")


async def test_w11_a_path_a_checkpoint_and_a_kernels_directory_are_on_record(stack):
    assert (await stack.get("api/contents/asked-for"))[0] == 404
    await stack.entry("file.asked", lambda leaf: leaf["data"]["path"] == "asked-for")
    (stack.root / "home/d2.txt").write_text("words")
    assert (await stack.call("POST", "api/contents/d2.txt/checkpoints"))[0] == 201
    await stack.entry("file.checkpoint", lambda leaf: leaf["data"]["to"] == ".checkpoints/d2.txt")
    body = {"path": "some where/n.ipynb", "type": "notebook", "name": "n", "kernel": {"name": "python3"}}
    status, session = await stack.call("POST", "api/sessions", body)
    assert status == 201
    await stack.entry("kernel.start", lambda leaf: leaf["data"].get("cwd") == "some where")
    await stack.entry("kernel.launch", lambda leaf: leaf["data"].get("cwd") == "some where")
    assert (await stack.call("DELETE", f"api/sessions/{session['id']}"))[0] == 204
    status, answer = await stack.call("POST", "api/kernels", {"name": "invented"})
    assert (status, answer["reason"]) == (400, "kernel_unknown")


@pytest.mark.parametrize(("value", "ours"), [("token t", True), ("Bearer t", True), ("Basic dDp0", False), ("x", False), ("token ", False)])
async def test_w15_only_the_hubs_token_stands_for_our_own_page(value, ours):
    headers = {"Authorization": value, "Sec-Fetch-Site": "cross-site"}
    handler = SimpleNamespace(request=SimpleNamespace(method="POST", headers=headers))
    assert SandboxAuthorizer()._is_own_page(handler) is ours


async def test_x4_a_log_out_closes_every_page_and_the_kernel_lives_on(stack):
    async with stack.connect(stack.kernel) as ws:
        await Client(ws, V1).run("kept_over_logout = 7")
        await stack.tell({"type": "logout"})
        while (message := await ws.receive(timeout=5)).type is not aiohttp.WSMsgType.CLOSE:
            pass
        assert (message.data, message.extra) == (4401, "logged_out")
    await stack.entry("session.logged_out")
    async with stack.connect(stack.kernel) as ws:
        assert (await Client(ws, V1).run("kept_over_logout"))[1] == "7"


async def test_w12_output_nobody_asked_for_gets_no_new_allowance_by_connecting_anew(stack):
    kernel = await stack.start_kernel()
    code = (
        "s = get_ipython().kernel.session; "
        "[s.send(get_ipython().kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': __import__('os').urandom(25_000).hex()}, parent={'msg_id': 'forged'}) "
        "for _ in range(4)]"
    )
    shown = []
    for _ in range(3):
        async with stack.connect(kernel) as ws:
            client = Client(ws, V1)
            await client.run("1")
            number = await client.send("execute_request", {"code": code, "silent": False})
            idle = False
            while not idle:
                frame = await client.receive()
                idle = frame.parent.get("msg_id") == number and frame.content.get("execution_state") == "idle"
                shown.append(len(frame.content.get("text", "")) if not frame.parent else 0)
    assert 200_000 <= sum(shown) < 270_000
    await stack.entry("display.background", lambda leaf: leaf["data"]["kernel"] == kernel)
    await stack.call("DELETE", f"api/kernels/{kernel}")
    await stack.entry("background.closed", lambda leaf: leaf["data"]["kernel"] == kernel)


async def fresh(stack, code):
    """Run a cell in a kernel of its own; return its reply, text and number."""
    async with stack.connect(await stack.start_kernel()) as ws:
        return await Client(ws, V1).run(code)


TEXT = "import os; print(os.urandom({half}).hex())"


async def test_output_over_a_cell_is_shown_later_without_being_computed_again(stack):
    async with stack.connect(await stack.start_kernel()) as ws:
        one = Client(ws, V1)
        reply, text, number = await one.run("import os\nfor n in range(6): print(f'<{n}>' + os.urandom(50_000).hex(), flush=True)")
        assert "<1>" in text
        assert "<5>" not in text
        assert "ds.show_again()" in text
        closed = await stack.entry("cell.closed", lambda leaf: leaf["data"]["msg_id"] == number)
        assert closed["data"]["withheld_bytes"] > 300_000
        found = text
        for n in (reply["execution_count"], None):
            reply, more, number = await one.run(f"import datasandbox as ds; ds.show_again({n})")
            assert reply["status"] == "ok", more
            found += more
            await stack.entry("display.shown_again", lambda leaf, number=number: leaf["data"]["msg_id"] == number)
        assert all(f"<{n}>" in found for n in range(6))
        assert "没有被扣下的输出" in (await one.run("ds.show_again()"))[1]


async def test_ds_show_again_needs_a_request_that_was_delivered(door):
    assert (await door(verb="show_again", parent="forged"))["error"]["code"] == "show_again_nowhere"
    assert (await door(verb="show_again", parent=None))["error"]["code"] == "show_again_nowhere"


async def test_over_the_hour_nothing_more_is_shown_and_no_trick_gets_round_it():
    async with Stack() as stack:
        stack.hour_bytes = 300_000
        await stack.tell(stack.grant())
        kernel = await stack.start_kernel()
        async with stack.connect(kernel) as ws, stack.connect(kernel) as second:
            one, tab = Client(ws, V1), Client(second, V1)
            assert len((await one.run(TEXT.format(half=100_000)))[1]) > 200_000
            over = await one.run("import os; secret = os.urandom(60_000).hex(); print('<' + secret + '>')")
            assert over[0]["status"] in {"ok", "display_hour"} or over[0]["ename"] == "display_hour"
            assert "本小时的显示额度" in over[1]
            assert "<" not in over[1].split("本小时")[0]
            entry = await stack.entry("display.exhausted")
            assert entry["data"]["code"] == "display_hour"
            for client in (tab, one):  # another tab, forged parents, another kernel
                code = (
                    "s = get_ipython().kernel.session; "
                    "[s.send(get_ipython().kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': secret + str(n)}, parent={'msg_id': 'f'}) for n in range(3)]"
                )
                assert len((await client.run(code))[1]) < 2000
            assert len((await fresh(stack, TEXT.format(half=60_000)))[1]) < 2000
            assert stack.reserved - stack.given_back <= 300_000
            big = await stack.call("PUT", "api/contents/big.txt", {"type": "file", "format": "text", "content": "y" * 200_000})
            assert big[0] == 201
            await one.run("open('big.txt', 'a').write('z')")
            assert (await stack.get("api/contents/big.txt"))[0] == 403  # files count against the same budget
            assert (await stack.entry("file.denied"))["data"]["code"] == "file_over_budget"
            assert (await stack.get("api/contents/big.txt?content=0"))[0] == 200  # and work can still be saved
            stack.hour_bytes = 1 << 30  # more was agreed to
            await stack.tell(stack.grant())
            later = await one.run("import datasandbox as ds; ds.show_again()")
            assert "<" in later[1]
            assert len(later[1]) > 120_000


async def test_a_cell_waits_for_a_reservation_only_when_none_is_in_hand():
    async with Stack() as stack:
        async with stack.connect(await stack.start_kernel()) as ws:
            one = Client(ws, V1)
            await one.run("1")
            stack.budget_gate.clear()  # the portal does not answer
            assert (await one.run("1+1"))[1] == "2"
            await one.run("import os; print('<0>' + os.urandom(90_000).hex())")  # what was in hand
            long = await one.run("print('<1>' + os.urandom(60_000).hex())")
            assert long[0]["status"] == "ok"
            assert "无法核对显示额度" in long[1]
            stack.budget_gate.set()
            await asyncio.sleep(1.5)  # the guard asks again a second after a failure
            again = await one.run("import datasandbox as ds; ds.show_again()")
            assert "<1>" in long[1] + again[1]
        stack.session.terminate()
        await stack.session.wait()
        assert stack.given_back > 0


async def test_twin_without_the_count_a_whole_table_is_read(tmp_path):
    """The budget is what stops it: with the count off, a table of 1.2 MB is read out over an hour's budget of 300 KB."""
    config = tmp_path / "config.py"
    off = """
from sandbox.guard import budget

budget.Budget.covers = lambda self, size, digest, *, vital=False: True
"""
    config.write_text((ROOT / "images/session/jupyter_server_config.py").read_text() + off)

    async def read_out(**more):
        async with Stack(**more) as stack:
            stack.hour_bytes = 300_000
            await stack.tell(stack.grant())
            async with stack.connect(await stack.start_kernel()) as ws:
                one = Client(ws, V1)
                await one.run("import random; table = [random.randbytes(100_000).hex() for _ in range(6)]")
                texts = [(await one.run(f"print(table[{n}])"))[1] for n in range(6)]
                return sum(len(text) for text in texts if "显示额度" not in text)

    assert await read_out() <= 300_000
    assert await read_out(config=config) > 1_200_000
