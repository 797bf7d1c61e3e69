"""The guard's side of the supervisor's socket: recorded, then sent; one connection a boot."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.domain.errors import Refusal
from sandbox.guard.supervisor import Supervisor, SupervisorDown

KERNEL_FILES = Path(__file__).parents[2] / "images" / "kernel"


class Other:
    """A listener in the place of the supervisor that keeps what it heard; `script` says what it does with each request."""

    def __init__(self, script=None):
        self.heard, self.script = [], script

    async def listen(self, path):
        async def serve(reader, writer):
            while line := await reader.readline():
                request = json.loads(line)
                self.heard.append(request)
                if self.script and not await self.script(request, writer):
                    break
                writer.write(json.dumps({"id": request["id"], "ok": True, "result": {"of": request["id"]}}).encode() + b"\n")
            writer.close()

        return await asyncio.start_unix_server(serve, path)


class Book:
    def __init__(self):
        self.entries, self.down, self.lost = [], False, 0

    async def record(self, kind, data, _blobs):
        if self.down:
            raise Refusal("log_unavailable", status=503)
        self.entries.append((kind, data))

    def on_lost(self):
        self.lost += 1


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def ours(tmp_path, book):
    return Supervisor(tmp_path, book.record, book.on_lost)


@pytest.mark.asyncio
async def test_w11_a_path_is_on_record_before_it_is_sent_and_the_same_one_once(tmp_path, ours, book):
    other = Other()
    async with await other.listen(tmp_path / "supervisor.sock"):
        book.down = True
        with pytest.raises(Refusal, match="log_unavailable"):
            await ours.call("fs.stat", path="RUN code")
        assert other.heard == []
        book.down = False
        for verb in ("fs.stat", "fs.list", "fs.stat"):
            await ours.call(verb, path="RUN code")
        assert book.entries == [("file.asked", {"path": "RUN code"})]


@pytest.mark.asyncio
async def test_w16_no_word_is_sent_that_the_entry_does_not_name(tmp_path, ours, book):
    other = Other()
    async with await other.listen(tmp_path / "supervisor.sock"):
        for entry in (None, ("file.checkpoint", {"path": "a"}, ()), ("file.checkpoint", {"path": "a", "to": "c"}, ())):
            with pytest.raises(ValueError, match="entry"):
                await ours.call("fs.copy", path="a", to="b", entry=entry)
        with pytest.raises(ValueError, match="entry"):
            await ours.call("start", kernel="k", connection={}, cwd="RUN code")
    assert (other.heard, book.entries) == ([], [])


@pytest.mark.asyncio
async def test_f9_a_lost_supervisor_is_not_looked_for_again(tmp_path, ours, book):
    async def hang_up(*_):
        return False

    async with await Other(hang_up).listen(tmp_path / "supervisor.sock"):
        with pytest.raises(SupervisorDown):
            await ours.call("hello")
    (tmp_path / "supervisor.sock").unlink(missing_ok=True)
    fake = Other()
    async with await fake.listen(tmp_path / "supervisor.sock"):
        for _ in range(2):
            with pytest.raises(SupervisorDown):
                await ours.call("fs.stat", path="x")
    assert (fake.heard, book.lost) == ([], 1)


@pytest.mark.asyncio
async def test_f9_a_stuck_supervisor_is_not_replaced_and_its_late_answer_is_nobodys(tmp_path, ours, book):
    go_on = asyncio.Event()

    async def slow(request, _):
        if request["id"] == 1:
            await go_on.wait()
        return True

    async with await Other(slow).listen(tmp_path / "supervisor.sock"):
        with pytest.raises(TimeoutError):
            await ours.call("poll", seconds=0.05)
        (tmp_path / "supervisor.sock").rename(tmp_path / "old")
        fake = Other()
        async with await fake.listen(tmp_path / "supervisor.sock"):
            go_on.set()
            assert (await ours.call("poll"))["of"] == 2
    assert (fake.heard, book.lost) == ([], 0)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to be somebody else")
def test_f4_the_supervisors_memory_is_not_its_kernels_to_open():
    code = (
        "import os, subprocess, sys, supervisor; supervisor.undumpable(); "
        "own = os.stat('/proc/self/mem').st_uid; "
        "child = subprocess.run([sys.executable, '-c', 'import os; print(os.stat(\"/proc/self/mem\").st_uid)'], capture_output=True, text=True); "
        "print(own, child.stdout.strip())"
    )
    env = {"PYTHONPATH": str(KERNEL_FILES), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["/usr/bin/python3", "-c", code], user=65534, env=env, cwd="/", capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in done.stderr or "PermissionError" in done.stderr:
        env.pop("PYTHONPATH")
        source = (KERNEL_FILES / "supervisor.py").read_text()
        loader = f"import sys, types; m = types.ModuleType('supervisor'); sys.modules['supervisor'] = m; exec({source!r}, m.__dict__); "
        done = subprocess.run([sys.executable, "-c", loader + code], user=65534, cwd="/", capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["0", "65534"], done.stderr
