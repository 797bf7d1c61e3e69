"""The kernel containers of this node: launch, cut, stop, and what is found at the start."""

import asyncio
import contextlib
import hashlib
import logging
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.domain.errors import Refusal
from sandbox.domain.spec import SandboxSpec, canonical, plain
from sandbox.warden import freezer, mounts
from sandbox.warden.engine import Engine, EngineError, Found
from sandbox.warden.freezer import Cgroup, FreezeError
from sandbox.warden.mounts import Places
from sandbox.warden.records import Recorder
from sandbox.warden.spent import Spent
from sandbox.warden.workspaces import Workspaces

START_SECONDS = 20.0
KILL_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Live:
    """One sandbox from the first step of its start to the last of its end."""

    sandbox: str
    boot: str
    refs: dict[str, str]
    state: str = "starting"
    container: str = ""
    pid: int = 0
    cgroup: Cgroup | None = None
    cause: str = ""
    spec: SandboxSpec | None = None  # None for one adopted from an earlier warden
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def known(self, found: Found) -> None:
        """Take over what the engine says of the container; a start without a running process is an error."""
        self.container = found.id
        self.pid = found.pid
        if not found.running:
            raise ProcessLookupError("the container ended at once")
        self.cgroup = Cgroup.of(found.pid, found.id)


class Sandboxes:
    """All sandboxes of one deployment on this node. One event loop; what blocks is in the engine's threads."""

    def __init__(
        self,
        home: Path,
        run: Path,
        *,
        engine: Engine,
        recorder: Recorder,
        spent: Spent,
        workspaces: Workspaces,
        now: Callable[[], datetime],
    ) -> None:
        self._home = home
        self._run = run
        self._workspaces = workspaces
        self._engine = engine
        self._recorder = recorder
        self._spent = spent
        self._now = now
        self._live: dict[str, Live] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._closing: dict[str, asyncio.Task[None]] = {}

    def state(self) -> list[dict[str, str]]:
        """Return the sandboxes that are starting, running or ending."""
        return [{"sandbox": live.sandbox, "boot": live.boot, "state": live.state} for live in self._live.values()]

    def lives(self, sandbox: str) -> bool:
        """Tell whether the sandbox's kernel container runs and is not being ended."""
        live = self._live.get(sandbox)
        return live is not None and live.state == "running" and not live.cause

    def approved(self, sandbox: str) -> SandboxSpec | None:
        """Return the verified spec from which the session of a sandbox that lives is made, at its start and again; None otherwise."""
        return self._live[sandbox].spec if self.lives(sandbox) else None

    async def launch(self, spec: SandboxSpec) -> dict[str, str]:
        """Start the kernel container of a verified spec that is spent. All or nothing.

        Raises Refusal: `sandbox_running` (409), `log_unavailable` (503), `sandbox_cut` (403), `kernel_start_failed` (503), and those
        of `Workspaces.open`.
        """
        if spec.sandbox in self._live:
            raise Refusal("sandbox_running", field="sandbox", status=409)
        refs = {"sandbox": spec.sandbox, "session": spec.session.id, "project": spec.project}
        live = self._live[spec.sandbox] = Live(spec.sandbox, spec.boot, refs, spec=spec)
        places = Places.of(self._home, self._run, spec.sandbox)
        try:
            releases = self._releases(spec)
            workspace = self._workspaces.kind(spec.sandbox)
            await self._recorder.before("kernel.started", refs, _described(spec) | {"workspace": workspace})
            await self._closed(spec.sandbox)
            mounts.prepare(places)
            await asyncio.to_thread(self._workspaces.open, spec.sandbox, spec.kernel.workspace)
            _not_cut(live)
            live.known(await self._engine.start_kernel(spec, places, releases))
            await self._supervisor(live, places)
        except (Refusal, EngineError, OSError, ValueError) as error:
            _log.warning("start of %s undone: %s", spec.sandbox, error)
            await self._undo(live, error)
            if isinstance(error, Refusal):
                raise
            raise Refusal("kernel_start_failed", status=503, detail=_short(error)) from error
        except BaseException as error:
            await self._undo(live, error)
            raise
        live.state = "running"
        self._watch(live)
        return {"sandbox": spec.sandbox, "kernel_container": live.container, "sock": str(places.sock), "door": str(places.door)}

    async def cut(self, sandbox: str, reason: str) -> dict[str, Any]:
        """Freeze, kill, clear away; then say how long it took (milliseconds). Idempotent; waits for no record (R1-R10)."""
        started = time.monotonic()
        self._spent.withdraw(sandbox, self._now())
        live = self._live.get(sandbox)
        frozen_ms = 0.0
        if live is not None:
            live.cause = "cut"
            if live.cgroup is not None:
                try:
                    await freezer.freeze(live.cgroup)
                except (FreezeError, OSError) as error:
                    _log.error("%s: %s; killing it unfrozen", sandbox, error)
                frozen_ms = _since(started)
        session = asyncio.create_task(self._engine.kill_session(sandbox))
        if live is not None:
            await self._kill(live)
        killed_ms = _since(started) if live is not None else 0.0
        try:
            self._spent.keep(self._now())
        except OSError:
            _log.exception("the cut of %s is not on disk; it holds until the warden restarts", sandbox)
        sessions = await session
        data = {
            "reason": reason[:200],
            "frozen_ms": frozen_ms,
            "killed_ms": killed_ms,
            "was_running": live is not None,
            "sessions": sessions,
        }
        self._recorder.later("kernel.cut", live.refs if live else {"sandbox": sandbox}, data)
        return {"frozen_ms": frozen_ms, "killed_ms": killed_ms, "was_running": live is not None}

    async def stop(self, sandbox: str) -> None:
        """End the kernel container and clear away. Well when there is none. What was saved stays in the workspace."""
        if (live := self._live.get(sandbox)) is not None:
            live.cause = live.cause or "stopped"
            await self._kill(live)
        await self._closed(sandbox)

    async def reconcile(self) -> None:
        """Adopt the kernel containers that are whole; end the others, and take away mounts that nobody uses. Raises EngineError."""
        for found in await self._engine.found():
            if found.role == "kernel":
                await self._adopt(found)
        folder = self._run / "sb"
        for root in folder.iterdir() if folder.exists() else ():
            if root.name not in self._live:
                mounts.clear(Places.of(self._home, self._run, root.name))
        for sandbox in self._workspaces.mounted():
            if sandbox not in self._live:
                self._close(sandbox)
        for sandbox in list(self._closing):
            await self._closed(sandbox)

    async def _adopt(self, found: Found) -> None:
        live = Live(found.subject, found.boot, {"sandbox": found.subject})
        places = Places.of(self._home, self._run, found.subject)
        try:
            live.known(found)
            whole = mounts.is_mount(places.sock) and _is_socket(places.supervisor) and live.cgroup is not None and not live.cgroup.frozen()
            whole = whole and (self._workspaces.kind(found.subject) == "plain" or mounts.is_mount(places.workspace))
        except (ProcessLookupError, Refusal):
            whole = False
        self._live[found.subject] = live
        if whole:
            live.state = "running"
            self._watch(live)
        else:
            # half made, half cut or dead: no state worth keeping
            live.cause = "unknown"
            await self._finish(live)

    def _releases(self, spec: SandboxSpec) -> dict[str, Path]:
        releases = {}
        for release in spec.kernel.releases:
            try:
                path = mounts.inside(self._home, f"releases/{release.id}")
                mounts.let_read(path, 0o004)
            except OSError as error:
                raise Refusal("kernel_start_failed", field="kernel.releases", status=503, detail=_short(error)) from error
            releases[release.dataset] = path
        return releases

    async def _supervisor(self, live: Live, places: Places) -> None:
        """Wait until the supervisor's socket is there. Raises Refusal when cut, TimeoutError (an OSError) or ProcessLookupError."""
        deadline = time.monotonic() + START_SECONDS
        ended = asyncio.create_task(freezer.gone(live.pid))
        try:
            while not _is_socket(places.supervisor):
                _not_cut(live)
                if ended.done():
                    raise ProcessLookupError("the supervisor ended before it was ready")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no supervisor in {START_SECONDS:.0f} s")
                await asyncio.sleep(0.01)
        finally:
            ended.cancel()
        _not_cut(live)

    async def _undo(self, live: Live, error: BaseException) -> None:
        if not live.cause:
            live.cause = "failed"
        if isinstance(error, Refusal) and error.code == "log_unavailable":
            live.cause = "not_started"
        await self._finish(live)

    def _watch(self, live: Live) -> None:
        async def watch() -> None:
            await freezer.gone(live.pid)
            live.state = "ending"
            await self._finish(live)

        task = asyncio.create_task(watch(), name=f"watch {live.sandbox}")
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

    async def _kill(self, live: Live) -> None:
        """SIGKILL to all, thaw, and wait for the end; the engine's own kill when the cgroup cannot be written."""
        if live.state == "starting":  # its launch sees the cause and undoes itself
            if live.cgroup is not None:
                _kill_now(live.cgroup)
            await live.ended.wait()
            return
        live.state = "ending"
        if live.cgroup is None or not _kill_now(live.cgroup):
            await self._engine.kill(live.container)
        try:
            await asyncio.wait_for(live.ended.wait(), KILL_SECONDS)
        except TimeoutError:
            await self._engine.kill(live.container)
            await live.ended.wait()

    async def _finish(self, live: Live) -> None:
        """Remove container and mounts, and say so to the log: the one place where a sandbox ends."""
        live.state = "ending"
        places = Places.of(self._home, self._run, live.sandbox)
        try:
            await self._engine.remove(live.container or f"ds-{self._engine.deployment}-kernel-{live.sandbox}")
            mounts.clear(places)
        except (EngineError, OSError):
            _log.exception("%s is not fully cleared away; the next start of the warden or of this sandbox does it", live.sandbox)
        self._recorder.later("kernel.ended", live.refs, {"boot": live.boot, "cause": live.cause or "exited"})
        self._live.pop(live.sandbox, None)
        self._close(live.sandbox)
        live.ended.set()

    def _close(self, sandbox: str) -> None:
        """Begin to unmount a workspace: a cut does not wait until what was written is on the disk; the next start does."""

        async def close() -> None:
            try:
                await asyncio.to_thread(self._workspaces.close, sandbox)
            except OSError:
                _log.exception("the workspace of %s stays mounted; the next start of the warden or of this sandbox unmounts it", sandbox)

        self._closing[sandbox] = asyncio.create_task(close(), name=f"close {sandbox}")

    async def _closed(self, sandbox: str) -> None:
        if (closing := self._closing.get(sandbox)) is not None:
            await asyncio.shield(closing)
            if self._closing.get(sandbox) is closing:
                del self._closing[sandbox]


def _kill_now(cgroup: Cgroup) -> bool:
    try:
        cgroup.kill()
        cgroup.thaw()
    except FileNotFoundError:
        return True  # ended meanwhile
    except OSError:
        _log.exception("cgroup of %s", cgroup.path.name[:12])
        return False
    return True


def _not_cut(live: Live) -> None:
    if live.cause:
        raise Refusal("sandbox_cut", status=403)


def _is_socket(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISSOCK(path.lstat().st_mode)
    return False


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


def _short(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    return str(explanation or error)[:200]


def _described(spec: SandboxSpec) -> dict[str, Any]:
    """Return what the log says of a start: everything that explains what will run, and the digest of the signed spec."""
    whole = plain(spec)
    return {
        "spec": hashlib.sha256(canonical(whole)).hexdigest(),
        "boot": spec.boot,
        "login": spec.login,
        "epochs": dict(spec.epochs),
        "kernel": whole["kernel"] | {"releases": list(whole["kernel"]["releases"])},
        "session_image": spec.session.image,
    }
