"""Data containers on the real engine: see their inputs, write their output, end in time, leave nothing dangerous."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id
from sandbox.domain.spec import sign
from sandbox.domain.uids import UIDS

pytestmark = pytest.mark.docker

# Stands in for `python -m sandbox.checks TASK`: the job says what to do, so that each end of a run can be shown.
STAND_IN = """
import json, os, pathlib, sys, time
job = json.load(open("/job/job.json"))
act = job.get("act", "")
if act == "hang":
    time.sleep(600)
out = pathlib.Path("/out")
if act == "link":
    (out / "link").symlink_to("/etc/passwd")
    os.mkfifo(out / "pipe")
    (out / "folder").mkdir(mode=0o700)
    (out / "folder" / "kept").write_text("kept")
result = {"task": sys.argv[1], "uid": os.getuid(), "inputs": {str(p): p.read_text() for p in pathlib.Path("/in").rglob("*") if p.is_file()}}
refused = []
for path in ("/in/upload", "/job/job.json", "/etc/x"):
    try:
        open(path, "a")
    except OSError as error:
        refused.append(path)
result["refused"] = refused
result["secret"] = os.path.exists("/job/secret")
result["interfaces"] = [line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:]]
(out / "result.json").write_text(json.dumps(result))
os.chmod(out / "result.json", 0o600)
sys.exit(3 if act == "fail" else 0)
"""


@pytest.fixture(scope="module")
def image(stage):
    """The kernel image with a stand-in for `sandbox.checks`."""
    files = {
        "Dockerfile": f"FROM {stage.image}\nENTRYPOINT []\nENV PYTHONPATH=/standin\nCOPY sandbox /standin/sandbox\n",
        "sandbox/__init__.py": "",
        "sandbox/checks.py": STAND_IN,
    }
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    made, _ = stage.docker.images.build(
        fileobj=context, custom_context=True, tag=f"dev-warden-data-{stage.id}", rm=True, network_mode="none"
    )
    yield str(made.id)
    stage.docker.images.remove(f"dev-warden-data-{stage.id}", force=True)


@pytest.fixture
def upload(stage):
    """A file as the portal leaves it; its path under the home."""
    name = f"uploads/{new_id()}"
    path = stage.home / name
    path.write_text("a,b\n1,2\n")
    path.chmod(0o600)
    os.chown(path, UIDS["portal"], UIDS["portal"])
    return name


def run(stage, spec, **job):
    if job:
        (stage.home / "jobs" / spec["job"] / "job.json").write_text(json.dumps(job))
    return stage.do(stage.portal.data(sign(spec, stage.key)))


def test_a_data_container_reads_its_inputs_and_hands_its_output_to_the_portal(stage, image, upload):
    spec = stage.data_spec(image, upload=upload)
    answer = run(stage, spec)
    out = stage.home / spec["output"]
    result = json.loads((out / "result.json").read_text())
    assert answer["exit"] == 0
    assert result == {
        "task": "import",
        "uid": UIDS["data"],
        "inputs": {"/in/upload": "a,b\n1,2\n"},
        "refused": ["/in/upload", "/job/job.json", "/etc/x"],
        "secret": False,
        "interfaces": ["lo"],
    }
    for path in (out, out / "result.json"):
        assert (path.stat().st_uid, path.stat().st_mode & 0o044) == (UIDS["portal"], 0o044)
    stage.do(stage.recorder.settle())
    assert [entry["kind"] for entry in stage.log.entries if entry["data"].get("job") == spec["job"]] == ["data.started", "data.ended"]
    assert not stage.docker.containers.list(all=True, filters={"label": f"datasandbox.job={spec['job']}"})


def test_the_exit_code_of_a_failing_task_is_told(stage, image, upload):
    assert run(stage, stage.data_spec(image, upload=upload), act="fail")["exit"] == 3


def test_a_task_that_does_not_end_is_killed_at_its_time_and_removed(stage, image, upload):
    spec = stage.data_spec(image, seconds=1, upload=upload)
    answer = run(stage, spec, act="hang")
    assert (answer["exit"], answer["timed_out"]) == (137, True)
    assert not stage.docker.containers.list(all=True, filters={"label": f"datasandbox.job={spec['job']}"})


def test_links_and_pipes_in_the_output_are_thrown_away(stage, image, upload):
    spec = stage.data_spec(image, upload=upload)
    run(stage, spec, act="link")
    out = stage.home / spec["output"]
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*")) == ["folder", "folder/kept", "result.json"]
    assert (out / "folder" / "kept").stat().st_uid == UIDS["portal"]


def test_an_input_that_is_or_passes_through_a_link_is_refused(stage, image):
    name = f"uploads/{new_id()}"
    (stage.home / "secrets" / "key").write_text("secret")
    (stage.home / name).symlink_to(stage.home / "secrets" / "key")
    with pytest.raises(Refusal) as refusal:
        run(stage, stage.data_spec(image, upload=name))
    assert refusal.value.code == "data_start_failed"


def test_a_missing_input_is_refused_and_docker_makes_no_directory_of_it(stage, image):
    name = f"uploads/{new_id()}"
    with pytest.raises(Refusal) as refusal:
        run(stage, stage.data_spec(image, upload=name))
    assert refusal.value.code == "data_start_failed"
    assert not Path(stage.home / name).exists()


def test_a_data_spec_works_once_and_with_the_log_down_not_at_all(stage, image, upload):
    spec = stage.data_spec(image, upload=upload)
    run(stage, spec)
    with pytest.raises(Refusal) as again:
        run(stage, spec)
    assert again.value.code == "spec_used"
    stage.log.down = True
    with pytest.raises(Refusal) as unrecorded:
        run(stage, stage.data_spec(image, upload=upload))
    stage.log.down = False
    assert unrecorded.value.code == "log_unavailable"
