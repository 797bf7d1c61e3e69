"""The warden's parts without an engine: profile, freezer, what is spent, links in trees."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from audit.client import LogRefused, LogUnavailable
from sandbox.adapters.warden import FakeWarden, Warden
from sandbox.domain import spec as specs
from sandbox.domain.errors import Refusal
from sandbox.domain.messages import MESSAGES
from sandbox.warden import mounts, records, seccomp
from sandbox.warden.freezer import Cgroup
from sandbox.warden.records import Recorder
from sandbox.warden.spent import KEEP, Spent

NOW = datetime(2026, 11, 23, 6, 5, 0, tzinfo=UTC)
CONTAINER = "c0ffee" * 10 + "c0ff"


def data_spec(nonce: str = "n0nce0n0nce0") -> specs.DataSpec:
    image = "sha256:" + "a" * 64
    return specs.DataSpec(nonce, NOW, NOW + timedelta(seconds=60), "0a1b2c3d", "j0b", "import", image, 1 << 30, 60, (), "jobs/j0b/out")


def sandbox_spec(nonce: str, issued: datetime) -> specs.SandboxSpec:
    kernel = specs.Kernel("sha256:" + "a" * 64, "runc", 1 << 30, 1.0, 64, 1 << 20, specs.Workspace(1 << 30, 1000), "en", ())
    session = specs.Session("s1", "sha256:" + "b" * 64, 1 << 29, {})
    return specs.SandboxSpec(
        nonce, issued, issued + timedelta(seconds=60), "0a1b2c3d", "s4ndb0xs4ndb", "b00t", "researcher", "pr0j", {}, kernel, session
    )


def test_the_published_profile_is_the_one_in_force():
    published = Path(__file__).parents[2] / "images" / "kernel" / "seccomp.json"
    assert json.loads(published.read_text()) == seccomp.profile()


@pytest.mark.parametrize(
    "name",
    [
        "mount",
        "umount2",
        "unshare",
        "setns",
        "ptrace",
        "process_vm_readv",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "keyctl",
        "add_key",
        "request_key",
        "io_uring_setup",
        "pivot_root",
        "open_by_handle_at",
        "init_module",
        "kexec_load",
        "reboot",
        "swapon",
        "syslog",
        "clone3",
        "open_tree",
        "fsopen",
        "pidfd_getfd",
        "setuid",
        "setresuid",
        "capset",
        "sync",
        "splice",
        "vmsplice",
        "memfd_create",
        "execveat",
        "personality",
    ],
)
def test_the_profile_allows_no_call_that_the_threat_model_names(name):
    allowed = {call for rule in seccomp.profile()["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for call in rule["names"]}
    assert name not in allowed
    assert seccomp.profile()["defaultAction"] == "SCMP_ACT_ERRNO"


def test_a_nonce_is_spent_once_even_across_a_restart(tmp_path):
    path = tmp_path / "spent.json"
    Spent(path).spend(data_spec(), NOW)
    with pytest.raises(Refusal) as refusal:
        Spent(path).spend(data_spec(), NOW + timedelta(seconds=30))
    assert refusal.value.code == "spec_used"


def test_what_is_spent_is_forgotten_only_when_the_spec_has_expired(tmp_path):
    spent = Spent(tmp_path / "spent.json")
    spent.spend(data_spec(), NOW)
    spent.keep(NOW + specs.LIFETIME)
    assert "n0nce0n0nce0" in (tmp_path / "spent.json").read_text()
    spent.keep(NOW + KEEP)
    assert "n0nce0n0nce0" not in (tmp_path / "spent.json").read_text()


def test_a_cut_withdraws_what_was_issued_before_it_and_nothing_after(tmp_path):
    spent = Spent(tmp_path / "spent.json")
    spent.withdraw("s4ndb0xs4ndb", NOW)
    with pytest.raises(Refusal) as refusal:
        spent.spend(sandbox_spec("n0nce0n0nce1", NOW), NOW)
    assert (refusal.value.code, refusal.value.field) == ("spec_expired", "issued")
    spent.spend(sandbox_spec("n0nce0n0nce2", NOW + timedelta(milliseconds=1)), NOW)
    assert "n0nce0n0nce2" in (tmp_path / "spent.json").read_text()


def test_a_damaged_memory_of_what_is_spent_stops_the_warden(tmp_path):
    (tmp_path / "spent.json").write_text('{"nonces"')
    with pytest.raises(ValueError, match="Expecting"):
        Spent(tmp_path / "spent.json")


@pytest.mark.parametrize(
    ("line", "folder", "v2"),
    [
        (f"7:freezer:/docker/{CONTAINER}\n0::/other\n", f"freezer/docker/{CONTAINER}", False),
        (f"0::/system.slice/docker-{CONTAINER}.scope\n", f"system.slice/docker-{CONTAINER}.scope", True),
    ],
)
def test_the_freezer_writes_where_this_linux_keeps_the_container(tmp_path, line, folder, v2):
    (tmp_path / "proc" / "42").mkdir(parents=True)
    (tmp_path / "proc" / "42" / "cgroup").write_text(line)
    (tmp_path / folder).mkdir(parents=True)
    cgroup = Cgroup.of(42, CONTAINER, root=tmp_path, proc=tmp_path / "proc")
    cgroup.freeze()
    assert cgroup == Cgroup(tmp_path / folder, v2)
    assert (tmp_path / folder / ("cgroup.freeze" if v2 else "freezer.state")).read_text() == ("1" if v2 else "FROZEN")


def test_a_process_id_used_again_is_not_taken_for_the_container(tmp_path):
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "cgroup").write_text("0::/user.slice\n")
    with pytest.raises(ProcessLookupError):
        Cgroup.of(42, CONTAINER, root=tmp_path, proc=tmp_path)


def test_a_path_through_a_link_is_not_inside_the_home(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "a").symlink_to(tmp_path / "secrets")
    with pytest.raises(PermissionError):
        mounts.inside(tmp_path, "uploads/a")
    with pytest.raises(FileNotFoundError):
        mounts.inside(tmp_path, "uploads/b")


def test_reading_is_granted_below_a_folder_but_never_through_a_link(tmp_path):
    (tmp_path / "secret").touch(0o600)
    (tmp_path / "in").mkdir(0o700)
    (tmp_path / "in" / "file").touch(0o600)
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    mounts.let_read(tmp_path / "in", 0o040)
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("in", "in/file", "secret")] == ["0o750", "0o640", "0o600"]


class Log:
    """A source that fails as told, then takes everything."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.kinds: list[str] = []

    async def append(self, kind, *, actor, refs, data):
        if self.failures:
            raise self.failures.pop(0)
        self.kinds.append(kind)
        return len(self.kinds)


@pytest.mark.parametrize("failure", [LogUnavailable(), LogRefused("log.bad_leaf")])
async def test_an_act_on_data_is_refused_when_it_cannot_be_recorded(failure):
    with pytest.raises(Refusal) as refusal:
        await Recorder(Log(failure)).before("kernel.started", {}, {})
    assert (refusal.value.code, refusal.value.status) == ("log_unavailable", 503)


async def test_what_has_happened_is_recorded_in_order_once_the_log_is_back(monkeypatch):
    monkeypatch.setattr(records, "RETRY_SECONDS", 0)
    log = Log(LogUnavailable(), LogUnavailable())
    recorder = Recorder(log)
    recorder.later("kernel.ended", {}, {})
    recorder.later("kernel.cut", {}, {})
    await recorder.settle()
    assert log.kinds == ["kernel.ended", "kernel.cut"]


async def test_a_warden_that_does_not_answer_is_a_refusal():
    warden = Warden("http://127.0.0.1:9", "token")
    with pytest.raises(Refusal) as refusal:
        await warden.cut("s4ndb0xs4ndb", "revoked")
    await warden.close()
    assert (refusal.value.code, refusal.value.status) == ("warden_unavailable", 503)


async def test_the_fake_runs_one_kernel_a_sandbox_until_it_is_cut():
    fake = FakeWarden()
    envelope = {"spec": {"sandbox": "s4ndb0xs4ndb", "boot": "b00t", "deployment": "0a1b2c3d"}}
    await fake.launch(envelope)
    with pytest.raises(Refusal) as refusal:
        await fake.launch(envelope)
    assert refusal.value.code == "sandbox_running"
    assert [(await fake.cut("s4ndb0xs4ndb", "x"))["was_running"] for _ in range(2)] == [True, False]


def test_every_code_of_the_warden_has_a_text():
    source = "".join(path.read_text() for path in Path(mounts.__file__).parent.glob("*.py")) + Path(specs.__file__).read_text()
    codes = {part.split('"')[0] for part in source.split('Refusal("')[1:]}
    assert codes - MESSAGES.keys() == set()
