"""The Docker door against a hub taken over: run with the hub's own rights in the hub's own container on the running stack.

The twin runs the same requests in a plain container that has the real Docker socket, as the hub had before.
"""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from live import Live, until

from sandbox.deploy import host

pytestmark = [pytest.mark.docker, pytest.mark.e2e]
ATTACK = (Path(__file__).parent / "hub_attack.py").read_text()
CODES = {"docker_call_refused", "docker_container_refused", "docker_body_refused", "docker_session_refused"}


@pytest.fixture(scope="module")
def scene(stack):
    """A sandbox that runs, and what the attempts gave: `(live, answers, entries, containers before and after)`."""
    live = Live.made(stack)

    async def attack():
        async with live.working() as person:
            sandbox, start = person.sandbox["id"], await live.size()
            before = live.docker("ps", "-aq", "--no-trunc").split()
            kernel = f"ds-{stack.deployment.id}-kernel-{sandbox}"
            identity = live.docker("inspect", "-f", "{{.Id}}", kernel).strip()
            door = f"{stack.deployment.run}/docker/door.sock"
            argv = [door, stack.settings.images["kernel"], stack.deployment.id, sandbox, identity, "all"]
            said = live.docker("exec", "-i", stack.container("hub"), "python", "-", *argv, text=ATTACK)
            entries = []

            async def told():
                entries[:] = [e["leaf"] for e in await live.entries(start) if e["leaf"]["kind"] == "docker.refused"]
                return len(entries) >= 10

            await until(told, 20, "entries docker.refused")
            ours = live.docker("ps", "-aq", "--no-trunc", "--filter", f"label={stack.deployment.label}").split()
            return (
                [json.loads(line) for line in said.splitlines()],
                list(entries),
                set(ours) - set(before),
                live.containers(sandbox),
                identity,
            )

    try:
        yield stack, live, *asyncio.run(attack())
    finally:
        live.close()


def test_every_attempt_of_a_hub_taken_over_is_refused(scene):
    answers = scene[2]
    assert len(answers) > 60
    again = answers.pop()
    assert again["attack"] == "session again"
    assert again["status"] == 409  # it has one: what is made from the spec is made once at a time
    wrong = [a for a in answers if a["status"] not in {400, 403} or a["code"] not in CODES]
    assert [a for a in wrong if a["status"] != 0] == []
    assert {a["attack"] for a in wrong} <= {"giant header", "giant body in chunks"}  # cut off in mid-sentence: no answer arrives


def test_it_left_nothing_and_ended_nothing(scene):
    stack, _, _, _, made, containers, kernel = scene
    assert made == set()
    assert len(containers) == 2
    seen = json.loads(subprocess.run([host.docker(), "inspect", kernel], check=True, capture_output=True, text=True).stdout)
    assert seen[0]["Config"]["Labels"]["datasandbox.deployment"] == stack.deployment.id


def test_it_is_on_record_as_the_hubs(scene):
    entries = scene[3]
    assert len(entries) >= 10
    assert {entry["actor"]["id"] for entry in entries} == {"hub"}
    assert {entry["data"]["code"] for entry in entries} <= CODES | {"docker_refusals_counted"}


def test_the_hub_has_no_other_way_to_docker(scene):
    stack, live = scene[:2]
    seen = json.loads(live.docker("inspect", stack.container("hub")))[0]
    assert not any("docker.sock" in mount["Source"] for mount in seen["Mounts"])
    assert not seen["HostConfig"]["GroupAdd"]
    code = "import os,sys; print([p for p in ('/var/run/docker.sock', '/run/docker.sock') if os.path.exists(p)])"
    assert live.docker("exec", stack.container("hub"), "python", "-c", code).strip() == "[]"
    code = f"open('{stack.deployment.run}/docker/x', 'w')"
    done = subprocess.run(
        [host.docker(), "exec", stack.container("hub"), "python", "-c", code], check=False, capture_output=True, text=True
    )
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr


def test_twin_with_the_real_socket_the_same_requests_succeed(scene):
    stack, live, *_, kernel = scene
    image = live.docker("inspect", "-f", "{{.Image}}", stack.container("hub")).strip()
    command = ["run", "--rm", "-i", "--network", "none", "--name", f"dev-door-twin-{stack.deployment.id}", "--user", "0:0"]
    command += ["-v", "/var/run/docker.sock:/d.sock", image, "python", "-", "/d.sock", stack.settings.images["kernel"]]
    said = live.docker(*command, stack.deployment.id, "x", kernel, "twin", text=ATTACK)
    assert {a["attack"]: a["status"] for a in map(json.loads, said.splitlines())} == {
        "bind": 201, "start": 204, "list": 200, "inspect": 200, "remove": 204,
    }  # fmt: skip
