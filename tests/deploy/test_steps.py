import os
import socket
import subprocess
from dataclasses import replace

import pytest

from sandbox.deploy import compose, host, images, mounts, state, steps, testing
from sandbox.deploy.steps import CHECKOUT, SetupError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_a_step_runs_once_a_key_and_again_when_what_it_made_is_gone(cache, tmp_path):
    made, ran = tmp_path / "made", []

    def work():
        ran.append(1)
        made.touch()

    assert steps.once("s", "k1", "doing", work, made=made)
    assert not steps.once("s", "k1", "doing", work, made=made)
    assert steps.once("s", "k2", "doing", work, made=made)
    made.unlink()
    assert steps.once("s", "k2", "doing", work, made=made)
    assert len(ran) == 3


def test_a_step_that_fails_is_not_done(cache):
    def fail():
        raise SetupError("x", "y", "z")

    with pytest.raises(SetupError):
        steps.once("s", "k", "doing", fail)
    assert steps.once("s", "k", "doing", lambda: None)


def test_a_failed_command_shows_its_last_words_and_what_to_do(cache):
    with pytest.raises(SetupError, match="last words") as refused:
        steps.run(["sh", "-c", "echo last words; exit 3"], advice="call someone", log="x")
    assert (refused.value.code, refused.value.advice) == ("command_failed", "call someone")


def test_a_digest_sees_content_name_and_execute_bit_but_no_cache_files(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a").write_text("1")
    seen = [steps.digest([folder])]
    (folder / "a").write_text("2")
    seen.append(steps.digest([folder]))
    (folder / "a").rename(folder / "b")
    seen.append(steps.digest([folder]))
    (folder / "b").chmod(0o755)
    seen.append(steps.digest([folder]))
    assert len(set(seen)) == 4
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("")
    assert steps.digest([folder]) == seen[-1]


def test_no_lock_names_a_machine_or_a_registry():
    files = [
        *(CHECKOUT / "images").rglob("*.txt"),
        *(CHECKOUT / "images").rglob("package-lock.json"),
        CHECKOUT / "sandbox/web/package-lock.json",
    ]
    for file in files:
        text = file.read_text()
        assert "index-url" not in text, file
        assert '"resolved"' not in text, file
        assert not [line for line in text.splitlines() if "://" in line and "url" not in line and "fund" not in line], file


def test_every_locked_package_has_a_hash():
    for file in (CHECKOUT / "images" / "locks").glob("*.txt"):
        packages = [line for line in file.read_text().splitlines() if "==" in line]
        assert packages
        assert all(line.endswith("\\") for line in packages), file


def test_what_runs_untrusted_code_has_no_dependency_of_ours():
    kernel = (CHECKOUT / "images/locks/kernel.txt").read_text()
    assert "ipykernel==" in kernel
    assert not [name for name in ("jupyterhub==", "aiohttp==", "cryptography==", "docker==") if name in kernel]
    assert "ipykernel==" not in (CHECKOUT / "images/locks/session.txt").read_text()


def test_images_are_built_from_named_parents():
    assert {parent for image in images.ALL.values() for parent in image.parents} <= {*images.ALL, "rootfs"}
    assert set(images.RUNNING) <= set(images.ALL)


def test_a_taken_port_is_said_with_a_stable_code(monkeypatch, tmp_path):
    monkeypatch.setattr(compose, "run", lambda *_args, **_named: "")  # no proxy of ours runs
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(SetupError) as refused:
            compose.free(state.Deployment(tmp_path, "00000000", "http://sandbox.localhost:1", other.getsockname()[1]))
    assert refused.value.code == "port_taken"


def test_only_the_engine_we_started_is_ended(monkeypatch, tmp_path):
    monkeypatch.setattr(host, "PID", tmp_path / "dockerd.pid")
    assert not host.stop_engine()
    other = subprocess.Popen(["sleep", "60"])
    try:
        host.PID.write_text(f"{other.pid} 1")  # the pid was used again
        assert not host.stop_engine()
        assert other.poll() is None
        host.PID.write_text(f"{other.pid} {host._began(other.pid)}")
        assert host.stop_engine()
        assert other.wait() == -15
    finally:
        other.kill()


@needs_root
def test_mounts_go_deepest_first_and_another_deployments_stay(tmp_path):
    home, inner = tmp_path / "home", tmp_path / "home" / "inner"
    inner.mkdir(parents=True)
    try:
        mounts.share(home)
        mounts.share(home / "a" / "b")
        mounts.share(home / "a")
        assert mounts.mounted_under(home)[0] == home / "a" / "b"
        (inner / "deployment.json").touch()
        mounts.share(inner)
        assert inner in mounts.release(home)
        (inner / "deployment.json").unlink()
        assert mounts.release(home) == []
    finally:
        (inner / "deployment.json").unlink(missing_ok=True)
        while left := mounts.mounted_under(tmp_path):
            subprocess.run(["umount", "-l", left[0]], check=True)


@needs_root
def test_clean_refuses_while_something_is_mounted_and_removes_nothing(tmp_path):
    (tmp_path / "kept").write_text("x")
    mounts.share(tmp_path)
    try:
        with pytest.raises(SetupError) as refused:
            compose.clean(tmp_path)
        assert refused.value.code == "still_mounted"
        assert (tmp_path / "kept").exists()
    finally:
        mounts.release(tmp_path)
    compose.clean(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_environment_of_compose_has_no_token_of_the_portal(tmp_path):
    deployment = replace(state.init(tmp_path / "h"), images={"session": "sha256:1"})
    given = compose.variables(deployment)
    tokens = {path.read_text() for path in (tmp_path / "h/secrets").rglob("*.token")}
    assert {name for name, value in given.items() if value in tokens} == {"CONFIGPROXY_AUTH_TOKEN"}


def test_the_closing_line_counts_errors_as_failed():
    xml = '<testsuites><testsuite tests="7" failures="1" errors="2" skipped="1"/></testsuites>'
    assert testing.closing(xml) == "3 passed, 3 failed, 1 skipped"
