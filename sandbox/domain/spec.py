"""Launch and data specs: what the portal signs and the warden runs, and nothing else (interfaces.md, 5).

A spec is Ed25519-signed over its RFC 8785 JSON, lives at most 60 seconds and is used once. Every field is checked here, for the
signer as for the runner: an unknown, missing or ill-formed one is refused with `spec_invalid` and the field's path.
No field of a spec chooses privileges, mounts or networks: those are the warden's alone.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sandbox.domain.errors import Refusal

LIFETIME = timedelta(seconds=60)
# How far a spec may come from the future: signer and runner share a node or NTP, nothing more is assumed.
SKEW = timedelta(seconds=5)
MIB = 1 << 20
GIB = 1 << 30

_T = TypeVar("_T")

_ID = re.compile(r"[0-9a-z]{12}")
_NAME = re.compile(r"[0-9a-z][0-9a-z_-]{0,62}")
_DEPLOYMENT = re.compile(r"[0-9a-f]{8}")
_NONCE = re.compile(r"[0-9A-Za-z_-]{12,64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# A component starts with a letter or digit, so neither `.` nor `..` nor a hidden file is one.
_COMPONENT = r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}"
_SOURCE = re.compile(rf"(?:uploads|sources|releases|exports|jobs)(?:/{_COMPONENT}){{1,4}}")
_TARGET = re.compile(rf"/in(?:/{_COMPONENT}){{1,4}}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Release:
    """A release to mount read-only at `/data/<dataset>`."""

    id: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Workspace:
    """How much a workspace holds when it is first made: bytes of its file system, files and directories."""

    bytes: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """Limits and image of the kernel container (bytes, CPUs, processes)."""

    image: str
    runtime: str
    memory: int
    cpus: float
    pids: int
    tmp_bytes: int
    workspace: Workspace
    lang: str
    releases: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """Id, image, memory (bytes) and environment of the session container, for the hub's spawner."""

    id: str
    image: str
    memory: int
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """One start of one sandbox, approved and recorded by the portal."""

    nonce: str
    issued: datetime
    expires: datetime
    deployment: str
    sandbox: str
    boot: str
    login: str
    project: str
    epochs: Mapping[str, int]
    kernel: Kernel
    session: Session


@dataclass(frozen=True, slots=True)
class Input:
    """A path under the home, read-only at `target` in a data container."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class DataSpec:
    """One one-shot data container: import, preparation or check."""

    nonce: str
    issued: datetime
    expires: datetime
    deployment: str
    job: str
    task: str
    image: str
    memory: int
    seconds: int
    inputs: tuple[Input, ...]
    output: str


Spec = SandboxSpec | DataSpec


def canonical(spec: Mapping[str, Any]) -> bytes:
    """Return the RFC 8785 bytes of `spec`, those that are signed. Raises Refusal `spec_invalid` if it has none."""
    try:
        return rfc8785.dumps(dict(spec))
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise _invalid("spec") from error


def sign(spec: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the envelope of `spec`; a spec that the warden would refuse is never signed (Refusal `spec_invalid`)."""
    parse(spec)
    return {"spec": dict(spec), "signature": base64.b64encode(key.sign(canonical(spec))).decode()}


def verify(envelope: object, public: Ed25519PublicKey, now: datetime) -> Spec:
    """Return the spec in `envelope` if `public` signed it and it is in force at `now` (aware).

    Raises Refusal with status 403: `spec_invalid` (form, signature, too long a life) or `spec_expired`. The caller still compares
    the deployment and spends the nonce.
    """
    whole = _fields(envelope, "envelope", {"spec", "signature"})
    signature = _text(whole, "signature", "envelope")
    try:
        raw = base64.b64decode(signature, validate=True)
        public.verify(raw, canonical(_mapping(whole["spec"], "spec")))
    except (binascii.Error, ValueError, InvalidSignature) as error:
        raise _invalid("signature") from error
    spec = parse(whole["spec"])
    if spec.issued > now + SKEW:
        raise _invalid("issued")
    if now >= spec.expires:
        raise Refusal("spec_expired", field="expires", status=403)
    return spec


def parse(spec: object) -> Spec:
    """Return the checked spec of a plain mapping. Raises Refusal `spec_invalid` naming the first bad field."""
    mapping = _mapping(spec, "spec")
    if mapping.get("v") != 1 or isinstance(mapping.get("v"), bool):
        raise _invalid("v")
    match mapping.get("kind"):
        case "sandbox":
            return _sandbox(mapping)
        case "data":
            return _data(mapping)
    raise _invalid("kind")


def plain(spec: Spec) -> dict[str, Any]:
    """Return the mapping of a spec value, ready for `sign`."""
    whole = asdict(spec)
    whole |= {"v": 1, "kind": "sandbox" if isinstance(spec, SandboxSpec) else "data"}
    whole |= {"issued": timestamp(spec.issued), "expires": timestamp(spec.expires)}
    return whole


def is_id(value: object) -> bool:
    """Tell whether `value` has the form of an id of ours, so that it can be part of a path or name."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def timestamp(moment: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sandbox(spec: Mapping[str, Any]) -> SandboxSpec:
    whole = _fields(
        spec,
        "",
        {"v", "kind", "nonce", "issued", "expires", "deployment", "sandbox", "boot", "login", "project", "epochs", "kernel", "session"},
    )
    issued, expires = _life(whole)
    epochs = _mapping(whole["epochs"], "epochs")
    for agreement in epochs:
        _check(_NAME, agreement, "epochs")
        _integer(epochs, agreement, "epochs", 0, 1 << 40)
    session = _fields(whole["session"], "session", {"id", "image", "memory", "environment"})
    environment = _mapping(session["environment"], "session.environment")
    for name, value in environment.items():
        _check(_VARIABLE, name, "session.environment")
        if not isinstance(value, str) or "\0" in value or len(value) > 1 << 16:
            raise _invalid(f"session.environment.{name}")
    return SandboxSpec(
        nonce=_match(whole, "nonce", _NONCE),
        issued=issued,
        expires=expires,
        deployment=_match(whole, "deployment", _DEPLOYMENT),
        sandbox=_match(whole, "sandbox", _ID),
        boot=_match(whole, "boot", _NAME),
        login=_match(whole, "login", _NAME),
        project=_match(whole, "project", _NAME),
        epochs=dict(epochs),
        kernel=_kernel(whole["kernel"]),
        session=Session(
            id=_match(session, "id", _NAME, "session"),
            image=_match(session, "image", _DIGEST, "session"),
            memory=_integer(session, "memory", "session", 64 * MIB, 64 * GIB),
            environment=dict(environment),
        ),
    )


def _kernel(value: object) -> Kernel:
    kernel = _fields(value, "kernel", {"image", "runtime", "memory", "cpus", "pids", "tmp_bytes", "workspace", "lang", "releases"})
    releases = _list(
        kernel,
        "releases",
        "kernel",
        lambda item, at: Release(_match(_fields(item, at, {"id", "dataset"}), "id", _NAME, at), _match(item, "dataset", _NAME, at)),
    )
    if len({release.dataset for release in releases}) != len(releases):
        raise _invalid("kernel.releases")
    workspace = _fields(kernel["workspace"], "kernel.workspace", {"bytes", "inodes"})
    cpus = kernel["cpus"]
    if isinstance(cpus, bool) or not isinstance(cpus, int | float) or not 0.1 <= cpus <= 64:
        raise _invalid("kernel.cpus")
    return Kernel(
        image=_match(kernel, "image", _DIGEST, "kernel"),
        runtime=_one_of(kernel, "runtime", {"runc", "runsc"}, "kernel"),
        memory=_integer(kernel, "memory", "kernel", 64 * MIB, 64 * GIB),
        cpus=float(cpus),
        pids=_integer(kernel, "pids", "kernel", 16, 4096),
        tmp_bytes=_integer(kernel, "tmp_bytes", "kernel", MIB, 16 * GIB),
        workspace=Workspace(
            bytes=_integer(workspace, "bytes", "kernel.workspace", 16 * MIB, 1024 * GIB),
            inodes=_integer(workspace, "inodes", "kernel.workspace", 64, 1 << 24),
        ),
        lang=_one_of(kernel, "lang", {"zh-CN", "en"}, "kernel"),
        releases=releases,
    )


def _data(spec: Mapping[str, Any]) -> DataSpec:
    whole = _fields(
        spec,
        "",
        {"v", "kind", "nonce", "issued", "expires", "deployment", "job", "task", "image", "memory", "seconds", "inputs", "output"},
    )
    issued, expires = _life(whole)
    job = _match(whole, "job", _NAME)
    inputs = _list(
        whole,
        "inputs",
        "",
        lambda item, at: Input(_match(_fields(item, at, {"source", "target"}), "source", _SOURCE, at), _match(item, "target", _TARGET, at)),
    )
    if len({item.target for item in inputs}) != len(inputs):
        raise _invalid("inputs")
    # The one place a data container writes is its own job's; naming it otherwise is an attempt on somebody else's.
    output = _one_of(whole, "output", {f"jobs/{job}/out"})
    return DataSpec(
        nonce=_match(whole, "nonce", _NONCE),
        issued=issued,
        expires=expires,
        deployment=_match(whole, "deployment", _DEPLOYMENT),
        job=job,
        task=_one_of(whole, "task", {"import", "prepare", "check"}),
        image=_match(whole, "image", _DIGEST),
        memory=_integer(whole, "memory", "", 64 * MIB, 64 * GIB),
        seconds=_integer(whole, "seconds", "", 1, 6 * 3600),
        inputs=inputs,
        output=output,
    )


def _life(spec: Mapping[str, Any]) -> tuple[datetime, datetime]:
    issued, expires = (_moment(spec, name) for name in ("issued", "expires"))
    if not timedelta(0) < expires - issued <= LIFETIME:
        raise _invalid("expires")
    return issued, expires


def _moment(spec: Mapping[str, Any], name: str) -> datetime:
    text = _match(spec, name, _TIME)
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(name) from error


def _invalid(field: str) -> Refusal:
    return Refusal("spec_invalid", field=field.removeprefix("."), status=403)


def _mapping(value: object, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _invalid(at)
    return value


def _fields(value: object, at: str, names: set[str]) -> Mapping[str, Any]:
    mapping = _mapping(value, at)
    for name in sorted(mapping.keys() ^ names):
        raise _invalid(f"{at}.{name}")
    return mapping


def _check(pattern: re.Pattern[str], value: object, at: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _invalid(at)
    return value


def _match(mapping: Mapping[str, Any], name: str, pattern: re.Pattern[str], at: str = "") -> str:
    return _check(pattern, mapping[name], f"{at}.{name}")


def _text(mapping: Mapping[str, Any], name: str, at: str) -> str:
    return _check(re.compile(r"[ -~]{1,128}"), mapping[name], f"{at}.{name}")


def _one_of(mapping: Mapping[str, Any], name: str, values: set[str], at: str = "") -> str:
    value = mapping[name]
    if not isinstance(value, str) or value not in values:
        raise _invalid(f"{at}.{name}")
    return value


def _integer(mapping: Mapping[str, Any], name: str, at: str, low: int, high: int) -> int:
    value = mapping[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _invalid(f"{at}.{name}")
    return value


def _list(mapping: Mapping[str, Any], name: str, at: str, read: Callable[[Any, str], _T]) -> tuple[_T, ...]:
    value = mapping[name]
    if not isinstance(value, list | tuple) or len(value) > 64:
        raise _invalid(f"{at}.{name}")
    return tuple(read(item, f"{at}.{name}.{index}") for index, item in enumerate(value))
