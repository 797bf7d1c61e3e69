"""The portal's process: what the pages, the internal port and the tasks behind them share (`web.runtime.Runtime`)."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import event

from audit.client import LogError, LogUnavailable, Reader
from audit.tokens import load_private
from sandbox.adapters.hub import Hub
from sandbox.adapters.opa import Policy
from sandbox.adapters.warden import Warden
from sandbox.domain.actor import service
from sandbox.domain.clock import Clock, system_clock
from sandbox.domain.errors import Refusal
from sandbox.services.context import Context
from sandbox.services.cutter import Cutter
from sandbox.services.leases import Leases
from sandbox.services.runner import Runner
from sandbox.services.shipper import Shipper
from sandbox.settings import Settings
from sandbox.store import Database, migrate, open_engine
from sandbox.web.hub_oauth import HubOAuth

HUB_API = "http://hub:8081/hub/api"
LOG = "http://log:8020"
OPA = "http://opa:8181"
WARDEN = "http://warden:8030"


class Work:
    """Transactions of the process itself, as the service `portal`."""

    def __init__(self, database: Database, policy: Policy, clock: Clock, committed: Callable[[], None]) -> None:
        self._database, self._policy, self._clock, self._committed = database, policy, clock, committed

    def run(self, act: Callable[..., Any], *args: Any, name: str = "portal") -> Any:
        """Call `act(ctx, *args)` in one transaction as the service `name`; commit, then wake what waits for a change."""
        changes: list[object] = []
        with self._database.writing() as db:
            event.listen(db, "after_flush", lambda _session, flush: changes.append(flush))
            result = act(Context(db, service(name), self._clock(), self._policy), *args)
            db.flush()
        # Only a change wakes the tasks: their own looking must not.
        if changes:
            self._committed()
        return result

    def look(self, act: Callable[..., Any], *args: Any) -> Any:
        """Call `act(ctx, *args)` in a transaction that changes nothing and waits for no writer."""
        with self._database.reading() as db:
            return act(Context(db, service("portal"), self._clock(), self._policy), *args)


class LogReader:
    """The log's reader for the threads of the pages; the coroutines run in the process's loop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.loop: asyncio.AbstractEventLoop | None = None

    def entries(self, start: int, count: int, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of entries; `query` as in the log's API."""
        page = self._wait(self._reader.entries(start, count, **{name.removeprefix("refs."): value for name, value in query.items()}))
        return {"entries": page.entries, "next": page.next, "size": page.size}

    def blob(self, digest: str) -> bytes | None:
        """Return a text of the log, or None when it was erased."""
        found: bytes | None = self._wait(self._reader.blob(digest))
        return found

    def head(self) -> dict[str, Any]:
        """Return `{"size","root","checkpoint"}`."""
        head: dict[str, Any] = self._wait(self._reader.head())
        return head

    def _wait(self, call: Coroutine[Any, Any, Any]) -> Any:
        if self.loop is None:
            call.close()
            raise Refusal("log_unavailable", status=503)
        try:
            return asyncio.run_coroutine_threadsafe(call, self.loop).result(timeout=15)
        except (LogUnavailable, TimeoutError) as error:
            raise Refusal("log_unavailable", status=503) from error
        except LogError as error:
            raise Refusal("log_refused", status=502, reason=error.code) from error


class Process:
    """Everything, wired; `run` keeps the tasks going."""

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings, self.clock = settings, clock
        migrate(settings.database_url)
        self.database = Database(open_engine(settings.database_url))
        self.policy = Policy(OPA, settings.token("portal", "opa"))
        self.key = load_private(settings.secret_file("portal", "launch.key").read_bytes())
        self.oauth = HubOAuth(
            public_url=settings.url,
            api_url=HUB_API,
            token=settings.token("portal", "hub"),
            redirect_uri=f"{settings.portal_url}oauth_callback",
        )
        self.leases = Leases()
        self.log = LogReader(Reader(LOG, settings.token("portal", "log")))
        self.shipper = Shipper(self.database, LOG, settings.token("portal", "log"))
        self.work = Work(self.database, self.policy, clock, self.after_commit)
        hub = Hub(HUB_API, settings.token("portal", "hub"))
        warden = Warden(WARDEN, settings.token("portal", "warden"))
        self.cutter = Cutter(self.work, self.leases, warden, hub)
        self.runner = Runner(self.work, settings, self.key, hub, warden)

    def after_commit(self) -> None:
        """Wake the cutter first, then the outbox and the jobs; returns at once."""
        self.cutter.kick()
        self.shipper.kick()
        self.runner.kick()

    def log_out(self, sandboxes: Sequence[str]) -> None:
        """Tell the guards of these sandboxes that their person has logged out."""
        for sandbox in sandboxes:
            self.leases.log_out(sandbox)

    def wait_recorded(self, outbox_id: int) -> None:
        """Return when that row is in the log; Refusal `log_unavailable` (503) when it takes too long."""
        self.shipper.wait_recorded(outbox_id)

    async def run(self) -> None:
        """Run the tasks; if one of them ends, the process does: half a portal is none."""
        self.log.loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            for part in (self.cutter, self.shipper, self.runner):
                tasks.create_task(part.run())


def from_environment() -> Process:
    """Return the process of this container's settings, its folders made."""
    settings = Settings.from_env()
    for folder in ("uploads", "sources", "releases", "exports", "jobs"):
        Path(settings.home / folder).mkdir(exist_ok=True)
    return Process(settings)
