"""What tests of the portal's tasks share: transactions on a real store, and a wait for a fact."""

import asyncio
from contextlib import asynccontextmanager, suppress

from sandbox.domain.actor import service
from sandbox.services.context import Context


class Work:
    """Transactions as `web.process` gives them, at a world's time."""

    def __init__(self, world):
        self.world, self.committed = world, lambda: None

    def run(self, act, *args, name="portal"):
        with self.world.database.writing() as db:
            result = act(Context(db, service(name), self.world.now, self.world.policy), *args)
        self.committed()
        return result

    def look(self, act, *args):
        with self.world.database.reading() as db:
            return act(Context(db, service("portal"), self.world.now, self.world.policy), *args)


async def until(fact, seconds=15):
    """Return the first true value of `fact()`; TimeoutError when there is none."""
    async with asyncio.timeout(seconds):
        while not (found := await asyncio.to_thread(fact)):  # noqa: ASYNC110 - facts are rows
            await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def running(part):
    """Keep a task of the process going."""
    task = asyncio.create_task(part.run())
    try:
        yield part
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
