"""The session's process is killed and started again: the same kernel with its variables, and nothing ran that is not on record."""

import asyncio
import json
import os

import pytest
import pytest_asyncio

from sandbox.guard.memory import Memory
from sandbox.guard.messages import V1
from tests.guard.conftest import Client
from tests.guard.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def own():
    """A session of this test's own: it is killed."""
    async with Stack() as stack:
        yield stack


async def test_the_kernel_its_variables_and_its_notebook_survive_and_the_record_says_so(own):
    status, session = await own.call(
        "POST", "api/sessions", {"path": "a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    )
    assert status == 201
    kernel = session["kernel"]["id"]
    async with own.connect(kernel) as ws:
        assert (await Client(ws, V1).run("x = 41"))[0]["status"] == "ok"
    await own.restart_session()
    listed = (await own.get("api/sessions"))[1]
    assert [(one["id"], one["kernel"]["id"], one["path"]) for one in listed] == [(session["id"], kernel, "a.ipynb")]
    async with own.connect(kernel) as ws:
        assert (await Client(ws, V1).run("x + 1"))[1] == "42"
    leaf = await own.entry("session.restarted")
    assert (leaf["data"]["kernels"], leaf["data"]["lost"], leaf["data"]["restarts"]) == ([kernel], [], 1)
    resumed = await own.entry("source.resumed")
    assert resumed["data"]["previous"]["boot"] == leaf["boot"]


async def test_a_cell_that_ran_is_closed_as_unknown_and_the_browser_is_told(own):
    kernel = await own.start_kernel()
    async with own.connect(kernel) as ws:
        client = Client(ws, V1)
        await client.run("x = 1")
        number = await client.send("execute_request", {"code": "import time; x = 2; time.sleep(3600)", "silent": False})
        await own.entry("cell.sent", lambda leaf: leaf["data"]["msg_id"] == number)
        await asyncio.sleep(0.3)
        await own.restart_session()
    async with own.connect(kernel) as ws:
        client = Client(ws, V1)
        frames = await client.collect(number)
        assert any(frame.content.get("ename") == "session_restarted" for frame in frames)
        closed = await own.entry("cell.closed", lambda leaf: leaf["data"]["msg_id"] == number)
        assert (closed["data"]["status"], closed["data"]["code"]) == ("unknown", "session_restarted")
        assert (await own.call("POST", f"api/kernels/{kernel}/interrupt"))[0] == 204
        async with asyncio.timeout(20):
            while (await client.run("x"))[0]["status"] != "ok":  # what waits behind an interrupted cell is given up with it
                pass
        assert (await client.run("x"))[1] == "2"


async def test_a_cell_killed_while_its_record_is_awaited_did_not_run_and_is_closed_as_not_delivered(own):
    kernel = await own.start_kernel()
    async with own.connect(kernel) as ws:
        client = Client(ws, V1)
        await client.run("x = 1")
        own.held.clear()
        own.log_gate.clear()
        number = await client.send("execute_request", {"code": "x = 2", "silent": False})
        await own.held.wait()
        own.session.kill()
        await own.session.wait()
        own.log_gate.set()
    await own.restart_session()
    closed = await own.entry("cell.closed", lambda leaf: leaf["data"]["msg_id"] == number)
    assert closed["data"]["status"] == "not_delivered"
    async with own.connect(kernel) as ws:
        assert (await Client(ws, V1).run("x"))[1] == "1"


async def test_a_cell_whose_browser_leaves_while_its_record_is_awaited_is_closed_as_not_delivered(own):
    kernel = await own.start_kernel()
    async with own.connect(kernel) as ws:
        client = Client(ws, V1)
        await client.run("x = 1")
        own.held.clear()
        own.log_gate.clear()
        number = await client.send("execute_request", {"code": "x = 2", "silent": False})
        await own.held.wait()
    while (await own.get(f"api/kernels/{kernel}"))[1]["connections"]:
        pass
    own.log_gate.set()
    closed = await own.entry("cell.closed", lambda leaf: leaf["data"]["msg_id"] == number)
    assert closed["data"]["status"] == "not_delivered"
    async with own.connect(kernel) as ws:
        assert (await Client(ws, V1).run("x"))[1] == "1"


def test_a_journal_that_is_not_this_sessions_own_is_not_believed(tmp_path):
    line = {"kernel": "k", "name": "abcd", "key": "key", "port": 10, "cwd": "", "language": "python3"}
    memory = Memory.of(tmp_path, "b1")
    assert not memory.load()
    memory.note(**line)
    assert Memory.of(tmp_path, "b1").load()  # the twin: its own is
    assert not Memory.of(tmp_path, "b2").load()  # of an earlier boot
    real = tmp_path / "elsewhere"
    real.write_text("\n".join(json.dumps(one) for one in ({"boot": "b1"}, line)))
    (tmp_path / "session.journal").unlink()
    (tmp_path / "session.journal").symlink_to(real)
    assert not Memory.of(tmp_path, "b1").load()
    assert Memory.of(tmp_path, "b1").load()  # it was replaced by an empty one of its own
    assert not Memory.of(tmp_path, "b1").kernels
    if os.geteuid() == 0:
        os.chown(tmp_path / "session.journal", 1300, 1300)
        assert not Memory.of(tmp_path, "b1").load()


def test_a_line_cut_short_by_the_kill_is_left_out_and_the_journal_stays_small(tmp_path):
    memory = Memory.of(tmp_path, "b1")
    memory.load()
    for number in range(20_000):
        memory.recording(f"m{number}", "k", "cell")
        memory.delivering(f"m{number}")
        memory.done(f"m{number}")
    memory.recording("last", "k", "cell")
    with memory.path.open("ab") as file:
        file.write(b'{"act_done": "la')
    assert memory.path.stat().st_size < 1 << 20
    again = Memory.of(tmp_path, "b1")
    assert again.load()
    assert (again.executions, list(again.open), again.restarts) == (20_000, ["last"], 1)
