"""The connection that `datasandbox` keeps to the door: each answer meets its own question, whatever happens between them."""

import contextlib
import importlib.util
import json
import os
import socket
import sys
import threading
from pathlib import Path

import pytest

KERNEL = Path(__file__).parents[2] / "images/kernel"


@pytest.fixture
def client(tmp_path, monkeypatch):
    """`datasandbox._door` of its own, at a door in `tmp_path`."""
    monkeypatch.syspath_prepend(str(KERNEL))
    monkeypatch.setenv("DATASANDBOX_DOOR", str(tmp_path))
    spec = importlib.util.spec_from_file_location("door_under_test", KERNEL / "datasandbox/_door.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    module._kept.close()
    for name in [name for name in sys.modules if name.startswith("datasandbox")]:
        del sys.modules[name]


class Door:
    """Answers each request with its own `n`; `per_connection`: how many before it hangs up."""

    def __init__(self, path, per_connection=1000):
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.per_connection, self.connections, self.asked, self.open = per_connection, 0, [], []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            for _, line in zip(range(self.per_connection), lines, strict=False):
                request = json.loads(line)
                self.asked.append(request["n"])
                connection.sendall(json.dumps({"ok": True, "result": {"n": request["n"]}}).encode() + b"\n")

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.open:
            connection.close()


@pytest.fixture
def door(tmp_path):
    made = Door(tmp_path / "door.sock")
    yield made
    made.close()


def test_one_connection_serves_all_requests_and_unread_answers_are_passed_over(client, door):
    for n in range(0, 30, 3):
        client.tell("query_done", n=n)
        client.tell("query_done", n=n + 1)
        assert client.ask("query", n=n + 2) == {"n": n + 2}
    assert door.connections == 1
    assert door.asked == list(range(30))


def test_a_connection_that_ended_is_made_anew_and_the_request_sent_once_more(client, tmp_path):
    door = Door(tmp_path / "door.sock", per_connection=1)
    assert [client.ask("query", n=n)["n"] for n in range(4)] == [0, 1, 2, 3]
    assert door.connections == 4
    door.close()


def test_an_interrupted_exchange_leaves_no_answer_behind_for_the_next(client, door, monkeypatch):
    client.ask("info", n=0)
    answers = client._kept.answers

    class Interrupted:
        close = answers.close

        def readline(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(client._kept, "answers", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        client.ask("query", n=1)
    assert client.ask("query", n=2) == {"n": 2}
    assert door.connections == 2


def test_a_forked_process_has_a_connection_of_its_own(client, door):
    client.ask("info", n=0)
    child = os.fork()
    if child == 0:
        os._exit(0 if client.ask("info", n=1) == {"n": 1} else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert client.ask("info", n=2) == {"n": 2}
    assert door.connections == 2


def test_without_a_door_the_code_says_so(client):
    with pytest.raises(client.SandboxError) as refused:
        client.ask("info")
    assert refused.value.code == "door_unavailable"
    client.tell("query_done", n=1)
    assert client._kept.door is None
