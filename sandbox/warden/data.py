"""One-shot data containers: import, preparation, output check. Started from a spec, ended in time, always removed."""

import asyncio
import hashlib
import logging
import time
from pathlib import Path
from typing import Any

from sandbox.domain.errors import Refusal
from sandbox.domain.spec import DataSpec, canonical, plain
from sandbox.warden import freezer, mounts
from sandbox.warden.engine import Engine, EngineError, Found
from sandbox.warden.records import Recorder

# A few at a time: each may use two CPUs and its whole memory limit.
AT_ONCE = 2
_log = logging.getLogger(__name__)


class DataRuns:
    """The data containers of one deployment on this node."""

    def __init__(self, home: Path, engine: Engine, recorder: Recorder) -> None:
        self._home = home
        self._engine = engine
        self._recorder = recorder
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(self, spec: DataSpec) -> dict[str, Any]:
        """Run the container of a verified spec that is spent to its end; return `{"exit","seconds","timed_out"}`.

        Raises Refusal: `log_unavailable` (503), `data_start_failed` (503, with the input that is missing).
        """
        async with self._places:
            data = {"job": spec.job, "task": spec.task, "spec": hashlib.sha256(canonical(plain(spec))).hexdigest(), "image": spec.image}
            await self._recorder.before("data.started", {}, data)
            started = time.monotonic()
            outcome: dict[str, Any] = {"cause": "failed"}
            try:
                found = await self._start(spec)
                try:
                    outcome = await self._end(spec, found, started)
                finally:
                    await self._engine.remove(found.id)
                if dropped := mounts.hand_over(self._home / spec.output):
                    outcome["dropped"] = dropped[:20]
            except (EngineError, OSError) as error:
                _log.warning("job %s: %s", spec.job, error)
                raise Refusal("data_start_failed", status=503, detail=str(getattr(error, "explanation", None) or error)[:200]) from error
            finally:
                self._recorder.later("data.ended", {}, {"job": spec.job, **outcome})
        return {name: outcome[name] for name in ("exit", "seconds", "timed_out")}

    async def reconcile(self) -> None:
        """Remove the data containers of a warden that is no more: nobody waits for them. Raises EngineError."""
        for found in await self._engine.found():
            if found.role == "data":
                await self._engine.remove(found.id)
                self._recorder.later("data.ended", {}, {"job": found.subject, "cause": "unknown"})

    async def _start(self, spec: DataSpec) -> Found:
        inputs = {item.target: mounts.inside(self._home, item.source) for item in spec.inputs}
        inputs["/job/job.json"] = mounts.inside(self._home, f"jobs/{spec.job}/job.json")
        if (self._home / "jobs" / spec.job / "secret").exists():
            inputs["/job/secret"] = mounts.inside(self._home, f"jobs/{spec.job}/secret")
        for path in inputs.values():
            mounts.let_read(path, 0o040)
        output = self._home / spec.output
        mounts.empty_output(output)
        return await self._engine.start_data(spec, inputs, output)

    async def _end(self, spec: DataSpec, found: Found, started: float) -> dict[str, Any]:
        timed_out = False
        if found.running:
            try:
                await asyncio.wait_for(freezer.gone(found.pid), spec.seconds)
            except TimeoutError:
                timed_out = True
                await self._engine.kill(found.id)
        code = await self._engine.exit_code(found.id)
        seconds = round(time.monotonic() - started, 3)
        return {"cause": "timed_out" if timed_out else "exited", "exit": code, "seconds": seconds, "timed_out": timed_out}
