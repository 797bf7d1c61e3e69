"""B13 for one sandbox: a hold while the kernel prints without end, again and again, each time on a new sandbox of the same project."""

import asyncio
import time
from collections.abc import AsyncIterator

from bench.figures import Figure
from bench.study import Study

TIMES = 20
CLOSE_SECONDS = 60


async def cutting(study: Study) -> AsyncIterator[Figure]:
    """Hold, measure, lift, open anew; maximum of all times."""
    researcher, administrator = await study.person("researcher"), await study.person("administrator")
    silent, frozen = [], []
    for _ in range(TIMES):
        await study.open_sandbox()
        start = await study.head()
        async with study.talking(researcher) as kernel:
            begun = time.monotonic()
            given = {"ground": "性能测试", "reason": "测量切断用时"}
            hold = await administrator.post(f"/agreements/{study.agreement}/holds", given)
            last = await asyncio.wait_for(kernel.wait_closed(), CLOSE_SECONDS)
        silent.append(max(last - begun, 0) * 1000)
        frozen.append(float((await study.evidence("kernel.cut", start))["frozen_ms"]))
        await study.cut()
        await administrator.post(f"/holds/{hold['id']}/lift")
    how = (
        "maximum of all times; from before the administrator's request is sent to the last byte of output the open WebSocket got, "
        f"the kernel printing every 10 ms; each time (ms): {_listed(silent)}"
    )
    yield Figure("B13", "hold: request to last byte", max(silent), None, "ms", "<= 250", TIMES, how)
    how = f"maximum; the warden's evidence (kernel.cut in the log), from its request to all processes standing still; each time (ms): {_listed(frozen)}"
    yield Figure("B13-freeze", "hold: freeze of the kernel", max(frozen), None, "ms", "<= 20", TIMES, how)


def _listed(values: list[float]) -> str:
    return " ".join(f"{value:.1f}" for value in values)
