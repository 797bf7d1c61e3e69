"""The few Docker calls of the hub's spawner, and nothing else: what a request line may say. Pure; the door acts on it.

Found by watching DockerSpawner 14 with docker-py 7.2 through a start, poll, log and stop (ADR 0009). A request is compared with the raw
bytes of its line, before anything is decoded: `%2e`, `//`, another version prefix or an absolute address is no call of ours.
"""

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from sandbox.domain.errors import Refusal

API = "1.41"  # Engine 20.10's; what the door says it speaks, so that docker-py asks in this version
MAX_BODY = 64 << 10  # the spawner's is about 3 KiB
MAX_TAIL = 1000
_NAME = r"ds-(?P<deployment>[0-9a-f]{8})-session-(?P<sandbox>[0-9a-z]{12})"
_PLACE = rf"/v{re.escape(API)}/containers/(?P<container>{_NAME}|[0-9a-f]{{64}})"
_CALLS = (
    ("GET", "version", re.compile(r"/version"), frozenset[str]()),
    ("POST", "create", re.compile(rf"/v{re.escape(API)}/containers/create"), frozenset({"name"})),
    ("GET", "inspect", re.compile(rf"{_PLACE}/json"), frozenset[str]()),
    ("GET", "logs", re.compile(rf"{_PLACE}/logs"), frozenset({"stdout", "stderr", "timestamps", "follow", "tail"})),
    ("POST", "start", re.compile(rf"{_PLACE}/start"), frozenset[str]()),
    ("DELETE", "remove", re.compile(_PLACE), frozenset({"v", "link", "force"})),
)
_WHOLE_NAME = re.compile(_NAME)
_TOKEN = re.compile(r"JUPYTERHUB_API_TOKEN=([0-9a-f]{32})")  # jupyterhub.utils.new_token: a UUID in hex


@dataclass(frozen=True, slots=True)
class Call:
    """One allowed call: `container` is a name or an id, `sandbox` is known for a create only, `tail` for logs."""

    verb: str
    container: str = ""
    sandbox: str = ""
    tail: int = 0


def read(deployment: str, method: str, target: str) -> Call:
    """Return the call of a request line. Raises Refusal `docker_call_refused` or `docker_container_refused`."""
    path, _, query = target.partition("?")
    for expected, verb, pattern, names in _CALLS:
        if method == expected and (found := pattern.fullmatch(path)):
            given = _query(query, names)
            container = found.groupdict().get("container") or ""
            if verb == "create":
                container = given.get("name", "")
            sandbox = _own(deployment, container) if verb != "version" else ""
            if verb == "logs" and given.get("follow", "0") not in {"0", "False", "false"}:
                raise Refusal("docker_call_refused", field="follow", status=403)
            return Call(verb, container, sandbox, _tail(given) if verb == "logs" else 0)
    raise Refusal("docker_call_refused", field="path", status=403)


def token(body: bytes) -> str:
    """Return the session's own hub token, the one thing of a create's body that is used. Raises Refusal `docker_body_refused`.

    The hub makes it and the hub alone accepts it; its form leaves room for nothing else.
    """
    try:
        whole = json.loads(body)
        lines = [line for line in whole["Env"] if isinstance(line, str) and line.startswith("JUPYTERHUB_API_TOKEN=")]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise Refusal("docker_body_refused", field="body", status=403) from error
    found = _TOKEN.fullmatch(lines[0]) if len(lines) == 1 else None
    if found is None:
        raise Refusal("docker_body_refused", field="Env", status=403)
    return found[1]


def _query(query: str, names: frozenset[str]) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=8) if query else []
    except ValueError as error:
        raise Refusal("docker_call_refused", field="query", status=403) from error
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() <= names:
        raise Refusal("docker_call_refused", field="query", status=403)
    return given


def _own(deployment: str, container: str) -> str:
    """Return the sandbox of a session's name of this deployment, "" for an id (the engine knows whose it is)."""
    if re.fullmatch(r"[0-9a-f]{64}", container):
        return ""
    found = _WHOLE_NAME.fullmatch(container)
    if found is None or found["deployment"] != deployment:
        raise Refusal("docker_container_refused", field="container", status=403)
    return found["sandbox"]


def _tail(given: dict[str, str]) -> int:
    tail = given.get("tail", "")
    if not re.fullmatch(r"[0-9]{1,4}", tail) or int(tail) > MAX_TAIL:
        raise Refusal("docker_call_refused", field="tail", status=403)
    return int(tail)
