"""The one object that the extension's parts share: who works here, the lease, policy, the record, the open connections."""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from audit.client import Blob, LogError, LogRefused, Source
from sandbox.adapters.opa import AsyncPolicy, Decision
from sandbox.domain.errors import Refusal
from sandbox.domain.messages import text
from sandbox.guard.budget import Budget, Kept
from sandbox.guard.lease import Lease, LeaseStream
from sandbox.guard.memory import RECORDING, Memory
from sandbox.guard.meter import Meter
from sandbox.guard.rules import Book, Outgoing
from sandbox.guard.settings import Settings
from sandbox.guard.supervisor import Supervisor

CLOSE_CODE = 4403
LOGOUT_CODE = 4401
REFUSALS_PER_MINUTE = 30
PAUSE = 0.05  # seconds without an act that count as a pause
NEWS_SECONDS = 1.0  # between two pieces of news of the budget
CLOSING_WAIT = 2.0  # seconds a closing entry waits for one
_log = logging.getLogger(__name__)


class Closable(Protocol):
    """A kernel connection, as far as a cut is concerned."""

    @property
    def kernel_id(self) -> str:
        """The kernel it is connected to."""

    @property
    def websocket_handler(self) -> Any:
        """The request it began with."""

    @property
    def busy(self) -> bool:
        """Whether a cell of it is running."""

    def shut(self, code: int, reason: str) -> None:
        """Close at once; nothing more goes out."""

    def show_again(self, message: Outgoing, parts: list[bytes]) -> bool:
        """Show output that was withheld; whether it was shown."""


class Guard:
    """One per session process; Jupyter makes its parts by class name, so they find it by `Guard.current()`."""

    _current: ClassVar["Guard | None"] = None

    def __init__(self, settings: Settings) -> None:
        """Make the clients; must run inside the event loop."""
        self.settings = settings
        self.lease = Lease()
        self.policy = AsyncPolicy(settings.opa, settings.tokens["opa"])
        self.source = Source(settings.log, settings.tokens["session"], settings.source, boot=settings.boot)
        self.supervisor = Supervisor(settings.sock, self.record, self._supervisor_lost)
        self.listeners: set[Closable] = set()  # JupyterLab's event sockets
        self.waiting = 0  # bytes of frames of all connections that wait for their record
        self.connections: set[Closable] = set()
        self.cells: dict[str, Book] = {}  # kernel id -> what it was asked and has shown
        self.order: dict[str, asyncio.Lock] = {}  # kernel id -> what is recorded first is delivered first
        self.budget = Budget()  # of the sandbox: all its kernels, tabs and files
        self.meter = Meter(settings.portal, settings.tokens["session"], self.budget, on_change=self._tell_soon, on_out=self._budget_out)
        self.kept = Kept()
        self.memory = Memory.of(settings.door, settings.boot)
        self.interrupted: dict[str, list[str]] = {}  # kernel id -> cells whose end nobody saw: told to the next browser
        self.cell_bytes = 0  # nothing is shown before policy has said how much
        self.forget: Callable[[], None] = lambda: None  # drops what the server remembers of the hub's answers about persons
        self.take_up: set[str] = set()  # kernels of a killed process that are being taken up
        self.ready = asyncio.Event()
        self._news = asyncio.Event()  # set, and replaced, when the right to work changes
        self.door: asyncio.Server | None = None
        self._told = False
        self._display_known: tuple[Any, ...] = ()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refused: deque[float] = deque()
        self._refused_last: OrderedDict[tuple[str, str, str, str], float] = OrderedDict()
        self._suppressed = 0
        self._closings: deque[tuple[float, str, dict[str, Any]]] = deque()
        self._last_act = 0.0

    @classmethod
    def current(cls) -> "Guard":
        """Return the guard of this process; RuntimeError before the extension is loaded (nothing works unguarded)."""
        if cls._current is None:
            raise RuntimeError("the guard is not loaded")
        return cls._current

    @classmethod
    def install(cls, guard: "Guard") -> None:
        """Make `guard` the one of this process."""
        cls._current = guard

    # --- the record

    @property
    def lang(self) -> str:
        """The person's language."""
        person = self.lease.facts.get("person")
        return str(person.get("lang", "zh-CN")) if isinstance(person, dict) else "zh-CN"

    def say(self, code: str, **params: Any) -> str:
        """Return the text of a code in the person's language."""
        return text(code, self.lang, **params)

    def actor(self) -> dict[str, str]:
        """The person at work, as leaves name them."""
        return {"type": "person", "id": self.settings.login, "login": self.settings.login}

    async def record(
        self,
        kind: str,
        data: dict[str, Any],
        blobs: Iterable[tuple[str, str, bytes]] = (),
        actor: dict[str, str] | None = None,
    ) -> int:
        """Write one entry; returns its index once it is on disk.

        Refusal `log_unavailable` (503) if it is not there now: it may still come, so say `not_delivered` in a closing entry.
        """
        refs = {"sandbox": self.settings.sandbox}
        project = self.lease.facts.get("project")
        if isinstance(project, dict) and isinstance(project.get("id"), str):
            refs["project"] = project["id"]
        if not kind.endswith(".closed"):
            self._last_act = time.monotonic()
        try:
            index = await self.source.append(kind, actor=actor or self.actor(), refs=refs, data=data, blobs=[Blob(*blob) for blob in blobs])
        except LogRefused as refused:
            _log.exception("the log refuses %s", kind)
            raise Refusal("record_refused", status=422, reason=refused.code) from refused
        except LogError as down:
            raise Refusal("log_unavailable", status=503) from down
        if kind.endswith(".closed"):
            self.memory.done(str(data.get("msg_id", "")))
        return index

    def record_soon(self, kind: str, data: dict[str, Any], actor: dict[str, str] | None = None) -> None:
        """Write an entry that nothing waits for (a closing entry, a refusal); a failure shows in the session's output."""
        self.spawn(self._record_quietly(kind, data, actor))

    def record_when_idle(self, kind: str, data: dict[str, Any]) -> None:
        """Write a closing entry in a pause between acts, at the latest after CLOSING_WAIT: the next cell does not queue behind it."""
        self._closings.append((time.monotonic(), kind, data))
        if len(self._closings) == 1:
            self.spawn(self._write_closings())

    async def _write_closings(self) -> None:
        while self._closings:
            begun, kind, data = self._closings[0]
            now = time.monotonic()
            if now - self._last_act < PAUSE and now - begun < CLOSING_WAIT and self.lease.live:
                await asyncio.sleep(PAUSE)
                continue
            await self._record_quietly(kind, data)
            self._closings.popleft()

    async def _record_quietly(self, kind: str, data: dict[str, Any], actor: dict[str, str] | None = None) -> None:
        for wait in (0.5, 2, 10, 0):
            with contextlib.suppress(Refusal):
                await self.record(kind, data, actor=actor)
                return
            await asyncio.sleep(wait)
        _log.error("not recorded: %s %s", kind, {name: data.get(name) for name in ("kernel", "msg_id", "path", "code")})

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run a coroutine beside the rest and keep hold of it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def refused(self, code: str, method: str, path: str, status: int, login: str = "") -> None:
        """Record a refused request of `login` (empty: nobody the hub knows), at a bounded rate: what is left out is counted in the next entry."""
        now = time.monotonic()
        while self._refused and now - self._refused[0] > 60:
            self._refused.popleft()
        # JupyterLab itself asks for a few things it does not get, again and again: once in ten minutes says it.
        again = now - self._refused_last.get((login, code, method, path), float("-inf")) < 600
        if again or len(self._refused) >= REFUSALS_PER_MINUTE:
            self._suppressed += 1
            return
        self._refused_last[login, code, method, path] = now
        while len(self._refused_last) > 256:
            self._refused_last.popitem(last=False)
        self._refused.append(now)
        data = {"code": code, "method": method[:10], "path": path[:512], "status": status}
        if self._suppressed:
            data["suppressed"], self._suppressed = self._suppressed, 0
        who = {"type": "person", "id": login, "login": login} if login else {"type": "anonymous", "id": "-"}
        self.record_soon("request.refused", data, who)

    # --- policy and lease

    def require_lease(self) -> None:
        """Raise the refusal of a session whose right has ended."""
        if not self.lease.live:
            raise Refusal(self.lease.reason, status=403 if self.lease.cut_code else 503)

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        """Ask policy; the lease is part of every question, and no lease means no question."""
        if not self.lease.live:
            return Decision(allow=False, reasons=[self.lease.reason])
        return await self.policy.decide(package, {"lease": self.lease.input(), **facts})

    @staticmethod
    def decision_data(decision: Decision) -> dict[str, Any]:
        """The decision as an entry keeps it: OPA's own log is no evidence."""
        return {
            "allow": decision.allow,
            "reasons": decision.reasons,
            "id": decision.decision_id,
            "revision": decision.revision,
        }

    async def _ask_display(self) -> None:
        """Learn how many bytes a cell may show; without an answer, none."""
        asked = self._display_asked()
        display = self.lease.facts.get("display", {})
        wanted, until = display.get("cell_bytes", 0), display.get("extension_until")
        more = {name: display.get(name) for name in ("cell_bytes", "hour_bytes", "day_bytes")} | {"until": until}
        facts = {"cell_bytes": 0, "now": datetime.now(UTC).isoformat(), "extension": more if until else None}
        decision = await self.decide("sandbox.display", facts)
        granted = decision.obligations.get("cell_bytes") if decision.allow else None
        if isinstance(granted, int) and isinstance(wanted, int):
            self.cell_bytes = min(granted, wanted) if wanted else granted
            self._display_known = asked
        else:
            self.cell_bytes = 0

    def _display_asked(self) -> tuple[Any, ...]:
        """What the answer of policy depends on."""
        display = self.lease.facts.get("display", {})
        return self.lease.epoch, display.get("cell_bytes"), display.get("extension_until")

    def _budget_out(self, code: str) -> None:
        """The hour or the day is used up: on record once, until there is budget again."""
        used = self.budget.used()
        data = {"code": code, **{f"{name}_bytes": limit for name, (_, limit) in used.items()}}
        self.record_soon("display.exhausted", data | {f"{name}_used": shown for name, (shown, _) in used.items()})

    def say_withheld(self, code: str, cap: int) -> str:
        """Say why output is not shown, and what to do."""
        used = self.budget.used()
        project = self.lease.facts.get("project") or {}
        link = f"{str(self.lease.facts.get('url', '')).rstrip('/')}/projects/{project.get('id', '')}/display"
        return self.say(code, limit=cap // 1024, hour=_mb(used["hour"][1]), day=_mb(used["day"][1]), link=link)

    def granted(self) -> None:
        """Act on a grant of the portal."""
        display = self.lease.facts.get("display")
        self.meter.facts(display if isinstance(display, dict) else {})
        if self._display_known != self._display_asked():
            self.spawn(self._ask_display())
        self.ready.set()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _tell_soon(self) -> None:
        """Tell who waits for news of the budget, at most once a second."""
        if not self._told:
            self._told = True
            asyncio.get_running_loop().call_later(NEWS_SECONDS, self._tell_now)

    def _tell_now(self) -> None:
        self._told = False
        self._tell()

    async def changed(self, seconds: float) -> None:
        """Wait until a lease was granted, lapsed or cut, at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)

    def cut(self, code: str) -> None:
        """End everything at once; recorded as soon as the log can take it (a protective act never waits)."""
        self.lease.cut(code)
        self._tell()
        self._close_all(self.lease.reason)
        self.record_soon("session.cut", {"code": code, "epoch": self.lease.epoch})

    def lapsed(self) -> None:
        """The lease ran out unrenewed: close what is open; it may be granted again."""
        self._tell()
        self._close_all("lease_ended")
        self.record_soon("session.lapsed", {"epoch": self.lease.epoch})

    def _supervisor_lost(self) -> None:
        """The kernel container is gone, or somebody in it wants us to think so: it is not asked again in this boot."""
        self.record_soon("kernel.container_lost", {})
        self._close_all("kernel_container_down", 1011)

    def logged_out(self) -> None:
        """The person logged out: every open page ends, the kernels live on. Protective: recorded afterwards."""
        self.forget()
        self._close_all("logged_out", LOGOUT_CODE)
        self.record_soon("session.logged_out", {"epoch": self.lease.epoch})

    def _close_all(self, code: str, status: int = CLOSE_CODE) -> None:
        for held in [*self.connections, *self.listeners]:
            with contextlib.suppress(Exception):
                held.shut(status, code)

    def activity(self) -> dict[str, Any]:
        """What the portal learns for culling idle sandboxes."""
        busy = any(connection.busy for connection in self.connections)
        return {"executions": self.memory.executions, "busy": busy}

    def resumed(self, kernels: list[str]) -> None:
        """Say that this process took up what a killed one left: which kernels live on, and what became of what was on its way.

        What was not yet being delivered cannot have been; of the rest nobody can tell.
        """
        data = {"restarts": self.memory.restarts, "kernels": kernels, "lost": sorted(set(self.memory.kernels) - set(kernels))}
        self.record_soon("session.restarted", data)
        for number, act in list(self.memory.open.items()):
            status = "not_delivered" if act["state"] == RECORDING else "unknown"
            closed = {"kernel": act["of"], "msg_id": number, "status": status, "code": "session_restarted"}
            self.record_soon(f"{act['kind']}.closed", closed)
            if act["kind"] == "cell":
                self.interrupted.setdefault(act["of"], []).append(number)

    def start(self) -> None:
        """Begin holding the lease."""
        stream = LeaseStream(
            self.settings.portal,
            self.settings.tokens["session"],
            self.settings.boot,
            self.lease,
            on_cut=self.cut,
            on_grant=self.granted,
            on_lapse=self.lapsed,
            on_logout=self.logged_out,
            activity=self.activity,
        )
        self.spawn(stream.run())


def _mb(size: int) -> str:
    """Megabytes (2^20 bytes), as people read them."""
    return f"{size / (1 << 20):.1f}"
