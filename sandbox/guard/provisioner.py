# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""Kernels live in the other container: start, signal and end them through its supervisor; ZMQ goes over `ipc` on /sock."""

import contextlib
import itertools
import signal
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id
from sandbox.guard.guard import Guard
from sandbox.guard.supervisor import Supervisor, SupervisorDown

NAME = "datasandbox-provisioner"
KERNEL = "python3"
KNOWN = {KERNEL: ("Python 3", "python"), "ir": ("R", "R")}
PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
_starts = itertools.count(1)


class SandboxKernelSpecs(KernelSpecManager):
    """The kernels that the launch spec names. No directory is searched, so no file can add another (W5)."""

    ensure_native_kernel = False

    def find_kernel_specs(self) -> dict[str, str]:
        """Name the kernels; they have no resource directory."""
        return {name: "" for name in Guard.current().settings.kernels if name in KNOWN}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return a kernel, which only our provisioner can start; anything else is NoSuchKernel."""
        if kernel_name not in self.find_kernel_specs():
            raise NoSuchKernel(kernel_name)
        title, language = KNOWN[kernel_name]
        return KernelSpec(
            argv=[],
            display_name=title,
            language=language,
            interrupt_mode="signal",
            metadata={"kernel_provisioner": {"provisioner_name": NAME}},
        )


class SandboxProvisioner(KernelProvisionerBase):
    """Asks the supervisor. A frozen supervisor counts as alive (or the restarter would end the kernel), an absent one as dead."""

    _started = False
    _launches = 0
    _cwd = ""
    _taken_up: dict[str, Any] | None = None

    @property
    def _supervisor(self) -> Supervisor:
        return Guard.current().supervisor

    @property
    def has_process(self) -> bool:
        """Whether a kernel was started and not yet waited for."""
        return self._started

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose new socket names at every start: with the old ones messages after a restart were lost."""
        manager: Any = self.parent
        memory = Guard.current().memory
        # A kernel that outlived the session's process is taken up where it is; the journal has its sockets and key.
        self._taken_up = memory.kernels.get(self.kernel_id) if self.kernel_id in Guard.current().take_up else None
        Guard.current().take_up.discard(self.kernel_id)
        name = self._taken_up["name"] if self._taken_up else new_id()
        manager.transport, manager.ip = "ipc", str(Guard.current().settings.sock / name)
        if self._taken_up:
            manager.session.key = self._taken_up["key"].encode()
        # Numbers that never repeat: Jupyter Server notices a restart by changed ports and reconnects its own streams.
        first = self._taken_up["port"] if self._taken_up else 10 * (1000 * memory.restarts + next(_starts))
        for number, port in enumerate(PORTS, start=first):
            setattr(manager, port, number)
        self.connection_info = manager.get_connection_info()
        self._cwd = str(kwargs.get("cwd") or "")
        return {"cmd": [], "env": {}}  # no environment crosses

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ARG002 - the signature is Jupyter's
        """Have the supervisor start the kernel of that name; what runs for a name is its own table. Raises Refusal if it cannot."""
        if self._taken_up:
            self._started = True
            return self.connection_info
        manager: Any = self.parent
        language = str(manager.kernel_name)
        info = {**self.connection_info, "key": bytes(self.connection_info["key"]).decode()}
        try:
            where = {"name": Path(info["ip"]).name, "key": info["key"], "port": info[PORTS[0]], "cwd": self._cwd, "language": language}
            Guard.current().memory.note(kernel=self.kernel_id, **where)
            entry = ("kernel.launch", {"kernel": self.kernel_id, "name": language, "cwd": self._cwd}, ())
            await self._supervisor.call("start", entry=entry, kernel=self.kernel_id, connection=info, cwd=self._cwd, language=language)
        except (OSError, TimeoutError) as down:
            raise Refusal("kernel_container_down", status=503) from down
        self._started = True
        return self.connection_info

    async def post_launch(self, **kwargs: Any) -> None:  # noqa: ARG002 - the signature is Jupyter's
        """After a restart, let go of everything that is still connected to the sockets of the kernel before."""
        self._launches += 1
        if self._launches > 1:
            kernels: Any = self.parent
            kernels.parent.reconnect(self.kernel_id)

    async def poll(self) -> int | None:
        """None while the kernel runs, or while nobody can tell."""
        if not self._started:
            return 0
        try:
            status = (await self._supervisor.call("poll", seconds=2, kernel=self.kernel_id)).get("status")
        except SupervisorDown:
            return -signal.SIGKILL
        except (TimeoutError, Refusal):
            return None
        return status if isinstance(status, int) else None

    async def wait(self) -> int | None:
        """Forget a kernel that has ended."""
        status = await self.poll()
        self._started = False
        return status

    async def send_signal(self, signum: int) -> None:
        """Signal the kernel's process group; a missing supervisor has no kernel to signal."""
        verb: dict[str, Any] = {"verb": "interrupt"} if signum == signal.SIGINT else {"verb": "signal", "signum": int(signum)}
        with contextlib.suppress(OSError, TimeoutError, Refusal):
            await self._supervisor.call(verb.pop("verb"), seconds=5, kernel=self.kernel_id, **verb)

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002 - the signature is Jupyter's
        """End the kernel; the supervisor unlinks its sockets."""
        with contextlib.suppress(OSError, TimeoutError, Refusal):
            await self._supervisor.call("kill", seconds=5, kernel=self.kernel_id)

    async def terminate(self, restart: bool = False) -> None:  # noqa: ARG002 - the signature is Jupyter's
        """Ask the kernel to end."""
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """Have the sockets removed whatever became of the kernel."""
        await self.kill(restart)
        self._started = False
        Guard.current().memory.note(kernel_gone=self.kernel_id)
