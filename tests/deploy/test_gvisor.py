"""Registering gVisor keeps what an operator wrote into daemon.json; the setting is checked and kept."""

import json

import pytest

from sandbox.deploy import compose, gvisor
from sandbox.deploy.steps import SetupError


def test_an_entry_is_added_once_and_the_rest_of_the_file_stays(tmp_path):
    file = tmp_path / "docker" / "daemon.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"log-level": "warn", "runtimes": {"kata": {"path": "/opt/kata"}}}))
    binary = tmp_path / "runsc"
    assert gvisor.write(file, binary) is True
    assert gvisor.write(file, binary) is False
    assert json.loads(file.read_text()) == {
        "log-level": "warn",
        "runtimes": {"kata": {"path": "/opt/kata"}, "runsc": {"path": str(binary), "runtimeArgs": ["--host-uds=all"]}},
    }


def test_a_missing_file_is_made(tmp_path):
    assert gvisor.write(tmp_path / "etc" / "daemon.json", tmp_path / "runsc")
    assert list(json.loads((tmp_path / "etc" / "daemon.json").read_text())) == ["runtimes"]


@pytest.mark.parametrize("text", ["{", "[]", '{"runtimes": []}'])
def test_a_file_that_cannot_be_read_is_named_and_left_alone(tmp_path, text):
    file = tmp_path / "daemon.json"
    file.write_text(text)
    with pytest.raises(SetupError) as refused:
        gvisor.write(file, tmp_path / "runsc")
    assert refused.value.code == "daemon_json_invalid"
    assert file.read_text() == text


def test_the_runtime_is_given_once_and_only_a_known_one(tmp_path, monkeypatch):
    monkeypatch.delenv("DATASANDBOX_RUNTIME", raising=False)
    assert compose.runtime(tmp_path) == "runc"
    (tmp_path / "compose.env").write_text("DATASANDBOX_RUNTIME=runsc\n")
    assert compose.runtime(tmp_path) == "runsc"
    monkeypatch.setenv("DATASANDBOX_RUNTIME", "kata")
    with pytest.raises(SetupError) as refused:
        compose.runtime(tmp_path)
    assert refused.value.code == "runtime_unknown"
