"""B1 and B2: a cell `1+1`, from the browser's send to reply, result and idle, in turn with the stock peers."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

from bench.figures import Figure, median_ms
from bench.stock_peer import stock
from bench.study import Study
from sandbox.client import Kernel

ROUNDS, WARM_UP = 200, 20


async def cells(study: Study) -> AsyncIterator[Figure]:
    """Measure all three in the same rounds, so that whatever else the machine does meets all alike."""
    researcher = await study.person("researcher")
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(stock(study.deployment.images))
        plain = await stack.enter_async_context(await peer.kernel("plain", "python3"))
        nodelay = await stack.enter_async_context(await peer.kernel("nodelay", "quiet"))
        ours = await stack.enter_async_context(await researcher.kernel())
        took: dict[str, list[float]] = {"ours": [], "plain": [], "nodelay": []}
        for number in range(WARM_UP + ROUNDS):
            for name, kernel in (("ours", ours), ("plain", plain), ("nodelay", nodelay)):
                seconds = await round_trip(kernel)
                if number >= WARM_UP:
                    took[name].append(seconds)
    middle = {name: median_ms(seconds) for name, seconds in took.items()}
    tail = ", ".join(f"{name} {sorted(seconds)[int(len(seconds) * 0.95)] * 1000:.1f}" for name, seconds in took.items())
    how = f"medians, in turn, after {WARM_UP} to warm up; same client code, JSON frames, published port, proxy image and libraries; 95th percentile in ms: {tail}"
    cell = "cell 1+1, browser-side round trip through the proxy, record on disk"
    yield Figure("B1", f"{cell}, against stock", middle["ours"], middle["plain"], "ms", "<= 0.25x", ROUNDS, how)
    yield Figure("B2", f"{cell}, against stock with TCP_NODELAY", middle["ours"], middle["nodelay"], "ms", "<= 1.4x", ROUNDS, how)


async def round_trip(kernel: Kernel, clock: Callable[[], float] = time.monotonic) -> float:
    """Run `1+1` and return the seconds until its last message; ValueError if the answer is not 2."""
    begun = clock()
    answer = ""
    async for event in kernel.run("1+1"):
        answer += event.text if event.kind == "result" else ""
    took = clock() - begun
    if answer.strip() != "2":
        raise ValueError(f"1+1 gave {answer!r}")
    return took
