"""Specs: what is signed is what runs; everything else is refused by name."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.domain import spec as specs
from sandbox.domain.errors import Refusal

NOW = datetime(2026, 11, 23, 6, 5, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.generate()
SANDBOX: dict[str, Any] = {
    "v": 1, "kind": "sandbox", "nonce": "n0nce0n0nce0", "issued": "2026-11-23T06:05:00.000Z", "expires": "2026-11-23T06:06:00.000Z",
    "deployment": "0a1b2c3d", "sandbox": "s4ndb0xs4ndb", "boot": "b00tb00tb00t", "login": "researcher", "project": "pr0jpr0jpr0j",
    "epochs": {"gr33mntgr33m": 3},
    "kernel": {"image": "sha256:" + "a" * 64, "runtime": "runc", "memory": 1 << 30, "cpus": 1.5, "pids": 256, "tmp_bytes": 1 << 28,
               "workspace": {"bytes": 1 << 31, "inodes": 100_000}, "lang": "zh-CN", "releases": [{"id": "r3l3s3r3l3s3", "dataset": "flights"}]},
    "session": {"id": "s3ss10ns3ss1", "image": "sha256:" + "b" * 64, "memory": 1 << 29, "environment": {"A_TOKEN": "x"}},
}  # fmt: skip
DATA: dict[str, Any] = {
    "v": 1, "kind": "data", "nonce": "n0nce0n0nce1", "issued": "2026-11-23T06:05:00.000Z", "expires": "2026-11-23T06:06:00.000Z",
    "deployment": "0a1b2c3d", "job": "j0bj0bj0bj0b", "task": "import", "image": "sha256:" + "c" * 64, "memory": 1 << 30, "seconds": 60,
    "inputs": [{"source": "uploads/pl04dpl04dpl", "target": "/in/upload"}], "output": "jobs/j0bj0bj0bj0b/out",
}  # fmt: skip


def changed(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of `base` with one field (dotted path) set."""
    whole = copy.deepcopy(base)
    *parents, last = path.split(".")
    at: Any = whole
    for name in parents:
        at = at[int(name)] if isinstance(at, list) else at[name]
    at[last] = value
    return whole


@pytest.mark.parametrize("spec", [SANDBOX, DATA], ids=["sandbox", "data"])
def test_a_signed_spec_in_force_reads_back_as_it_was_signed(spec: dict[str, Any]) -> None:
    value = specs.verify(specs.sign(spec, KEY), KEY.public_key(), NOW)
    assert specs.canonical(specs.plain(value)) == specs.canonical(spec)


@pytest.mark.parametrize(
    ("base", "path", "value"),
    [
        (SANDBOX, "privileged", True),
        (SANDBOX, "kernel.network", "host"),
        (SANDBOX, "kernel.cap_add", ["SYS_ADMIN"]),
        (SANDBOX, "kernel.volumes", ["/:/host"]),
        (SANDBOX, "kernel.image", "datasandbox/kernel:latest"),
        (SANDBOX, "kernel.runtime", "crun"),
        (SANDBOX, "kernel.pids", -1),
        (SANDBOX, "kernel.pids", True),
        (SANDBOX, "kernel.memory", 0),
        (SANDBOX, "kernel.workspace.bytes", 1 << 50),
        (SANDBOX, "kernel.workspace.inodes", 0),
        (SANDBOX, "kernel.cpus", 1000),
        (SANDBOX, "kernel.releases", [{"id": "../secrets", "dataset": "flights"}]),
        (SANDBOX, "kernel.releases", [{"id": "r3l3s3r3l3s3", "dataset": "../sock"}]),
        (SANDBOX, "kernel.releases", [{"id": "r3l3s3r3l3s3", "dataset": "a"}] * 2),
        (SANDBOX, "sandbox", "../../etc"),
        (SANDBOX, "nonce", "short"),
        (SANDBOX, "expires", "2026-11-23T07:05:00.000Z"),
        (SANDBOX, "issued", "2026-11-23 06:05:00"),
        (SANDBOX, "session.environment", {"a=b": "c"}),
        (SANDBOX, "v", 2),
        (SANDBOX, "kind", "root"),
        (DATA, "inputs.0.source", "secrets/portal"),
        (DATA, "inputs.0.source", "uploads/../secrets/portal/launch.key"),
        (DATA, "inputs.0.source", "/etc/shadow"),
        (DATA, "inputs.0.source", "uploads"),
        (DATA, "inputs.0.target", "/out"),
        (DATA, "inputs.0.target", "/in/../job"),
        (DATA, "output", "jobs/s0m3b0dy3ls3/out"),
        (DATA, "task", "shell"),
        (DATA, "seconds", 10**9),
    ],
)
def test_a_field_that_is_unknown_or_ill_formed_is_refused_and_never_signed(base: dict[str, Any], path: str, value: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        specs.sign(changed(base, path, value), KEY)
    assert refusal.value.code == "spec_invalid"
    assert refusal.value.status == 403


def test_a_missing_field_is_named() -> None:
    spec = copy.deepcopy(SANDBOX)
    del spec["kernel"]["pids"]
    with pytest.raises(Refusal) as refusal:
        specs.parse(spec)
    assert (refusal.value.code, refusal.value.field) == ("spec_invalid", "kernel.pids")


def test_an_altered_spec_is_refused() -> None:
    envelope = specs.sign(SANDBOX, KEY)
    envelope["spec"]["kernel"] = {**SANDBOX["kernel"], "memory": 2 << 30}
    with pytest.raises(Refusal) as refusal:
        specs.verify(envelope, KEY.public_key(), NOW)
    assert (refusal.value.code, refusal.value.field) == ("spec_invalid", "signature")


def test_a_spec_signed_by_another_key_is_refused() -> None:
    with pytest.raises(Refusal) as refusal:
        specs.verify(specs.sign(SANDBOX, Ed25519PrivateKey.generate()), KEY.public_key(), NOW)
    assert (refusal.value.code, refusal.value.field) == ("spec_invalid", "signature")


@pytest.mark.parametrize(("seconds", "code"), [(60, "spec_expired"), (3600, "spec_expired"), (-6, "spec_invalid")])
def test_a_spec_outside_its_sixty_seconds_is_refused(seconds: int, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        specs.verify(specs.sign(SANDBOX, KEY), KEY.public_key(), NOW + timedelta(seconds=seconds))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "envelope", [None, [], {}, {"spec": {}, "signature": 1}, {"spec": [], "signature": "AA=="}, {"spec": {"a": 1e400}, "signature": "AA=="}]
)
def test_anything_that_is_not_an_envelope_is_refused(envelope: object) -> None:
    with pytest.raises(Refusal) as refusal:
        specs.verify(envelope, KEY.public_key(), NOW)
    assert refusal.value.code == "spec_invalid"
