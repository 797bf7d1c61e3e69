"""R1, R5, R6, R8, R10 at the container: nothing of a cut sandbox runs again, and nothing signed before starts it again."""

import asyncio
import json
import subprocess
import time
from pathlib import Path

import pytest

from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id
from sandbox.domain.spec import sign

pytestmark = pytest.mark.docker

# Writes the time (CLOCK_MONOTONIC, the same for the whole host) as fast as it can, in a thread and in a spinning main loop; a SIGTERM
# handler and an exit hook leave a mark. Prints once both run.
RESTLESS = """
import atexit, os, signal, sys, threading, time
home = "/home/researcher/"
def mark(name):
    open(home + name, "w").write("ran")
signal.signal(signal.SIGTERM, lambda *_: mark("sigterm"))
atexit.register(mark, "atexit")
def tick(name):
    file = os.open(home + name, os.O_CREAT | os.O_WRONLY)
    while True:
        os.pwrite(file, b"%020d" % time.monotonic_ns(), 0)
if os.fork() == 0:
    signal.signal(signal.SIGTERM, lambda *_: mark("sigterm-child"))
    tick("child")
threading.Thread(target=tick, args=("thread",), daemon=True).start()
while not all(os.path.exists(home + name) and os.path.getsize(home + name) for name in ("thread", "child")):
    pass
print("ready", flush=True)
tick("main")
"""


def restless(container: str) -> subprocess.Popen:
    """Start RESTLESS in a container and return when it runs."""
    process = subprocess.Popen(
        ["docker", "exec", "-i", container, "python3", "-u", "-c", RESTLESS], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def last_tick(workspace: Path) -> float:
    """Return the last time any of them wrote; a file frozen between its making and its first tick is empty."""
    ticks = [(workspace / name).read_text() for name in ("main", "thread", "child") if (workspace / name).exists()]
    return max(int(tick) for tick in ticks if tick) / 1e9


def test_r6_r10_no_thread_handler_or_hook_runs_after_the_freeze(stage):
    spec = stage.spec()
    answer = stage.launch(spec)
    process = restless(answer["kernel_container"])
    cut = stage.do(stage.portal.cut(spec["sandbox"], "revoked"))
    answered = time.monotonic()
    process.wait(10)
    frozen_at_latest = answered - (cut["killed_ms"] - cut["frozen_ms"]) / 1000
    assert cut["was_running"] is True
    with stage.kept(spec["sandbox"]) as workspace:
        assert last_tick(workspace) <= frozen_at_latest
        assert {path.name for path in workspace.iterdir()} & {"sigterm", "sigterm-child", "atexit"} == set()
    assert not stage.docker.containers.list(all=True, filters={"label": f"datasandbox.sandbox={spec['sandbox']}"})
    assert not Path(answer["sock"]).exists()
    stage.do(stage.recorder.settle())
    assert sorted(stage.log.kinds(spec["sandbox"])) == ["kernel.cut", "kernel.ended", "kernel.started"]


def test_r10_twin_docker_stop_on_a_paused_container_runs_its_sigterm_handler(stage, tmp_path):
    (tmp_path / "home").mkdir(mode=0o777)
    (tmp_path / "home").chmod(0o777)
    code = RESTLESS.replace("home = ", "time.sleep(0); home = ")
    plain = stage.docker.containers.run(
        stage.image,
        entrypoint=["python3", "-u", "-c", code],
        detach=True,
        network_mode="none",
        labels={"datasandbox.deployment": stage.id},
        volumes={str(tmp_path / "home"): {"bind": "/home/researcher"}},
    )
    for line in plain.logs(stream=True):
        assert line == b"ready\n"
        break
    plain.pause()
    subprocess.run(["docker", "stop", "-t", "1", plain.id], check=True, capture_output=True)
    plain.remove(force=True)
    assert (tmp_path / "home" / "sigterm").read_text() == "ran"


def test_a_cut_is_idempotent_and_does_not_wait_for_the_log(stage):
    spec = stage.spec()
    stage.launch(spec)
    stage.log.down = True
    first = stage.do(stage.portal.cut(spec["sandbox"], "revoked"))
    second = stage.do(stage.portal.cut(spec["sandbox"], "revoked"))
    assert (first["was_running"], second["was_running"]) == (True, False)
    stage.log.down = False
    stage.do(stage.recorder.settle())
    assert stage.log.kinds(spec["sandbox"]) == ["kernel.started", "kernel.ended", "kernel.cut", "kernel.cut"]


def test_a_cut_kills_the_session_container_too(stage):
    spec = stage.spec()
    stage.launch(spec)
    session = stage.docker.containers.run(
        stage.image,
        entrypoint=["sleep", "1000"],
        detach=True,
        network_mode="none",
        labels={"datasandbox.deployment": stage.id, "datasandbox.sandbox": spec["sandbox"]},
    )
    stage.do(stage.portal.cut(spec["sandbox"], "revoked"))
    assert session.wait()["StatusCode"] == 137
    session.remove()


def test_r8_what_was_signed_before_a_cut_starts_nothing_after_it(stage):
    spec = stage.spec()
    assert stage.do(stage.portal.cut(spec["sandbox"], "revoked"))["was_running"] is False
    stage.start()
    with pytest.raises(Refusal) as refusal:
        stage.launch(spec)
    assert (refusal.value.code, refusal.value.field) == ("spec_expired", "issued")
    assert stage.do(stage.portal.state()) == []


@pytest.mark.parametrize("moment", ["recorded", "started"])
def test_r1_a_cut_during_the_start_undoes_the_start(stage, monkeypatch, moment):
    spec = stage.spec()
    cuts = []
    target, name = (stage.log, "append") if moment == "recorded" else (stage.sandboxes._engine, "start_kernel")
    real = getattr(target, name)

    async def then_cut(*arguments, **named):
        monkeypatch.undo()
        done = await real(*arguments, **named)
        cuts.append(asyncio.ensure_future(stage.portal.cut(spec["sandbox"], "revoked")))
        return done

    async def race() -> tuple[object, dict]:
        launched = (await asyncio.gather(stage.hub.launch(sign(spec, stage.key)), return_exceptions=True))[0]
        return launched, await cuts[0]

    monkeypatch.setattr(target, name, then_cut)
    launched, cut = stage.do(race())
    if isinstance(launched, Refusal):
        assert launched.code == "sandbox_cut"
    else:  # the launch had answered before the cut arrived: then the cut ended it
        assert launched["sandbox"] == spec["sandbox"]
    assert cut["was_running"] is True
    assert not stage.docker.containers.list(all=True, filters={"label": f"datasandbox.sandbox={spec['sandbox']}"})
    assert not (stage.run / "sb" / spec["sandbox"]).exists()


def test_cutting_one_sandbox_leaves_another_running(stage):
    kept, gone = stage.spec(), stage.spec()
    answer = stage.launch(kept)
    stage.launch(gone)
    stage.do(stage.portal.cut(gone["sandbox"], "revoked"))
    assert json.loads(stage.run_inside(answer["kernel_container"], "print(1 + 1)")) == 2
    stage.do(stage.portal.stop(kept["sandbox"]))


def test_a_malformed_sandbox_id_is_refused_by_name(stage):
    with pytest.raises(Refusal) as refusal:
        stage.do(stage.portal.cut("../../" + new_id(), "revoked"))
    assert (refusal.value.code, refusal.value.field) == ("sandbox_id_invalid", "sandbox")
