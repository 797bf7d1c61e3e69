"""The Docker door over the real engine: what the spawner needs works with real docker-py, everything else is refused and recorded."""

import contextlib
import json
import secrets
import socket
import stat

import docker
import pytest
from docker.errors import APIError, NotFound

from sandbox.domain.errors import Refusal
from sandbox.domain.uids import UIDS
from sandbox.warden import dockercalls
from sandbox.warden.door import Refusals

D = "0123abcd"
NAME = f"ds-{D}-session-abcdefghijkl"
ID = "f" * 64


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/version"),
        ("POST", f"/v1.41/containers/create?name={NAME}"),
        ("GET", f"/v1.41/containers/{NAME}/json"),
        ("POST", f"/v1.41/containers/{ID}/start"),
        ("DELETE", f"/v1.41/containers/{NAME}?v=True&link=False&force=True"),
        ("GET", f"/v1.41/containers/{NAME}/logs?stderr=1&stdout=1&timestamps=0&follow=0&tail=40"),
    ],
)
def test_the_spawners_calls_are_read(method, target):
    assert dockercalls.read(D, method, target).verb


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1.41/version"),
        ("GET", f"/containers/{NAME}/json"),
        ("GET", f"/v1.40/containers/{NAME}/json"),
        ("GET", f"//v1.41/containers/{NAME}/json"),
        ("GET", f"/v1.41//containers/{NAME}/json"),
        ("GET", f"/v1.41/containers/{NAME}%2fjson"),
        ("GET", f"/v1.41/containers/%2e%2e/containers/{NAME}/json"),
        ("GET", f"/v1.41/containers/{NAME}/../json"),
        ("GET", f"/v1.41/containers/{NAME}/json/"),
        ("GET", f"/v1.41/containers/{NAME}/json\n"),
        ("GET", f"/v1.41/containers/{NAME}/json?size=1"),
        ("GET", f"http://docker/v1.41/containers/{NAME}/json"),
        ("HEAD", f"/v1.41/containers/{NAME}/json"),
        ("GET", f"/v1.41/containers/{NAME}/logs?stdout=1&follow=1&tail=40"),
        ("GET", f"/v1.41/containers/{NAME}/logs?stdout=1&tail=all"),
        ("GET", f"/v1.41/containers/{NAME}/logs?stdout=1&tail=4&tail=5"),
        ("GET", f"/v1.41/containers/{'f' * 12}/json"),
        ("POST", f"/v1.41/containers/{NAME}/exec"),
        ("POST", f"/v1.41/containers/{NAME}/attach"),
        ("GET", f"/v1.41/containers/{NAME}/archive?path=/"),
        ("PUT", f"/v1.41/containers/{NAME}/archive?path=/"),
        ("POST", f"/v1.41/containers/create?name={NAME}&platform=linux"),
        ("POST", f"/v1.41/containers/create?name={NAME}&name={NAME}"),
        ("GET", "/v1.41/containers/json"),
        ("GET", "/v1.41/events"),
        ("POST", "/v1.41/build"),
        ("POST", "/v1.41/images/create?fromImage=x"),
    ],
)
def test_any_other_line_is_no_call(method, target):
    with pytest.raises(Refusal) as caught:
        dockercalls.read(D, method, target)
    assert (caught.value.code, caught.value.status) == ("docker_call_refused", 403)


@pytest.mark.parametrize("name", ["", "evil", f"ds-{D}-kernel-abcdefghijkl", "ds-ffffffff-session-abcdefghijkl", f"{NAME}\n", f"/{NAME}"])
def test_only_a_session_of_this_deployment_can_be_created(name):
    with pytest.raises(Refusal) as caught:
        dockercalls.read(D, "POST", f"/v1.41/containers/create?name={name}")
    assert caught.value.code == "docker_container_refused"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"Env":[]}', b"[" * 60_000, b'{"Env":"JUPYTERHUB_API_TOKEN=' + b"a" * 32 + b'"}', b"\xff",
     json.dumps({"Env": ["JUPYTERHUB_API_TOKEN=" + "a" * 32 + "\nLD_PRELOAD=/x"]}).encode(),
     json.dumps({"Env": ["JUPYTERHUB_API_TOKEN=" + "a" * 32] * 2}).encode()],
)  # fmt: skip
def test_a_body_gives_a_token_or_nothing(body):
    with pytest.raises(Refusal) as caught:
        dockercalls.token(body)
    assert caught.value.code == "docker_body_refused"


class Records:
    """The recorder at the edge: remembers."""

    def __init__(self):
        self.told = []

    def later(self, kind, refs, data, actor):
        self.told.append((kind, refs, data, actor))


async def test_refusals_are_recorded_one_by_one_and_then_by_their_number():
    records, now = Records(), [100.0]
    refusals = Refusals(records, lambda: now[0])
    for _ in range(1000):
        refusals.note("docker_call_refused", "GET", "/x\n" * 1000)
    assert len(records.told) == Refusals.MOST
    assert all(kind == "docker.refused" and actor["id"] == "hub" and len(data["target"]) < 400 for kind, _, data, actor in records.told)
    now[0] += Refusals.WINDOW
    refusals.note("docker_call_refused", "GET", "/y")
    assert records.told[Refusals.MOST][2] == {"code": "docker_refusals_counted", "number": 1000 - Refusals.MOST}
    assert records.told[-1][2]["target"] == "/y"


@pytest.fixture
def hub(stage):
    """docker-py as the spawner has it, on the door, and the sessions' network."""
    name = f"ds-{stage.id}-sessions"
    network = stage.docker.networks.create(name, internal=True, labels={"datasandbox.deployment": stage.id})
    client = docker.APIClient(base_url=f"unix://{stage.door_path}", version="auto", timeout=30)
    yield client
    client.close()
    for found in stage.docker.containers.list(all=True, filters={"label": f"datasandbox.deployment={stage.id}"}):
        with contextlib.suppress(NotFound):
            found.remove(force=True)
    network.remove()


def created(hub, stage, sandbox, **more):
    """Create a session as the spawner does, with whatever else an attacker likes."""
    environment = {"JUPYTERHUB_API_TOKEN": secrets.token_hex(16), "LD_PRELOAD": "/evil"}
    name = f"ds-{stage.id}-session-{sandbox}"
    return hub.create_container("evil:latest", ["sh", "-c", "id"], environment=environment, name=name, user="0:0", **more)["Id"]


def refused(call, *arguments, **named):
    with pytest.raises(APIError) as caught:
        call(*arguments, **named)
    answer = caught.value.response
    assert answer.status_code == 403, caught.value
    return answer.json()["code"]


def test_the_socket_is_for_the_hub_alone(stage):
    seen, folder = stage.door_path.stat(), stage.door_path.parent.stat()
    assert (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (0, UIDS["hub"], 0o660)
    assert (folder.st_uid, folder.st_gid, stat.S_IMODE(folder.st_mode)) == (0, UIDS["hub"], 0o710)


def test_a_session_is_made_from_the_spec_whatever_the_body_says(stage, hub):
    sandbox = stage.launch()["sandbox"]
    host = hub.create_host_config(
        privileged=True, binds=["/:/host"], network_mode="host", pid_mode="host", cap_add=["ALL"], devices=["/dev/kmsg"]
    )
    made = created(hub, stage, sandbox, host_config=host)
    real = stage.docker.api.inspect_container(made)
    assert real["Image"] == stage.image
    assert real["Config"]["User"] == f"{UIDS['session']}:{UIDS['session']}"
    assert not any(line.startswith("LD_PRELOAD") for line in real["Config"]["Env"])
    assert {mount["Destination"] for mount in real["Mounts"]} == {"/sock", "/door"}
    config = real["HostConfig"]
    assert (config["Privileged"], config["NetworkMode"], config["PidMode"]) == (False, f"ds-{stage.id}-sessions", "")
    assert (config["CapDrop"], config["CapAdd"], config["Devices"], config["ReadonlyRootfs"]) == (["ALL"], None, None, True)
    assert stage.log.kinds(sandbox)[-1] == "session.created"
    hub.start(made)
    shown = hub.inspect_container(f"ds-{stage.id}-session-{sandbox}")
    assert shown["State"]["Running"]
    assert shown["Config"] == {"Tty": False, "Env": []}
    assert set(shown) == {"Id", "Name", "State", "Config", "NetworkSettings"}
    with pytest.raises(APIError) as twice:
        created(hub, stage, sandbox)
    assert twice.value.status_code == 409
    assert isinstance(hub.logs(made, tail=40), bytes)
    hub.remove_container(made, v=True, force=True)
    with pytest.raises(NotFound):
        hub.inspect_container(made)
    again = created(hub, stage, sandbox)  # a session that ended, made again for the same live sandbox
    stage.do(stage.portal.cut(sandbox, "test"))
    assert refused(hub.start, again) == "docker_session_refused"


def test_without_a_live_sandbox_there_is_no_session(stage, hub):
    assert refused(created, hub, stage, "abcdefghijkl") == "docker_session_refused"
    sandbox = stage.launch()["sandbox"]
    stage.do(stage.portal.cut(sandbox, "test"))
    assert refused(created, hub, stage, sandbox) == "docker_session_refused"


def test_without_a_record_there_is_no_session(stage, hub):
    sandbox = stage.launch()["sandbox"]
    stage.log.down = True
    try:
        with pytest.raises(APIError) as caught:
            created(hub, stage, sandbox)
    finally:
        stage.log.down = False
    assert caught.value.response.json()["code"] == "log_unavailable"


def test_other_containers_do_not_exist_for_the_hub(stage, hub):
    kernel = stage.launch()["kernel_container"]
    for call in (hub.inspect_container, hub.start, hub.remove_container, hub.logs):
        assert refused(call, kernel) == "docker_container_refused"
    assert stage.docker.containers.get(kernel).status == "running"
    stage.do(stage.recorder.settle())
    last = [entry for entry in stage.log.entries if entry["kind"] == "docker.refused"][-1]
    assert last["actor"] == {"type": "service", "id": "hub"}


def test_garbage_and_large_bodies_are_refused_and_the_door_stays_open(stage, hub):
    stage.docker_door.refusals._began = float("-inf")  # a new minute
    start = len(stage.log.entries)
    name = f"ds-{stage.id}-session-abcdefghijkl"
    for raw in (
        b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
        b"GET /version HTTP/1.1\r\nHost: d\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        f"POST /v1.41/containers/create?name={name} HTTP/1.1\r\nHost: d\r\nContent-Length: 9999999999\r\n\r\n".encode(),
    ):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(stage.door_path))
            with contextlib.suppress(BrokenPipeError):
                line.sendall(raw)
            assert line.recv(4096).split()[1] in {b"400", b"403"}
    assert hub.version(api_version=False)["ApiVersion"] == "1.41"
    stage.do(stage.recorder.settle())
    codes = [entry["data"]["code"] for entry in stage.log.entries[start:] if entry["kind"] == "docker.refused"]
    assert codes == ["docker_call_refused", "docker_call_refused", "docker_body_refused"]
