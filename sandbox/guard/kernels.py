# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""Acts on kernels that come by REST (start, restart, interrupt, shutdown): recorded, then done."""

from typing import Any

import zmq
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from tornado import web

from sandbox.domain.errors import Refusal
from sandbox.guard.contents import clean
from sandbox.guard.guard import Guard
from sandbox.guard.provisioner import KERNEL, KNOWN

MESSAGE_BYTES = 32 * 1024 * 1024
QUEUED = 64


class SandboxKernelManager(ServerKernelManager):
    """Bounds what a hostile kernel can make this process hold (D7, D9)."""

    def _create_connected_socket(self, channel: str, identity: bytes | None = None) -> Any:
        """Limit a part's size and the number of waiting messages before connecting."""
        socket_type = {"hb": zmq.REQ, "iopub": zmq.SUB}.get(channel, zmq.DEALER)
        socket = self.context.socket(socket_type)
        socket.linger = 0
        socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES)
        socket.setsockopt(zmq.RCVHWM, QUEUED)
        if identity:
            socket.identity = identity
        socket.connect(self._make_url(channel))
        return socket


class SandboxKernels(AsyncMappingKernelManager):
    """Jupyter Server's own manager with a record before each act."""

    def cwd_for_path(self, path: str, **kwargs: Any) -> str:  # noqa: ARG002 - the signature is Jupyter's
        """Directories are in the other container: hand the relative path on, the supervisor knows what exists."""
        return path.strip("/")

    async def _record(self, kind: str, kernel: str | None, **more: str) -> None:
        guard = Guard.current()
        try:
            guard.require_lease()
            await guard.record(kind, {"kernel": kernel or "", **more})
        except Refusal as refusal:
            raise web.HTTPError(refusal.status, guard.say(refusal.code, **refusal.params), reason=refusal.code) from refusal

    async def start_kernel(self, *, kernel_id: str | None = None, path: str | None = None, **kwargs: Any) -> str:  # type: ignore[override]
        """Start a kernel; a name the browser chose is not taken over."""
        if isinstance(kernel_id, str) and kernel_id in self:
            return kernel_id
        name = kwargs.get("kernel_name") or KERNEL
        if name not in KNOWN or name not in Guard.current().settings.kernels:
            raise web.HTTPError(400, Guard.current().say("kernel_unknown"), reason="kernel_unknown")
        kwargs.pop("env", None)
        number = self.new_kernel_id(**kwargs)
        try:
            path = clean(path) if path else ""
        except (Refusal, AttributeError) as bad:
            raise web.HTTPError(400, Guard.current().say("workspace_bad_path"), reason="workspace_bad_path") from bad
        await self._record("kernel.start", number, name=name, cwd=path)
        try:
            return await self._async_start_kernel(kernel_id=number, path=path, **kwargs)
        except Refusal as refusal:
            raise web.HTTPError(refusal.status, Guard.current().say(refusal.code, **refusal.params), reason=refusal.code) from refusal

    async def restart_kernel(self, kernel_id: str, now: bool = False) -> Any:
        """Restart a kernel."""
        await self._record("kernel.restart", kernel_id)
        return await self._async_restart_kernel(kernel_id, now=now)

    def reconnect(self, kernel_id: str) -> None:
        """Watch the new sockets of a restarted kernel, and have its browsers connect anew (`SERVICE_RESTART`)."""
        if kernel_id not in self:
            return
        self._kernels[kernel_id].execution_state = "starting"
        self.stop_watching_activity(kernel_id)
        self.start_watching_activity(kernel_id)
        for connection in list(Guard.current().connections):
            if connection.kernel_id == kernel_id:
                connection.shut(1012, "kernel_restarted")

    async def shutdown_kernel(self, kernel_id: str, now: bool = False, restart: bool = False) -> Any:
        """Shut a kernel down."""
        self._check_kernel_id(kernel_id)
        await self._record("kernel.shutdown", kernel_id)
        guard = Guard.current()
        if (book := guard.cells.pop(kernel_id, None)) is not None:
            shared = book.background
            shown = {"shown_bytes": shared.shown, "withheld_bytes": shared.dropped}
            guard.record_when_idle("background.closed", {"kernel": kernel_id, **shown})
        guard.order.pop(kernel_id, None)
        guard.kept.forget(kernel_id)
        return await self._async_shutdown_kernel(kernel_id, now=now, restart=restart)

    async def interrupt_kernel(self, kernel_id: str) -> Any:
        """Interrupt what a kernel runs."""
        self._check_kernel_id(kernel_id)
        await self._record("kernel.interrupt", kernel_id)
        interrupt: Any = super().interrupt_kernel(kernel_id)
        return await interrupt

    def start_watching_activity(self, kernel_id: str) -> None:
        """Watch iopub for busy and idle, and survive garbage on it (W12)."""
        super().start_watching_activity(kernel_id)
        stream = self._kernels[kernel_id]._activity_stream  # noqa: SLF001 - where Jupyter Server keeps it
        watch = stream._recv_callback  # noqa: SLF001

        def careful(message: Any) -> None:
            try:
                watch(message)
            except (ValueError, KeyError, TypeError):
                self.log.warning("kernel %s: a malformed message on iopub", kernel_id)

        stream.on_recv(careful)
