"""A hub taken over: Docker calls over the socket it has, by hand, so that no client smooths anything. One JSON line an attempt.

`python - SOCKET IMAGE DEPLOYMENT SANDBOX KERNEL MODE`; MODE `all` is for the door, `twin` makes one harmless container where Docker answers.
"""

import json
import socket
import sys

SOCKET, IMAGE, DEPLOYMENT, SANDBOX, KERNEL, MODE = sys.argv[1:]
SESSION = f"ds-{DEPLOYMENT}-session-{SANDBOX}"
V = "/v1.41"


def send(raw: bytes) -> tuple[int, dict]:
    """Send bytes, return (status, JSON of the body); (0, {}) when the line was closed without an answer."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(SOCKET)
        said = b""
        try:
            line.sendall(raw)
            while chunk := line.recv(1 << 16):
                said += chunk
        except OSError:
            pass
    if not said.startswith(b"HTTP/1."):  # 1.0 when the request was none
        return 0, {}
    body = said.partition(b"\r\n\r\n")[2]
    try:
        return int(said.split()[1]), json.loads(body[body.find(b"{") : body.rfind(b"}") + 1])
    except ValueError:
        return int(said.split()[1]), {}


def call(method: str, path: str, body: object = None) -> tuple[int, dict]:
    text = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return send(head.encode() + text)


def tell(name: str, answer: tuple[int, dict]) -> tuple[int, dict]:
    print(json.dumps({"attack": name, "status": answer[0], "code": answer[1].get("code", "")}), flush=True)  # noqa: T201 - this is its answer
    return answer


def box(**host: object) -> dict[str, object]:
    return {"Image": IMAGE, "Cmd": ["true"], "HostConfig": host, "Labels": {"datasandbox.deployment": DEPLOYMENT}}


if MODE == "twin":
    name = f"dev-door-{DEPLOYMENT}"
    status, made = tell("bind", call("POST", f"{V}/containers/create?name={name}", box(Binds=["/tmp:/host:ro"], NetworkMode="none")))
    tell("start", call("POST", f"{V}/containers/{made.get('Id', name)}/start"))
    tell("list", call("GET", f"{V}/containers/json"))
    tell("inspect", call("GET", f"{V}/containers/{KERNEL}/json"))
    tell("remove", call("DELETE", f"{V}/containers/{name}?force=1"))
    sys.exit()

for name, host in {
    "privileged": {"Privileged": True},
    "bind": {"Binds": ["/:/host"]},
    "host network": {"NetworkMode": "host"},
    "host pid": {"PidMode": "host"},
    "device": {"Devices": [{"PathOnHost": "/dev/mem", "PathInContainer": "/dev/mem", "CgroupPermissions": "rwm"}]},
    "another image": {},
}.items():
    tell(name, call("POST", f"{V}/containers/create?name=evil", box(**host)))
    tell(
        f"{name}, named as a session",
        call(
            "POST", f"{V}/containers/create?name={SESSION[:-12]}abcdefghijkl", box(**host) | {"Env": ["JUPYTERHUB_API_TOKEN=" + "a" * 32]}
        ),
    )
for method, path in (
    ("POST", f"/containers/{SESSION}/exec"), ("POST", f"/containers/{KERNEL}/exec"), ("POST", "/exec/abc/start"),
    ("POST", "/build"), ("POST", "/images/create?fromImage=alpine"), ("GET", "/images/json"), ("POST", "/commit?container=" + SESSION),
    ("GET", f"/containers/{SESSION}/archive?path=/"), ("PUT", f"/containers/{SESSION}/archive?path=/"), ("GET", f"/containers/{SESSION}/export"),
    ("POST", f"/containers/{SESSION}/attach"), ("GET", f"/containers/{SESSION}/attach/ws"), ("GET", f"/containers/{SESSION}/top"),
    ("POST", f"/containers/{SESSION}/update"), ("POST", f"/containers/{SESSION}/rename?name=x"), ("POST", f"/containers/{SESSION}/restart"),
    ("GET", "/containers/json"), ("GET", "/events"), ("GET", "/info"), ("GET", "/system/df"), ("POST", "/containers/prune"),
    ("GET", "/networks"), ("POST", "/networks/create"), ("POST", f"/networks/ds-{DEPLOYMENT}-control/connect"),
    ("GET", "/volumes"), ("POST", "/volumes/create"), ("GET", "/secrets"), ("POST", "/swarm/init"), ("POST", "/session"), ("GET", "/plugins"),
    ("GET", f"/containers/{KERNEL}/json"), ("POST", f"/containers/{KERNEL}/start"), ("DELETE", f"/containers/{KERNEL}?force=1"),
    ("GET", f"/containers/{KERNEL}/logs?stdout=1&tail=9"), ("POST", f"/containers/{KERNEL}/kill"),
    ("GET", f"/containers/ds-{DEPLOYMENT}-portal/json"), ("DELETE", f"/containers/ds-{DEPLOYMENT}-warden?force=1"),
    ("GET", f"/containers/ds-{DEPLOYMENT}-kernel-{SANDBOX}/json"), ("GET", "/containers/ds-ffffffff-session-abcdefghijkl/json"),
    ("GET", f"/containers/{SESSION}%2f..%2f{KERNEL}/json"), ("GET", f"/containers/{SESSION}/../{KERNEL}/json"),
):  # fmt: skip
    tell(f"{method} {path}", call(method, V + path))
for path in ("//containers/json", "/v1.41//containers/json", "/v1.24/containers/json", "/containers/json", "/%76ersion", "/v1.41/./version",
             "http://docker/v1.41/containers/json", "/version?x", "/v1.41/containers/json#/version"):  # fmt: skip
    tell(f"path {path}", call("GET", path))
create = f"POST {V}/containers/create?name={SESSION} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"
tell("no HTTP", send(b"\x16\x03\x01\0\xff\0\0\r\n\r\n"))
tell("giant header", send(b"GET /version HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"))
tell("giant body announced", send(f"{create}Content-Length: 99999999999\r\n\r\n".encode()))
chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
tell("giant body in chunks", send(f"{create}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 64))
tell("deep JSON", send(f"{create}Content-Length: 60000\r\n\r\n".encode() + b"[" * 60000))
tell("two lengths", send(f"{create}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc".encode()))
tell(
    "session again",
    call("POST", f"{V}/containers/create?name={SESSION}", box(Privileged=True) | {"Env": ["JUPYTERHUB_API_TOKEN=" + "a" * 32]}),
)
