"""Launch on the real engine: from the spec alone, once, all or nothing."""

import json
import stat
from pathlib import Path

import pytest

from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id
from sandbox.domain.spec import sign

pytestmark = pytest.mark.docker


def refused(call, *arguments):
    with pytest.raises(Refusal) as refusal:
        call(*arguments)
    return refusal.value


def test_a_launched_kernel_container_is_what_the_rules_say(stage):
    release = stage.release()
    spec = stage.spec(releases=[{"id": release, "dataset": "flights"}])
    answer = stage.launch(spec)
    seen = stage.docker.api.inspect_container(answer["kernel_container"])
    host, config = seen["HostConfig"], seen["Config"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
    assert config["User"] == "1300:1300"
    assert host["PidsLimit"] == 128
    assert host["Memory"] == host["MemorySwap"] == 1 << 30
    assert host["NanoCpus"] == 1_000_000_000
    assert seen["Image"] == spec["kernel"]["image"]
    assert {mount["Destination"]: mount["RW"] for mount in seen["Mounts"]} == {
        "/sock": True,
        "/door": False,
        "/home/researcher": True,
        "/data/flights": False,
    }
    assert not [name for name in config["Env"] if "TOKEN" in name or "PROXY" in name.upper()]
    assert config["Labels"]["datasandbox.deployment"] == stage.id
    assert stage.log.kinds(spec["sandbox"]) == ["kernel.started"]
    for path, mode, uid, gid in ((answer["sock"], 0o2710, 1300, 1300), (answer["door"], 0o2750, 1200, 1300)):
        status = Path(path).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, uid, gid)
    code = "import os,json;print(json.dumps([open('/data/flights/data.parquet').read(),os.statvfs('/sock').f_files,os.getuid()]))"
    assert json.loads(stage.run_inside(answer["kernel_container"], code)) == ["a,b\n1,2\n", 64, 1300]
    assert stage.run_inside(answer["kernel_container"], "print(open('/etc/resolv.conf').read().split())") == "['nameserver', '127.0.0.1']\n"
    stage.do(stage.hub.stop(spec["sandbox"]))


def test_the_workspace_survives_a_stop_and_nothing_else_does(stage):
    spec = stage.spec()
    answer = stage.launch(spec)
    stage.run_inside(answer["kernel_container"], "open('/home/researcher/kept.txt','w').write('kept')")
    stage.do(stage.portal.stop(spec["sandbox"]))
    assert not Path(answer["sock"]).exists()
    assert not stage.docker.containers.list(all=True, filters={"label": f"datasandbox.sandbox={spec['sandbox']}"})
    again = stage.launch(stage.spec(spec["sandbox"]))
    assert stage.run_inside(again["kernel_container"], "print(open('/home/researcher/kept.txt').read(), end='')") == "kept"
    stage.do(stage.portal.stop(spec["sandbox"]))
    stage.do(stage.recorder.settle())
    assert stage.log.kinds(spec["sandbox"]) == ["kernel.started", "kernel.ended"] * 2


def test_a_spec_works_once_even_after_a_restart_of_the_warden(stage):
    spec = stage.spec()
    answer = stage.launch(spec)
    assert refused(stage.launch, spec).code == "spec_used"
    stage.start()
    assert refused(stage.launch, spec).code == "spec_used"
    assert stage.do(stage.portal.state()) == [{"sandbox": spec["sandbox"], "boot": spec["boot"], "state": "running"}]
    assert refused(stage.launch, stage.spec(spec["sandbox"])).code == "sandbox_running"
    stage.do(stage.portal.stop(spec["sandbox"]))
    assert not Path(answer["sock"]).exists()
    assert refused(stage.launch, spec).code == "spec_used"


def test_altered_expired_foreign_or_privileged_specs_start_nothing(stage):
    spec = stage.spec()
    envelope = sign(spec, stage.key)
    altered = {**envelope, "spec": {**spec, "sandbox": new_id()}}
    assert refused(stage.do, stage.hub.launch(altered)).code == "spec_invalid"
    privileged = {**envelope, "spec": {**spec, "privileged": True}}
    assert refused(stage.do, stage.hub.launch(privileged)).code == "spec_invalid"
    old = {**spec, "issued": "2026-01-01T00:00:00.000Z", "expires": "2026-01-01T00:01:00.000Z"}
    assert refused(stage.launch, old).code == "spec_expired"
    refusal = refused(stage.launch, {**spec, "deployment": "00000000" if stage.id != "00000000" else "00000001"})
    assert (refusal.code, refusal.field) == ("spec_invalid", "deployment")
    assert stage.do(stage.portal.state()) == []


def test_only_the_named_holder_may_call(stage):
    spec = stage.spec()
    assert refused(stage.do, stage.portal.launch(sign(spec, stage.key))).code == "warden_forbidden"
    assert refused(stage.do, stage.hub.cut(spec["sandbox"], "test")).code == "warden_forbidden"
    stranger = type(stage.hub)(stage.url, "no-such-token")
    assert refused(stage.do, stranger.stop(spec["sandbox"])).code == "warden_unauthorized"
    stage.do(stranger.close())


def test_with_the_log_down_nothing_starts(stage):
    spec = stage.spec()
    stage.log.down = True
    assert refused(stage.launch, spec).code == "log_unavailable"
    stage.log.down = False
    assert stage.do(stage.portal.state()) == []
    assert not (stage.run / "sb" / spec["sandbox"]).exists()


def test_a_start_that_fails_leaves_nothing(stage):
    spec = stage.spec(image="sha256:" + "0" * 64)
    assert refused(stage.launch, spec).code == "kernel_start_failed"
    assert not (stage.run / "sb" / spec["sandbox"]).exists()
    missing = stage.spec(releases=[{"id": new_id(), "dataset": "flights"}])
    assert refused(stage.launch, missing).field == "kernel.releases"
    stage.do(stage.recorder.settle())
    assert stage.log.kinds(spec["sandbox"]) == ["kernel.started", "kernel.ended"]
    assert stage.do(stage.portal.state()) == []


def test_a_kernel_container_that_dies_is_cleared_away_and_recorded(stage):
    spec = stage.spec()
    answer = stage.launch(spec)
    live = stage.sandboxes._live[spec["sandbox"]]
    stage.docker.containers.get(answer["kernel_container"]).kill()
    stage.do(live.ended.wait())
    stage.do(stage.recorder.settle())
    assert not Path(answer["sock"]).exists()
    assert stage.log.entries[-1]["data"]["cause"] == "exited"


def test_what_an_earlier_warden_left_half_done_is_taken_away(stage):
    spec = stage.spec()
    answer = stage.launch(spec)
    live = stage.sandboxes._live[spec["sandbox"]]
    live.cgroup.freeze()  # as if the warden died in the middle of a cut
    stale = stage.run / "sb" / new_id()
    (stale / "sock").mkdir(parents=True)
    stage.start()
    assert stage.do(stage.portal.state()) == []
    assert not stale.exists()
    assert not Path(answer["sock"]).exists()
    assert not stage.docker.containers.list(all=True, filters={"label": f"datasandbox.sandbox={spec['sandbox']}"})
