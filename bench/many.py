"""B3 to B6 and B17: a big output, many streams, one and twenty starts, memory; ours on the bench's own deployment, the peer stock and direct.

*Direct*: the client speaks to the stock single-user server itself, without its proxy; ours goes the whole way a browser goes.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from bench.crowd import Crowd, crowd
from bench.figures import Figure, median_ms
from bench.stock_peer import Stock, stock
from sandbox.client import Client, Kernel
from sandbox.deploy.host import docker

ONE_BY_ONE, TOGETHER, STREAMS = 6, 20, 16
BIG = 100 * 1000 * 1000  # bytes of output
CHUNK = 250_000
MESSAGES = 400  # of each stream
# every chunk another, so that nothing is shown for the second time
BIG_CELL = f"""
import secrets
from IPython.display import publish_display_data
for _ in range({BIG // CHUNK}):
    publish_display_data({{"text/plain": secrets.token_hex({CHUNK // 2})}})
"""
STREAM_CELL = f"""
from IPython.display import publish_display_data
for number in range({MESSAGES}):
    publish_display_data({{"text/plain": f"line {{number:06}} " + "x" * 80}})
"""


async def many(home: Path, wanted: Sequence[str]) -> AsyncIterator[Figure]:
    """Measure ours first, then the peer, each alone on the machine; one run of both is one comparison."""
    count = TOGETHER if {"B4", "B6", "B17"} & set(wanted) else 1
    async with crowd(home, count) as ours:
        images = ours.deployment.images
        ready, together, memory, streams, big = await _ours(ours, wanted)
    async with stock(images) as peer:
        p_ready, p_together, p_memory, p_streams, p_big = await _peer(peer, count, wanted)
    if "B5" in wanted:
        how = f"medians of {ONE_BY_ONE}, one after the other"
        yield Figure("B5", "click to idle kernel", median_ms(ready), median_ms(p_ready), "ms", "<= 1.15x", ONE_BY_ONE, how)
    if "B6" in wanted:
        how = "from the first request until each has an idle kernel"
        yield Figure("B6", f"{count} started together", together, p_together, "s", "<= 0.9x", 1, how)
    if "B17" in wanted:
        how = "mean; memory of the cgroups less the file cache that can be dropped (usage - inactive_file), one idle kernel each"
        yield Figure("B17", "memory of an idle sandbox: session and kernel container", memory, p_memory, "MiB", "<= 1.2x", count, how)
    if "B4" in wanted:
        how = f"{MESSAGES} displays of about 100 bytes in each of {STREAMS}; messages that reached the clients, through proxy and guard; peer direct"
        yield Figure("B4", f"{STREAMS} streams at once", streams, p_streams, "msg/s", ">= 0.5x", STREAMS, how)
    if "B3" in wanted:
        how = f"{BIG // CHUNK} displays of {CHUNK:,} bytes, budget out of the way, through proxy and guard; peer direct, its rate limit off"
        yield Figure("B3", "100 MB of output of one cell", big, p_big, "MB/s", ">= 0.9x", 1, how)


async def _ours(made: Crowd, wanted: Sequence[str]) -> tuple[list[float], float, float, float, float]:
    researcher = await made.person("researcher")
    ready = []
    for _ in range(ONE_BY_ONE):
        begun = time.monotonic()
        kernel = await _ready(researcher, made.project)
        ready.append(time.monotonic() - begun)
        await kernel.close()
        await _close(researcher)
    begun = time.monotonic()
    kernels = await asyncio.gather(*(_ready(member, made.project) for member in made.members))
    together = time.monotonic() - begun
    label = f"label={made.deployment.label}"
    found = [_memory(["--filter", label, "--filter", f"label=datasandbox.role={role}"]) for role in ("session", "kernel")]
    memory = sum(sum(values) for values in found) / max(1, len(kernels)) / 1024**2
    streams, big = await _output(kernels, wanted)
    for kernel in kernels:
        await kernel.close()
    await asyncio.gather(*(_close(member) for member in made.members))
    return ready, together, memory, streams, big


async def _peer(peer: Stock, count: int, wanted: Sequence[str]) -> tuple[list[float], float, float, float, float]:
    ready = []
    for _ in range(ONE_BY_ONE):
        begun = time.monotonic()
        kernel = await _idle(peer.kernel("plain", "python3"))
        ready.append(time.monotonic() - begun)
        await kernel.close()
        await peer.stop("plain")
    begun = time.monotonic()
    kernels = await asyncio.gather(*(_idle(peer.kernel(f"many{n:02}", "python3", direct=True)) for n in range(count)))
    together = time.monotonic() - begun
    values = _memory(["--filter", f"name={peer.name}-bench-many"])
    memory = sum(values) / max(1, len(values)) / 1024**2
    streams, big = await _output(kernels, wanted)
    for kernel in kernels:
        await kernel.close()
    return ready, together, memory, streams, big


async def _ready(person: Client, project: str) -> Kernel:
    await person.open(project)
    return await _idle(person.kernel())


async def _idle(starting: Awaitable[Kernel]) -> Kernel:
    """Return the kernel once it has answered a cell."""
    kernel = await starting
    async for _ in kernel.run("None"):
        pass
    return kernel


async def _close(person: Client) -> None:
    sandboxes = (await person.get("/sandboxes"))["items"]
    for one in sandboxes:
        if one["state"] == "running":
            await person.post(f"/sandboxes/{one['id']}/close")
    until = time.monotonic() + 60
    while any(one["state"] not in {"stopped", "cut", "refused"} for one in sandboxes) and time.monotonic() < until:
        await asyncio.sleep(0.1)
        sandboxes = (await person.get("/sandboxes"))["items"]


async def _output(kernels: Sequence[Kernel], wanted: Sequence[str]) -> tuple[float, float]:
    streams = await _streams(kernels[:STREAMS]) if "B4" in wanted else 0.0
    return streams, await _big(kernels[0]) if "B3" in wanted else 0.0


async def _streams(kernels: Sequence[Kernel]) -> float:
    """Return messages a second over all kernels at once."""
    begun = time.monotonic()
    counts = await asyncio.gather(*(_count(kernel, STREAM_CELL, lambda _text: 1) for kernel in kernels))
    if any(count != MESSAGES for count in counts):
        raise ValueError(f"not all messages came: {counts}")
    return sum(counts) / (time.monotonic() - begun)


async def _big(kernel: Kernel) -> float:
    """Return MB a second of one big output."""
    begun = time.monotonic()
    size = await _count(kernel, BIG_CELL, lambda text: len(text) - 1)
    if size != BIG:
        raise ValueError(f"{size:,} of {BIG:,} bytes came")
    return size / 1e6 / (time.monotonic() - begun)


async def _count(kernel: Kernel, code: str, measure: Callable[[str], int]) -> int:
    total = 0
    async for event in kernel.run(code):
        if event.kind == "display":
            total += measure(event.text)
        elif event.kind == "error":
            raise ValueError(event.text[-300:])
    return total


def _memory(filters: list[str]) -> list[int]:
    """Return bytes of memory of the running containers that match: what the cgroup counts less inactive file pages."""
    listed = subprocess.run([docker(), "ps", "-q", "--no-trunc", *filters], capture_output=True, text=True, check=True).stdout.split()
    if not listed:
        return []
    seen = json.loads(subprocess.run([docker(), "inspect", *listed], capture_output=True, text=True, check=True).stdout)
    return [_cgroup_bytes(int(one["State"]["Pid"])) for one in seen]


def _cgroup_bytes(pid: int) -> int:
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    paths = {controllers: path for _, controllers, path in lines}
    if "memory" in paths:  # version 1
        folder, usage, stale = Path("/sys/fs/cgroup/memory") / paths["memory"][1:], "memory.usage_in_bytes", "total_inactive_file"
    else:
        folder, usage, stale = Path("/sys/fs/cgroup") / paths[""][1:], "memory.current", "inactive_file"
    figures = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return int((folder / usage).read_text()) - int(figures[stale])
