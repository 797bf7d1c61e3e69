"""N, F and K of the threat model: one probe in a real kernel container, and the same probe in a plain one as its twin.

The twin has the host's network, root, capabilities, no filter and the host's directories: what the probe cannot do there proves nothing,
so each id must breach it at least once.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

import pytest

from sandbox.domain.ids import new_id
from sandbox.domain.uids import UIDS
from sandbox.prove import PROBE as PROBE_FILE
from sandbox.prove.cells import FILL_SOCK, LINK_SOCK
from sandbox.prove.verdicts import SENTRY, stands
from sandbox.warden.freezer import Cgroup

pytestmark = pytest.mark.docker

PROBE = PROBE_FILE.read_text()
IDS = [*(f"N{n}" for n in range(1, 10)), *(f"F{n}" for n in range(1, 9)), *(f"K{n}" for n in range(1, 9))]
IN_ITS_OWN_KERNEL = {"mount a tmpfs"}  # of the memory the container has anyway
CAPABILITIES = """SYS_ADMIN SYS_PTRACE NET_RAW NET_ADMIN SYSLOG SYS_MODULE SYS_BOOT MKNOD DAC_READ_SEARCH SYS_RAWIO SYS_TIME SYS_PACCT
SYS_CHROOT"""
# a container of its own as the machine has no /dev/kmsg: there another device stands in its place
KMSG = "/dev/kmsg" if Path("/dev/kmsg").exists() else "/dev/full:/dev/kmsg"


class Listeners:
    """TCP, UDP and abstract UNIX listeners of the test on this machine."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.tcp = self._tcp("0.0.0.0", socket.AF_INET)
        self.tcp6 = self._tcp("::1", socket.AF_INET6)
        self.services = {name: self._tcp("0.0.0.0", socket.AF_INET) for name in ("hub", "portal", "opa", "log", "warden")}
        self.abstract = "dev-warden-" + secrets.token_hex(8)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("\0" + self.abstract)
        listener.listen()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("0.0.0.0", self.tcp))
        threading.Thread(target=self._answer, args=(udp,), daemon=True).start()
        self.sockets += [listener, udp]

    def _tcp(self, host: str, family: int) -> int:
        sock = socket.create_server((host, 0), family=family)
        self.sockets.append(sock)
        return sock.getsockname()[1]

    def _answer(self, udp: socket.socket) -> None:
        while True:
            try:
                _, sender = udp.recvfrom(64)
                udp.sendto(b"answer", sender)
            except OSError:
                return

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def verdicts(printed: str) -> dict[str, list[dict[str, str]]]:
    by_id = defaultdict(list)
    for verdict in json.loads(printed):
        by_id[verdict["id"]].append(verdict)
    return by_id


@pytest.fixture(scope="module")
def scene(stage):
    """Two sandboxes of different people, the listeners, a secret on the host, and a host process with a mark in its environment."""
    listeners = Listeners()
    release = stage.release()
    attacker, victim = stage.spec(releases=[{"id": release, "dataset": "flights"}]), stage.spec()
    ours, theirs = stage.launch(attacker), stage.launch(victim)
    mark = "mark-" + secrets.token_hex(8)
    secret = stage.home / "secrets" / "canary"
    secret.write_text(mark)
    (stage.home / "workspaces" / victim["sandbox"] / "mark").write_text(mark)
    bystander = subprocess.Popen(["sleep", "1000"], env={**os.environ, "MARK": mark})
    abstract_other = "other-" + secrets.token_hex(8)
    code = f"import socket,time;s=socket.socket(1);s.bind('\\0{abstract_other}');s.listen();print('ready',flush=True);time.sleep(1000)"
    server = subprocess.Popen(
        ["docker", "exec", "-i", theirs["kernel_container"], "python3", "-c", code],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout.readline() == "ready\n"
    gateway = stage.docker.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    here = {
        "host": gateway,
        "gateway": gateway,
        "port": listeners.tcp,
        "port6": listeners.tcp6,
        "services": listeners.services,
        "abstract": listeners.abstract,
        "abstract_other": abstract_other,
        "data": "/data/flights",
        "workspace": "/home/researcher",
        "secret": str(secret),
        "mark": mark,
        "pid": bystander.pid,
        "other": victim["sandbox"],
        "other_socket": theirs["sock"] + "/supervisor.sock",
        "other_workspace": str(stage.home / "workspaces" / victim["sandbox"]),
    }
    yield stage, ours, here
    bystander.kill()
    bystander.wait()
    for spec in (attacker, victim):
        stage.do(stage.portal.stop(spec["sandbox"]))
    server.wait(10)
    listeners.close()


@pytest.fixture(scope="module")
def inside(scene):
    """What the probe found in the kernel container."""
    stage, ours, here = scene
    return verdicts(stage.run_inside(ours["kernel_container"], PROBE, json.dumps(here)))


@pytest.fixture(scope="module")
def twin(scene):
    """What the probe found in a plain container with everything that ours is denied."""
    stage, _, here = scene
    plain = stage.home / "workspaces" / new_id()
    (plain / "data").mkdir(parents=True)
    (plain / "data" / "data.parquet").write_text("a,b\n1,2\n")
    here = {**here, "data": str(plain / "data"), "workspace": str(plain)}
    command = ["docker", "run", "--rm", "-i", "--network", "host", "--pid", "host", "--user", "0:0", "--ipc", "host", "--cgroupns", "host"]
    command += ["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined", "--entrypoint", "python3"]
    command += ["--label", f"datasandbox.deployment={stage.id}", "--device", KMSG]
    command += [option for name in CAPABILITIES.split() for option in ("--cap-add", name)]
    command += [option for path in (stage.home, stage.run, "/run/docker.sock") for option in ("-v", f"{path}:{path}")]
    command += ["-v", f"{stage.home / 'workspaces' / here['other']}:{plain.parent / here['other']}", stage.image, "-", json.dumps(here)]
    done = subprocess.run(command, input=PROBE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return verdicts(done.stdout)


@pytest.mark.parametrize("number", IDS)
def test_the_container_holds(stage, inside, number):
    assert inside[number]
    assert [verdict for verdict in inside[number] if not stands(verdict, stage.runtime)] == []


def test_k1_the_process_that_runs_user_code_has_no_capability_and_is_filtered_on_this_machine(scene):
    """Under gVisor its own kernel answers the calls: what matters is what that process may ask of Linux."""
    stage, ours, _ = scene
    assert pids(stage, ours["kernel_container"])
    for pid in pids(stage, ours["kernel_container"]):
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1"), status["Name"]
        if stage.runtime == "runc":
            assert status["CapEff"].strip("0") == "", status["Name"]


def test_k2_root_of_a_namespace_in_gvisors_own_kernel_reaches_no_network_and_no_file(scene):
    stage, ours, here = scene
    argument = json.dumps({**here, "userns": True, "sections": ["network", "files"]})
    if stage.runtime == "runc":
        with pytest.raises(subprocess.CalledProcessError):
            stage.run_inside(ours["kernel_container"], PROBE, argument)
        return
    found = json.loads(stage.run_inside(ours["kernel_container"], PROBE, argument))
    assert [one for one in found if not stands(one, stage.runtime) and one["what"] not in IN_ITS_OWN_KERNEL] == []


def test_every_exception_for_gvisor_is_one_that_it_needs(stage, inside):
    if stage.runtime == "runc":
        assert {one["outcome"] for found in inside.values() for one in found} == {"refused"}
        return
    answered = {(one["id"], one["what"]) for found in inside.values() for one in found if one["outcome"] not in {"refused", "absent"}}
    assert answered == set(SENTRY)


def pids(stage, container: str) -> list[int]:
    """Return the process ids, on this machine, of all that runs in a container's cgroup."""
    pid = stage.docker.api.inspect_container(container)["State"]["Pid"]
    return [int(one) for one in (Cgroup.of(pid, container).path / "cgroup.procs").read_text().split()]


@pytest.mark.parametrize("number", IDS)
def test_twin_the_same_attack_succeeds_in_a_plain_container(twin, number):
    assert [verdict["what"] for verdict in twin[number] if verdict["outcome"] == "breached"], twin[number]


def test_f9_a_socket_replaced_by_a_link_is_not_followed(scene):
    stage, ours, _ = scene
    stage.run_inside(ours["kernel_container"], LINK_SOCK)
    assert connects(Path(ours["sock"]) / "mine") in {0, 111}  # reached, though nobody listens
    assert connects(Path(ours["sock"]) / "link") == 40  # ELOOP


def test_f9_twin_on_a_plain_directory_the_link_is_followed(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "theirs"))
        listener.listen()
        (tmp_path / "link").symlink_to("theirs")
        assert connects(tmp_path / "link") == 0


def connects(path: Path) -> int:
    """Return the errno of connecting to a socket, 0 if it worked."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path))


def test_d10_the_socket_directory_holds_no_more_than_a_mebibyte_and_64_entries(scene):
    stage, ours, _ = scene
    made, size = json.loads(stage.run_inside(ours["kernel_container"], FILL_SOCK))
    assert made < 64
    assert size <= 1 << 20


def test_d10_twin_a_plain_directory_takes_more(tmp_path):
    done = subprocess.run([sys.executable, "-c", FILL_SOCK.replace("/sock", str(tmp_path))], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [1000, 1 << 26]


def test_the_session_may_enter_the_socket_directory_but_not_list_it_or_make_entries(scene):
    stage, ours, _ = scene
    code = """
import os, sys, socket
for act in (lambda: os.listdir(sys.argv[1]), lambda: open(sys.argv[1] + "/x", "w")):
    try: act(); print("did")
    except PermissionError: print("refused")
s = socket.socket(1); print(s.connect_ex(sys.argv[1] + "/supervisor.sock"))
"""
    command = ["docker", "run", "--rm", "-i", "--network", "none", "--user", f"{UIDS['session']}:{UIDS['session']}"]
    command += ["--group-add", str(UIDS["kernel"]), "-v", f"{ours['sock']}:/sock", "--label", f"datasandbox.deployment={stage.id}"]
    command += ["--entrypoint", "python3", stage.image, "-", "/sock"]
    assert subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout.split() == ["refused", "refused", "0"]
