"""D1-D6: one sandbox takes what it can get; its limit holds, and another sandbox still answers. Each twin has the same attack go on.

What an attack may take without the limit is bounded by the attack itself, so that no twin harms the machine.
"""

import contextlib
import json
import subprocess

import docker
import pytest

pytestmark = pytest.mark.docker

LIMITS = {"memory": 256 << 20, "pids": 64, "cpus": 0.5, "tmp_bytes": 16 << 20, "workspace": {"bytes": 32 << 20, "inodes": 500}}

FORKS = """
import json, os, signal
children = []
try:
    while len(children) < 150:
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except OSError: pass
for child in children: os.kill(child, signal.SIGKILL)
for child in children: os.waitpid(child, 0)
print(json.dumps(len(children)))
"""
MEMORY = """
import json, os
child = os.fork()
if child == 0:
    taken = [bytes(b"x" * (1 << 20)) for _ in range(400)]
    os._exit(0)
print(json.dumps(os.waitpid(child, 0)[1] == 0))
"""
FILL = """
import json, os, sys
size, path = 0, sys.argv[1] + "/fill"
try:
    with open(path, "wb", buffering=0) as file:
        while size < 100 << 20: size += file.write(b"x" * (1 << 20))
except OSError: pass
os.unlink(path)
print(json.dumps(size >> 20))
"""
INODES = """
import json, os, sys
made = []
try:
    while len(made) < 2000:
        path = f"{sys.argv[1]}/n{len(made)}"
        os.close(os.open(path, os.O_CREAT)); made.append(path)
except OSError: pass
for path in made: os.unlink(path)
print(json.dumps(len(made)))
"""
DESCRIPTORS = """
import json, os, resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
try: resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
except (OSError, ValueError): pass
held = []
try:
    while len(held) < 6000: held.append(os.dup(1))
except OSError: pass
print(json.dumps(len(held)))
"""
SPIN = """
import json, os, time
def throttled():
    for path in ("/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpu,cpuacct/cpu.stat", "/sys/fs/cgroup/cpu.stat"):
        if os.path.exists(path):
            return int(dict(line.split() for line in open(path))["nr_throttled"])
before = throttled()
for _ in range(2):
    if os.fork() == 0:
        end = time.monotonic() + 2
        while time.monotonic() < end: pass
        os._exit(0)
for _ in range(2): os.wait()
print(json.dumps(throttled() - before))
"""
# attack, argument, what it gets at most under the limits, more than what its twin must get
ATTACKS = {
    "D1": (FORKS, "", 64, 149),
    "D3 workspace": (FILL, "/home/researcher", 32, 99),
    "D3 tmp": (FILL, "/tmp", 16, 99),
    "D3 shm": (FILL, "/dev/shm", 64, 99),
    "D4": (INODES, "/home/researcher", 600, 1999),
    "D5": (DESCRIPTORS, "", 4096, 5999),
}


@pytest.fixture(scope="module")
def neighbour(stage):
    """The sandbox that wants to work meanwhile."""
    yield from launched(stage)


@pytest.fixture
def attacker(stage):
    """A sandbox of its own for each attack: under gVisor it may not live through it."""
    yield from launched(stage)


def launched(stage):
    spec = stage.spec(**LIMITS)
    yield stage.launch(spec)["kernel_container"]
    stage.do(stage.portal.stop(spec["sandbox"]))


@pytest.fixture(scope="module")
def plain(stage):
    """A container as a plain notebook has it: no limits but those that the attacks set themselves."""
    command = ["docker", "run", "-d", "--rm", "--network", "none", "--user", "1300:1300", "--shm-size", "256m", "--ulimit", "nofile=8192"]
    command += ["--label", f"datasandbox.deployment={stage.id}", "--entrypoint", "sleep", stage.image, "1000"]
    container = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    yield container
    subprocess.run(["docker", "rm", "-f", container], capture_output=True, check=True)


def answers(stage, container: str) -> bool:
    return stage.run_inside(container, "print(sum(range(100)))") == "4950\n"


def attack(stage, container: str, code: str, argument: str = "") -> object:
    """Return what the attack got; None when it ended its own sandbox, as it may where gVisor's kernel is inside the same limits."""
    try:
        return json.loads(stage.run_inside(container, code, argument))
    except subprocess.CalledProcessError:
        if stage.runtime == "runc":
            raise
        with contextlib.suppress(docker.errors.NotFound):  # the warden has cleared it away
            stage.docker.containers.get(container).wait(timeout=30)
        return None


@pytest.mark.parametrize("name", ATTACKS)
def test_the_limit_holds_and_the_neighbour_answers(stage, attacker, neighbour, name):
    code, argument, most, _ = ATTACKS[name]
    got = attack(stage, attacker, code, argument)
    assert got is None or 0 < got <= most
    assert answers(stage, neighbour)
    assert got is None or answers(stage, attacker)


@pytest.mark.parametrize("name", ATTACKS)
def test_twin_without_the_limit_the_attack_goes_on(stage, plain, name):
    code, argument, _, least = ATTACKS[name]
    assert json.loads(stage.run_inside(plain, code, argument)) > least


def test_d2_a_memory_bomb_ends_itself_only(stage, attacker, neighbour):
    got = attack(stage, attacker, MEMORY)
    assert got is None or got is False
    assert answers(stage, neighbour)
    assert got is None or answers(stage, attacker)


def test_d2_twin_without_the_limit_it_gets_the_memory(stage, plain):
    assert json.loads(stage.run_inside(plain, MEMORY)) is True


def test_d6_a_spinning_sandbox_is_throttled_and_the_neighbour_answers(stage, attacker, neighbour):
    if stage.runtime == "runc":
        assert json.loads(stage.run_inside(attacker, SPIN)) > 0
    else:
        host = stage.docker.containers.get(attacker).attrs["HostConfig"]
        assert host["NanoCpus"] == 500_000_000  # the host's cgroup holds the whole of gVisor; its inside does not show it
    assert answers(stage, neighbour)


def test_d6_twin_without_the_limit_nothing_is_throttled(stage, plain):
    assert json.loads(stage.run_inside(plain, SPIN)) == 0
