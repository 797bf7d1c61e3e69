"""Jobs: what leaves after a commit. Each is idempotent, because one that was cut short is run again.

`start` and `stop` speak to the hub; `import`, `prepare` and `check` run in a one-shot data container that the warden starts from a
signed spec. The portal never opens a raw file itself: it moves files and reads the `result.json` of our own code.
"""

import asyncio
import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.domain.clock import stamp, system_clock
from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id
from sandbox.domain.spec import LIFETIME, MIB, sign
from sandbox.services import catalogue, exports, releases, sandboxes
from sandbox.services.context import Context
from sandbox.settings import Settings
from sandbox.store import jobs
from sandbox.store.tables import Job, Sandbox

_log = logging.getLogger(__name__)
IDLE_SECONDS = 1.0
DATA_MEMORY = 4096 * MIB
DATA_SECONDS = 900
# Two at a time: more would only make both cores slower for the sandboxes.
AT_ONCE = 2
MAX_RESULT = 8 * MIB


class Hub(Protocol):
    """What the runner needs of `sandbox.adapters.hub`."""

    async def start(self, login: str, server: str) -> None:
        """Start a named server and return when it is ready; Refusal otherwise."""
        ...

    async def stop(self, login: str, server: str, *, remove: bool = False) -> None:
        """End a named server."""
        ...


class Warden(Protocol):
    """What the runner needs of `sandbox.adapters.warden`."""

    async def data(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """Run one data container to its end; `{"exit","seconds"}`."""
        ...


class Work(Protocol):
    """Transactions, as the portal process gives them."""

    def run(self, act: Callable[..., Any], *args: Any) -> Any:
        """Call `act(ctx, *args)` in one transaction as the service `portal`, and commit."""
        ...


@dataclass(frozen=True)
class Task:
    """A kind of data job: what it is given, who takes its result, where its files go (None: nowhere)."""

    plan: Callable[[Any, str], Mapping[str, Any]]
    finish: Callable[[Context, str, Mapping[str, Any]], Any]
    keep: str | None


TASKS = {
    "import": Task(catalogue.job_spec, catalogue.finish_import, "sources"),
    "prepare": Task(releases.job_spec, releases.finish_prepare, "releases"),
    "check": Task(exports.check_job_spec, exports.finish_check, None),
}


class Runner:
    """Claims jobs and runs up to AT_ONCE of them; `kick` from any thread."""

    def __init__(self, work: Work, settings: Settings, key: Ed25519PrivateKey, hub: Hub, warden: Warden) -> None:
        self._work, self._settings, self._key, self._hub, self._warden = work, settings, key, hub, warden
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    def kick(self) -> None:
        """Something was enqueued."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Work until cancelled; what an earlier portal left running is taken up again first."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._work.run, self._take_up)
        while True:
            self._wake.clear()
            try:
                while await self._start_one():
                    pass
            except Exception:  # noqa: BLE001 - the runner must never end
                _log.exception("claiming a job failed; it is tried again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):  # wait_for of 3.11 can lose a cancellation
                    await self._wake.wait()

    async def _start_one(self) -> bool:
        # A start or a stop never waits behind a long import.
        kinds = frozenset({"start", "stop"}) if self._slots.locked() else None
        job = await asyncio.to_thread(self._work.run, lambda ctx: _claimed(ctx, kinds))
        if job is None:
            return False
        task = asyncio.create_task(self._one(*job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.sleep(0)
        return True

    async def _one(self, job: str, kind: str, subject: str) -> None:
        try:
            if kind == "start":
                await self._start(subject)
            elif kind == "stop":
                await self._stop(subject)
            else:
                async with self._slots:
                    await self._data(kind, subject)
        except Exception as error:  # noqa: BLE001 - whatever happened, the job says so and is tried again
            _log.exception("job %s (%s of %s) failed", job, kind, subject)
            await asyncio.to_thread(self._work.run, self._failed, job, kind, subject, str(error))
        else:
            await asyncio.to_thread(self._work.run, lambda ctx: jobs.finish(_job(ctx, job), ctx.now))

    async def _start(self, sandbox: str) -> None:
        login = await asyncio.to_thread(self._work.run, _login_of, sandbox)
        try:
            await self._hub.start(login, sandbox)
        except Refusal as refusal:
            await asyncio.to_thread(self._work.run, sandboxes.start_failed, sandbox, refusal.code)
        else:
            await asyncio.to_thread(self._work.run, sandboxes.started, sandbox)

    async def _stop(self, sandbox: str) -> None:
        login = await asyncio.to_thread(self._work.run, _login_of, sandbox)
        await self._hub.stop(login, sandbox)
        await asyncio.to_thread(self._work.run, sandboxes.stopped, sandbox)

    async def _data(self, kind: str, subject: str) -> None:
        task = TASKS[kind]
        plan = await asyncio.to_thread(self._work.run, lambda ctx: dict(task.plan(ctx.db, subject)))
        folder = self._settings.home / "jobs" / new_id()
        try:
            await asyncio.to_thread(_prepare_folder, folder, plan)
            now = system_clock()
            await self._warden.data(sign(self._spec(folder.name, kind, plan, now), self._key))
            result = await asyncio.to_thread(_read_result, folder / "out" / "result.json")
            if task.keep is not None and result.get("ok"):
                await asyncio.to_thread(_keep, folder / "out", self._settings.home / task.keep / subject)
            await asyncio.to_thread(self._work.run, task.finish, subject, result)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _spec(self, job: str, kind: str, plan: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        return {
            "v": 1,
            "kind": "data",
            "nonce": new_id() + new_id(),
            "issued": stamp(now),
            "expires": stamp(now + LIFETIME),
            "deployment": self._settings.id,
            "job": job,
            "task": kind,
            "image": self._settings.images["data"],
            "memory": DATA_MEMORY,
            "seconds": DATA_SECONDS,
            "inputs": list(plan["inputs"]),
            "output": f"jobs/{job}/out",
        }

    @staticmethod
    def _failed(ctx: Context, job_id: str, kind: str, subject: str, error: str) -> None:
        if not jobs.fail(_job(ctx, job_id), ctx.now, error[:500]):
            _give_up(ctx, kind, subject)

    @staticmethod
    def _take_up(ctx: Context) -> None:
        for job in jobs.reclaim(ctx.db, ctx.now):
            _give_up(ctx, job.kind, job.subject)


def _give_up(ctx: Context, kind: str, subject: str) -> None:
    """Say so where the work was asked for: nothing stays `importing` or `requested` for ever."""
    if kind in TASKS:
        TASKS[kind].finish(ctx, subject, {"ok": False, "errors": [{"code": "data_task_failed", "params": {}}], "result": {}})
    elif kind == "start":
        sandboxes.start_failed(ctx, subject, "start_failed")


def _claimed(ctx: Context, kinds: frozenset[str] | None) -> tuple[str, str, str] | None:
    job = jobs.claim(ctx.db, ctx.now, kinds)
    return None if job is None else (job.id, job.kind, job.subject)


def _job(ctx: Context, job_id: str) -> Job:
    return ctx.db.get_one(Job, job_id)


def _login_of(ctx: Context, sandbox_id: str) -> str:
    return ctx.db.get_one(Sandbox, sandbox_id).person.login


def _prepare_folder(folder: Path, plan: Mapping[str, Any]) -> None:
    folder.mkdir(mode=0o755)
    (folder / "job.json").write_text(json.dumps(plan["job"], ensure_ascii=False))
    secret = plan.get("secret")
    if secret:
        # The data container's user must read it; nobody else gets into `jobs/`, which is the portal's alone.
        (folder / "secret").write_bytes(secret)


def _read_result(path: Path) -> dict[str, Any]:
    """Return the result of a data container; one that left none, or no JSON object, has failed."""
    if path.stat().st_size > MAX_RESULT:
        raise ValueError("the result of the data container is too large")
    result = json.loads(path.read_text())
    if not isinstance(result, dict):
        raise TypeError("the result of the data container is not an object")
    return result


def _keep(source: Path, target: Path) -> None:
    """Put what a job made in its place, whole or not at all; what an earlier try left there is replaced.

    A copy, because `jobs/` and its target are mounts of their own in the portal's container; the last step is a rename.
    """
    (source / "result.json").unlink(missing_ok=True)
    fresh = target.with_name(f"{target.name}.new")
    for old in (fresh, target):
        if old.exists():
            shutil.rmtree(old)
    shutil.copytree(source, fresh)
    for path in fresh.iterdir():
        path.chmod(0o444)
    fresh.rename(target)
