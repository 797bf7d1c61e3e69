# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""The kernel WebSocket: every message is recorded, then delivered; every byte back is counted.

One task a connection (the pump) takes frames in order: decode, rules, policy, record on disk, deliver. A lock per kernel
makes the order of the record the order of delivery, whichever connection a message came by. Nothing is delivered that is
not on record; when the record or policy is down the browser gets the reason and the kernel stays as it is.
"""

import asyncio
import contextlib
import hashlib
import itertools
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

from jupyter_client.session import DELIM
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado.websocket import WebSocketClosedError

from sandbox.adapters.opa import Decision
from sandbox.domain.errors import Refusal
from sandbox.guard.budget import Withheld
from sandbox.guard.guard import CLOSE_CODE, Guard
from sandbox.guard.messages import Malformed, decode, encode
from sandbox.guard.rules import REPLY_BYTES, Book, Cell, Inbound, Ledger, Outgoing, inbound, notices, outgoing, rebuilt, replies

WAITING_BYTES = 64 * 1024 * 1024  # of frames that wait for their record, of all connections
WAITING = 2000
LATE_BYTES = 1024 * 1024  # of output that waits until the portal has covered it
LATE = 1000
CONNECTIONS = 32  # browsers on kernels at once
UNREAD = 8 * 1024 * 1024  # bytes a browser has not taken: then it is gone or does not read (D7)
ABORT_AFTER = 0.1  # seconds a client has to take the close frame


class SandboxConnection(ZMQChannelsWebsocketConnection):
    """One browser on one kernel."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.guard = Guard.current()
        self.closed = False
        self._queue: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._waiting = 0
        self._book = self.guard.cells.setdefault(self.kernel_id, Book(self.guard.cell_bytes))
        self._book.background.cap = self.guard.cell_bytes
        self._ledger = Ledger(self._book, self.guard.budget, self.guard.meter.charge)
        self._late: deque[tuple[Any, str, Outgoing, list[bytes]]] = deque()
        self._late_bytes = 0
        self._late_task: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._running: dict[str, float] = {}  # execution -> when it was delivered (monotonic seconds)
        self._pump_task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a cell of this connection is running."""
        return bool(self._running)

    def connect(self) -> Any:
        """Begin: no delay on small packets (Nagle and delayed ACK cost 40 ms a cell), and the pump."""
        if not self.guard.lease.live:
            self.shut(CLOSE_CODE, self.guard.lease.reason)
            return asyncio.sleep(0)
        if len(self.guard.connections) >= CONNECTIONS:
            self.shut(1013, "too_many_connections")
            return asyncio.sleep(0)
        self.websocket_handler.set_nodelay(True)
        self.guard.connections.add(self)
        self._pump_task = self.guard.spawn(self._pump())
        self._tell_interrupted()
        return super().connect() or asyncio.sleep(0)

    def _tell_interrupted(self) -> None:
        """End the cells that ran when the session's process was killed: their replies went to it (`session_restarted`)."""
        words = self.guard.say("session_restarted")
        for number in self.guard.interrupted.pop(self.kernel_id, ()):
            header = {"msg_id": number, "msg_type": "execute_request", "session": "", "username": "", "date": "", "version": "5.4"}
            for kind, content, channel in notices("execute_request", "session_restarted", words):
                self._say(kind, content, channel, header)

    def shut(self, code: int, reason: str) -> None:
        """Close at once: nothing more goes out, and a client that does not take the close frame is dropped."""
        self.closed = True
        connection = getattr(self.websocket_handler, "ws_connection", None)
        stream = getattr(connection, "stream", None)
        self.websocket_handler.close(code, reason)
        if stream is not None:
            asyncio.get_running_loop().call_later(ABORT_AFTER, stream.close)

    def disconnect(self) -> None:
        """End: cells whose end this connection will not see are closed as unknown."""
        self.closed = True
        self.guard.connections.discard(self)
        self.guard.waiting -= self._waiting
        self._waiting = 0
        for task in (self._pump_task, self._late_task):
            if task is not None:
                task.cancel()
        for number in list(self._running):
            self._close_cell(self._ledger.cell(number), "unknown")
        with contextlib.suppress(KeyError):  # upstream forgets twice when the kernel is gone
            super().disconnect()

    # --- inwards

    def handle_incoming_message(self, incoming_msg: bytes | str) -> None:
        """Queue a frame; too many at once end the connection, never the order."""
        if self.closed:
            return
        self._waiting += len(incoming_msg)
        self.guard.waiting += len(incoming_msg)
        if self.guard.waiting > WAITING_BYTES or self._queue.qsize() >= WAITING:
            self.shut(1008, "too_many_messages")
            return
        self._queue.put_nowait(incoming_msg)

    async def _pump(self) -> None:
        """Take frames one by one. If this task fails the connection must not stay open and silent."""
        try:
            while True:
                raw = await self._queue.get()
                self._waiting -= len(raw)
                self.guard.waiting -= len(raw)
                await self._take(raw)
        except Exception:
            self.log.exception("the pump of kernel %s failed", self.kernel_id)
            self.shut(1011, "guard_failed")

    async def _take(self, raw: bytes | str) -> None:
        """One frame: record, then deliver."""
        try:
            frame = decode(raw, self.subprotocol)
        except Malformed:
            await self._record_malformed(raw)
            return
        request, code = inbound(frame)
        decision: Decision | None = None
        if code is None:
            facts = {"message": {"type": request.type, "channel": request.channel, "size": request.size}}
            decision = await self.guard.decide("sandbox.cell", facts)
            code = self._judge(request, decision)
        async with self.guard.order.setdefault(self.kernel_id, asyncio.Lock()):
            if code is None:  # written down first: a process killed from here on leaves what to close, and how
                self.guard.memory.recording(request.id, self.kernel_id, "cell" if request.is_cell else "message")
            code = await self._on_record(request, code, decision)
            if code is None and not (self.guard.lease.live and not self.closed):
                code = self.guard.lease.reason
                self._not_delivered(request, code)
            if code is None:
                self._deliver(request)
        if code is not None:
            self._answer(request, code)

    async def _on_record(self, request: Inbound, code: str | None, decision: Decision | None) -> str | None:
        """Have it recorded; return why it must not be delivered, or None. What may come on record all the same gets its closing entry."""
        try:
            await self._record(request, code, decision)
        except Refusal as refusal:
            if code is None:  # the entry may still arrive: say what became of it
                self._not_delivered(request, refusal.code)
            return code or refusal.code
        except asyncio.CancelledError:  # the browser has gone meanwhile; the entry is on its way
            if code is None:
                self._not_delivered(request, "connection_closed")
            raise
        return code

    def _judge(self, request: Inbound, decision: Decision) -> str | None:
        """Turn policy's decision into the code of a refusal, or None."""
        if not decision.allow:
            return decision.reasons[0] if decision.reasons else "policy_unavailable"
        limit = decision.obligations.get("max_bytes")
        return "message_too_large" if isinstance(limit, int) and request.size > limit else None

    async def _record(self, request: Inbound, code: str | None, decision: Decision | None) -> None:
        data = {"kernel": self.kernel_id, **request.data}
        blobs = request.blobs
        if decision is not None:
            data["decision"] = self.guard.decision_data(decision)
        if code is not None:
            data["code"] = code
            if request.size > 1 << 20:
                data["sha256"] = hashlib.sha256(b"".join(blob[2] for blob in blobs)).hexdigest()
                blobs = ()
        kind = "cell" if request.is_cell else "message"
        await self.guard.record(f"{kind}.denied" if code else f"{kind}.sent", data, blobs)

    async def _record_malformed(self, raw: bytes | str) -> None:
        content = raw.encode(errors="replace") if isinstance(raw, str) else raw
        data = {
            "kernel": self.kernel_id,
            "code": "message_malformed",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        with contextlib.suppress(Refusal):  # nothing is delivered either way
            await self.guard.record("message.denied", data)

    def _not_delivered(self, request: Inbound, code: str) -> None:
        kind = "cell.closed" if request.is_cell else "message.closed"
        self.guard.record_soon(kind, {"kernel": self.kernel_id, "msg_id": request.id, "status": "not_delivered", "code": code})

    def _deliver(self, request: Inbound) -> None:
        """Send what was recorded: the message rebuilt, not the frame."""
        stream = self.channels.get(request.channel)
        if stream is None or stream.closed():
            self._not_delivered(request, "kernel_gone")
            return
        self.guard.memory.delivering(request.id)
        cap = self.guard.cell_bytes
        self._book.background.cap = cap
        self._book.open(request.id, cap if request.is_cell else min(cap, REPLY_BYTES), request.message["header"])
        if request.is_cell:
            self._running[request.id] = time.monotonic()
        self.session.send(stream, dict(request.message))
        if not request.is_cell:
            self.guard.memory.done(request.id)

    # --- outwards

    def _answer(self, request: Inbound, code: str) -> None:
        """Tell the browser why, in the person's language."""
        for kind, content, channel in replies(request, code, self.guard.say(code)):
            self._say(kind, content, channel, request.message["header"])

    def _say(self, kind: str, content: dict[str, Any], channel: str, parent: dict[str, Any]) -> None:
        """Send a message of the guard's own."""
        message = self.session.msg(kind, content=content, parent=parent)
        fields = {name: message[name] for name in ("header", "parent_header", "metadata", "content")}
        encoded = encode(fields | {"msg_id": message["msg_id"], "msg_type": kind}, channel, self.subprotocol)
        with contextlib.suppress(WebSocketClosedError):
            self.write_message(encoded, binary=isinstance(encoded, bytes))

    def handle_outgoing_message(self, stream: Any, outgoing_msg: list[Any]) -> None:
        """Count and pass on a message of the kernel; garbage is dropped (W12, D9)."""
        if self.closed:
            return
        if self._unread() > UNREAD:
            self.guard.record_soon("connection.unread", {"kernel": self.kernel_id, "limit": UNREAD})
            self.shut(1008, "output_not_read")
            return
        channel = stream if isinstance(stream, str) else getattr(stream, "channel", "")
        try:
            _, parts = self.session.feed_identities(outgoing_msg)
            message = outgoing(channel, parts)
            late = bool(self._late) or self._ledger.waits(message)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as bad:
            self._malformed(bad)
            return
        if late:
            self._wait(stream, channel, message, parts)
        else:
            self._put_out(stream, channel, message, parts)

    def _malformed(self, bad: Exception) -> None:
        self.log.warning("kernel %s: a malformed message was dropped: %s", self.kernel_id, type(bad).__name__)

    def _wait(self, stream: Any, channel: str, message: Outgoing, parts: list[bytes]) -> None:
        """Queue output that no reservation covers yet, and whatever comes after it; what does not fit in the queue is withheld."""
        vital = message.type == "status" or message.type.endswith("_reply")
        if len(self._late) >= (LATE * 2 if vital else LATE) or (not vital and self._late_bytes + message.size > LATE_BYTES):
            cell = self._ledger.cell(message.parent)
            cell.why = self.guard.budget.why()
            self._withhold(self._ledger.withhold(message), cell, channel, message, parts)
            return
        self._late.append((stream, channel, message, [bytes(part) for part in parts]))
        self._late_bytes += message.size
        if self._late_task is None or self._late_task.done():
            self._late_task = self.guard.spawn(self._catch_up())

    async def _catch_up(self) -> None:
        """Put out what waited, in its order, when it is covered or cannot be."""
        while self._late and not self.closed:
            stream, channel, message, parts = self._late[0]
            if self._ledger.waits(message):
                await self.guard.meter.more(message.size, message.payload)
            self._late.popleft()
            self._late_bytes -= message.size
            self._put_out(stream, channel, message, parts)

    def _put_out(self, stream: Any, channel: str, message: Outgoing, parts: list[bytes]) -> None:
        """Judge one message and send it, or what stands in its place."""
        if self.closed:
            return
        try:
            verdict, cell = self._ledger.judge(message)
            if verdict == "pass":
                self._pass(stream, cell, message, parts)
            else:
                self._withhold(verdict, cell, channel, message, parts)
        except WebSocketClosedError:
            return
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as bad:
            self._malformed(bad)
            return
        if cell.closed and cell.id in self._running:
            self._close_cell(cell, cell.status or "unknown")

    def _unread(self) -> int:
        """Bytes that the browser has not taken."""
        socket = getattr(getattr(self.websocket_handler, "ws_connection", None), "stream", None)
        return len(getattr(socket, "_write_buffer", ()))

    def _pass(self, stream: Any, cell: Cell, message: Outgoing, parts: list[bytes]) -> None:
        number = f"{self.session.session}_{next(self._numbers)}"
        made = rebuilt(message, parts, cell.asked.header, number, datetime.now(UTC).isoformat())
        super().handle_outgoing_message(stream, [DELIM, self.session.sign(made[:4]), *made])

    def _withhold(self, verdict: str, cell: Cell, channel: str, message: Outgoing, parts: list[bytes]) -> None:
        """Keep output that is not shown, so that it can be shown later, and say so in its place."""
        if verdict == "end":
            self._say("status", {"execution_state": "idle"}, "iopub", cell.asked.header)
            return
        self.guard.meter.out(cell.why)
        if cell is not self._ledger.background and channel == "iopub":
            kept = Withheld(self.kernel_id, cell.id, cell.asked.number, message.type, tuple(bytes(part) for part in parts[3:]))
            self.guard.kept.keep(kept, message.id)
        if verdict == "drop":
            return
        words = self.guard.say_withheld(cell.why, cell.cap)
        if verdict == "notice":
            self._note_background(cell)
            self._say("stream", {"name": "stderr", "text": words + "\n"}, "iopub", cell.asked.header)
            return
        status = cell.status if message.type == "execute_reply" else "error"
        error: dict[str, Any] = {"status": status or "error", "ename": cell.why, "evalue": words, "traceback": []}
        if message.type == "execute_reply":
            error |= {"execution_count": cell.asked.number, "user_expressions": {}, "payload": []}
        self._say(message.type, error, channel, cell.asked.header)

    def show_again(self, message: Outgoing, parts: list[bytes]) -> bool:
        """Show output that was withheld, as part of the request `message` names; whether it was shown."""
        stream = self.channels.get("iopub")
        if self.closed or stream is None:
            return False
        verdict, cell = self._ledger.judge(message)
        if verdict == "pass":
            self._pass(stream, cell, message, parts)
        return verdict == "pass"

    def _note_background(self, cell: Cell) -> None:
        """Record that a kernel used up what it may show without being asked; once, however many connections it has."""
        shared = self._book.background
        if cell.asked is not shared or shared.noticed:
            return
        shared.noticed = True
        self.guard.record_soon("display.background", {"kernel": self.kernel_id, "code": cell.why, "limit": shared.cap})

    def _close_cell(self, cell: Cell, status: str) -> None:
        """Write the closing entry; nothing waits for it."""
        begun = self._running.pop(cell.id, None)
        if begun is None:
            return
        data = {
            "kernel": self.kernel_id,
            "msg_id": cell.id,
            "status": status,
            "milliseconds": round((time.monotonic() - begun) * 1000),
            "shown_bytes": cell.size,
            "withheld_bytes": cell.dropped,
            "shown_sha256": cell.digest.hexdigest(),
        }
        self.guard.record_when_idle("cell.closed", data)

    def on_kernel_restarted(self) -> None:
        """Note that the kernel died by itself and is started anew; `SandboxKernels.reconnect` closes this connection then."""
        self.guard.record_soon("kernel.died", {"kernel": self.kernel_id})
        with contextlib.suppress(WebSocketClosedError):
            super().on_kernel_restarted()
