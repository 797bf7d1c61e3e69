"""Docker, and nothing of Docker's elsewhere: what a kernel and a data container are made of.

Everything a container may do is fixed here; a spec only chooses image, sizes and which releases. Calls block, so they run in a small
pool of threads. Another engine means another module with these methods.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.types import Mount, Ulimit

from sandbox.domain.spec import DataSpec, SandboxSpec
from sandbox.domain.uids import UIDS
from sandbox.warden.mounts import Places
from sandbox.warden.seccomp import profile

_T = TypeVar("_T")
DEPLOYMENT, SANDBOX, ROLE, BOOT, JOB = (f"datasandbox.{name}" for name in ("deployment", "sandbox", "role", "boot", "job"))
SECCOMP = json.dumps(profile())
SHM_BYTES = 64 << 20
OPEN_FILES = 4096

EngineError = DockerException


@dataclass(frozen=True, slots=True)
class Found:
    """A container of this deployment: `pid` is 0 unless it runs."""

    id: str
    role: str
    subject: str
    boot: str
    running: bool
    pid: int


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """A session container of this deployment, as much of it as its spawner needs."""

    id: str
    name: str
    sandbox: str
    state: dict[str, Any]
    address: str


class Engine:
    """The Docker Engine of this node, seen by one deployment: other deployments' containers do not exist here."""

    def __init__(self, deployment: str, client: "docker.DockerClient | None" = None) -> None:
        self.deployment = deployment
        self._client = client or docker.from_env()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="engine")

    async def start_kernel(self, spec: SandboxSpec, places: Places, releases: dict[str, Path]) -> Found:
        """Create and start the kernel container of `spec`; `releases` maps data set to directory. Raises EngineError, leaving nothing."""
        kernel = spec.kernel
        mounts = [
            _bind(places.sock, "/sock", read_only=False),
            _bind(places.door, "/door"),
            _bind(places.workspace, "/home/researcher", read_only=False),
            *(_bind(path, f"/data/{dataset}") for dataset, path in releases.items()),
        ]
        options = _confined(UIDS["kernel"], kernel.memory, kernel.cpus, kernel.pids, kernel.tmp_bytes) | {
            "image": kernel.image,
            "name": f"ds-{self.deployment}-kernel-{spec.sandbox}",
            "hostname": "sandbox",
            "runtime": kernel.runtime,
            "mounts": mounts,
            "environment": {
                "HOME": "/home/researcher",
                "LANG": "C.UTF-8",
                "TZ": "Asia/Shanghai",
                "DATASANDBOX_LANG": kernel.lang,
            },
            "working_dir": "/home/researcher",
            "labels": self._labels("kernel", SANDBOX, spec.sandbox) | {BOOT: spec.boot},
        }
        return await self._do(lambda: self._start(options))

    async def start_data(self, spec: DataSpec, inputs: dict[str, Path], output: Path) -> Found:
        """Create and start the one-shot container of `spec`; `inputs` maps target to path. Raises EngineError, leaving nothing."""
        mounts = [*(_bind(path, target) for target, path in inputs.items()), _bind(output, "/out", read_only=False)]
        options = _confined(UIDS["data"], spec.memory, 2.0, 256, spec.memory // 2) | {
            "image": spec.image,
            "command": ["python", "-m", "sandbox.checks", spec.task],
            "name": f"ds-{self.deployment}-data-{spec.job}",
            "hostname": "data",
            "mounts": mounts,
            # inputs are the portal's, readable for its group
            "group_add": [str(UIDS["portal"])],
            "environment": {"HOME": "/tmp", "LANG": "C.UTF-8"},  # noqa: S108 - the container's own tmpfs
            "working_dir": "/tmp",  # noqa: S108 - the same
            "labels": self._labels("data", JOB, spec.job),
        }
        return await self._do(lambda: self._start(options))

    async def create_session(self, options: dict[str, Any], places: Places, sandbox: str) -> str:
        """Create, without starting it, the session container of a sandbox; return its id. Raises EngineError (409 when it has one)."""
        whole = options | {
            "mounts": [_bind(places.sock, "/sock", read_only=False), _bind(places.door, "/door", read_only=False)],
            "labels": self._labels("session", SANDBOX, sandbox),
        }
        return await self._do(lambda: str(self._client.containers.create(**whole).id))

    async def session(self, container: str) -> SessionSeen | None:
        """Return the session container of that id or name, None when it is another kind or not of this deployment. Raises NotFound, EngineError."""

        def see() -> SessionSeen | None:
            seen = self._client.api.inspect_container(container)
            labels = seen["Config"]["Labels"] or {}
            if container not in {seen["Id"], seen["Name"].removeprefix("/")}:
                return None
            if (labels.get(DEPLOYMENT), labels.get(ROLE)) != (self.deployment, "session"):
                return None
            state = {key: seen["State"][key] for key in ("Status", "Running", "Paused", "ExitCode", "Error", "StartedAt", "FinishedAt")}
            networks = seen["NetworkSettings"]["Networks"].values()
            address = next((network["IPAddress"] for network in networks), "")
            return SessionSeen(seen["Id"], seen["Name"].removeprefix("/"), labels.get(SANDBOX, ""), state, address)

        return await self._do(see)

    async def start_session(self, container: str) -> None:
        """Start a session container that was created. Raises EngineError."""
        await self._do(lambda: self._client.api.start(container))

    async def last_words(self, container: str, lines: int) -> bytes:
        """Return the last lines a container printed, in Docker's framing (8 bytes of header a piece), as docker-py reads it."""

        def read() -> bytes:
            words = self._client.api.logs(container, stdout=True, stderr=True, stream=False, tail=lines)
            return b"\x01\0\0\0" + len(words).to_bytes(4, "big") + words if words else b""

        return await self._do(read)

    async def subnets(self) -> list[str]:
        """Return the address ranges of this deployment's networks (CIDR). Raises EngineError."""

        def find() -> list[str]:
            found = self._client.api.networks(filters={"label": f"{DEPLOYMENT}={self.deployment}"})
            return [part["Subnet"] for network in found for part in (network["IPAM"].get("Config") or []) if part.get("Subnet")]

        return await self._do(find)

    async def exit_code(self, container: str) -> int:
        """Return the exit code of a container that has ended (137 when killed)."""
        return int((await self._do(lambda: self._client.api.wait(container, timeout=30)))["StatusCode"])

    async def kill(self, container: str) -> None:
        """SIGKILL by the engine, for when the cgroup cannot be used; well when it has ended."""

        def kill() -> None:
            try:
                self._client.api.kill(container, "SIGKILL")
            except APIError as error:
                if error.status_code not in {404, 409}:
                    raise

        await self._do(kill)

    async def kill_session(self, sandbox: str) -> int:
        """SIGKILL every other container of the sandbox (the hub removes it); return how many there were."""

        def kill() -> int:
            filters = {"label": [f"{DEPLOYMENT}={self.deployment}", f"{SANDBOX}={sandbox}"]}
            sessions = [found for found in self._client.api.containers(filters=filters) if found["Labels"].get(ROLE) != "kernel"]
            for found in sessions:
                try:
                    self._client.api.kill(found["Id"], "SIGKILL")
                except APIError as error:
                    if error.status_code not in {404, 409}:
                        raise
            return len(sessions)

        return await self._do(kill)

    async def remove(self, container: str) -> None:
        """Remove a container, killing it if it runs; well when there is none. `container` is an id or a name."""

        def remove() -> None:
            try:
                self._client.api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # its removal is under way
                    raise

        await self._do(remove)

    async def found(self) -> list[Found]:
        """Return the kernel and data containers of this deployment, ended ones too."""

        def find() -> list[Found]:
            filters = {"label": [f"{DEPLOYMENT}={self.deployment}", ROLE]}
            listed = self._client.api.containers(all=True, filters=filters)
            return [self._seen(item["Id"]) for item in listed if item["Labels"][ROLE] in {"kernel", "data"}]

        return await self._do(find)

    def _start(self, options: dict[str, Any]) -> Found:
        container = self._client.containers.create(**options)
        try:
            container.start()
            return self._seen(str(container.id))
        except BaseException:
            container.remove(force=True, v=True)
            raise

    def _seen(self, container: str) -> Found:
        seen = self._client.api.inspect_container(container)
        labels = seen["Config"]["Labels"]
        role = labels[ROLE]
        subject = labels[SANDBOX if role == "kernel" else JOB]
        return Found(seen["Id"], role, subject, labels.get(BOOT, ""), seen["State"]["Running"], seen["State"]["Pid"])

    def _labels(self, role: str, subject: str, name: str) -> dict[str, str]:
        return {DEPLOYMENT: self.deployment, ROLE: role, subject: name}

    async def _do(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def _confined(uid: int, memory: int, cpus: float, pids: int, tmp_bytes: int) -> dict[str, Any]:
    """Return what every container of ours has: no network, nothing writable but its tmpfs, no privilege, limits."""
    return {
        "network_mode": "none",
        "dns": ["127.0.0.1"],  # else the engine copies the host's resolvers, which are nobody's business inside
        "dns_search": ["."],
        "ipc_mode": "private",
        "cgroupns": "private",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", f"seccomp={SECCOMP}"],
        "user": f"{uid}:{uid}",
        "mem_limit": memory,
        "memswap_limit": memory,  # the same: no swap
        "nano_cpus": round(cpus * 1_000_000_000),
        "pids_limit": pids,
        "ulimits": [Ulimit(name="nofile", soft=OPEN_FILES, hard=OPEN_FILES), Ulimit(name="core", soft=0, hard=0)],
        # exec stays: compiled extensions unpack there; the programs that may run are no secret
        "tmpfs": {"/tmp": f"size={tmp_bytes},nr_inodes=65536,mode=1777,nosuid,nodev,exec"},  # noqa: S108 - the container's own
        "shm_size": SHM_BYTES,
        "restart_policy": {"Name": "no"},
        "auto_remove": False,
        "use_config_proxy": False,  # else the engine's client puts the host's proxy addresses into the environment
        "log_config": {"type": "json-file", "config": {"max-size": "1m", "max-file": "1"}},
    }


def _bind(source: Path, target: str, *, read_only: bool = True) -> Mount:
    # a Mount, not a volume string: the engine then refuses a missing source instead of making root's directory there
    return Mount(target, str(source), type="bind", read_only=read_only, propagation="rprivate")
