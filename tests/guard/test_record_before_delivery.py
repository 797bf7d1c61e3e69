"""Record, then deliver (L7): whatever is killed and whenever, what a kernel got is on record, and what it did not get is closed as such.

A kernel that syncs the digest of each cell before it answers; a person who types as fast as answers come; a real guard and a real log.
Kills come at random points (the seed is in the test's name). `power` puts the log's directory on an ext4 image of its own and shuts the
file system down in mid-flight (EXT4_IOC_SHUTDOWN without flushing its journal), so that everything the log has not synced is lost. That
needs root and a loop device: where the machine has none (a container within a container) the test's name says so and why, and a killed
log stands in its place; a loop device that is there and does not work fails the test.
"""

import asyncio
import random

import pytest

from sandbox.warden.loop import missing
from tests.guard.faults import UNSYNCED, Faulty, until
from tests.guard.stack import ROOT

KILLS = 6
NO_DISK = missing()
POWER = pytest.param("log", id=f"log-no-power-cut-possible-here({NO_DISK})") if NO_DISK else pytest.param("power", id="power")
SWAPPED = """
from sandbox.guard import channels

async def deliver_and_record(self, request, code, decision):
    if code is None:
        deliver(self, request)
    await record(self, request, code, decision)

record, deliver = channels.SandboxConnection._record, channels.SandboxConnection._deliver
channels.SandboxConnection._record = deliver_and_record
channels.SandboxConnection._deliver = lambda self, request: None
"""


@pytest.fixture
def swapped(tmp_path):
    config = tmp_path / "config.py"
    config.write_text((ROOT / "images/session/jupyter_server_config.py").read_text() + SWAPPED)
    return config


async def log_goes(stack, fault):
    await (stack.cut_power() if fault == "power" else stack.kill_log())
    assert not stack.unrecorded(), "delivered and not on record"  # before anything that is left can mend it


async def lose_log(stack, kernel, fault, chance, window, *, session):
    """The log goes at a random point, with the session or without it, and comes back."""
    async with stack.typing(kernel):
        await stack.progress(chance.randint(1, 12))
        await asyncio.sleep(chance.uniform(0, 0.02))
        await log_goes(stack, fault)
        if session:
            await until(lambda: window(stack), "a cell meets a log that is gone", 20)
            await asyncio.sleep(chance.uniform(0, 0.05))
            await stack.kill_session()
        await stack.start_log()
        if session:
            await stack.restart_session()
        stack.check()
        await stack.progress(1)
    await stack.check_closed()


async def rounds(stack, fault, seed, kills=KILLS, window=Faulty.waiting):
    """Kill log (and, every other time, session with it) again and again."""
    chance = random.Random(seed)  # noqa: S311 - to repeat, not to hide
    kernel = await stack.start_kernel()
    for number in range(kills):
        await lose_log(stack, kernel, fault, chance, window, session=number % 2 == 0)
    assert stack.delivered()


@pytest.mark.parametrize("seed", [4])
async def test_l7_the_session_is_killed_at_any_point(seed):
    chance = random.Random(seed)  # noqa: S311 - to repeat, not to hide
    async with Faulty() as stack:
        kernel = await stack.start_kernel()
        for _ in range(KILLS - 2):
            async with stack.typing(kernel):
                await stack.progress(chance.randint(1, 12))
                await asyncio.sleep(chance.uniform(0, 0.02))
                await stack.kill_session()
                stack.check()
                await stack.restart_session()
                await stack.progress(1)
            await stack.check_closed()
        for _ in range(2):
            number = await stack.held_cell(kernel)
            await until(lambda number=number: number in stack.recorded()[0], "the cell is on record", 20)
            await stack.restart_session()
            await stack.check_closed()
            assert number not in stack.delivered()
            assert stack.recorded()[1][number] == ["not_delivered"]


@pytest.mark.parametrize("seed", [4])
@pytest.mark.parametrize("fault", ["log", POWER])
async def test_l7_the_log_is_lost_at_any_point(fault, seed):
    async with Faulty(disk=fault == "power") as stack:
        await rounds(stack, fault, seed)


async def test_twin_with_record_and_delivery_swapped_the_same_rounds_find_what_is_not_on_record(swapped):
    async with Faulty(config=swapped) as stack:
        with pytest.raises(AssertionError, match="delivered and not on record"):
            await rounds(stack, "log", 4, window=Faulty.unrecorded)


@pytest.mark.skipif(bool(NO_DISK), reason=f"the twin of the power cut: {NO_DISK}")
async def test_twin_with_a_log_that_does_not_sync_the_power_cut_finds_what_is_not_on_record():
    async with Faulty(disk=True, program=UNSYNCED) as stack:
        with pytest.raises(AssertionError, match="delivered and not on record"):
            await rounds(stack, "power", 4)
