"""What may enter the kernel, what is recorded of it, and how much may come out. Pure: one message in, a verdict out.

The message that is delivered is rebuilt from the parts that were recorded (`Inbound.message`), never the frame itself:
nothing rides along in a header field that nobody looks at.
"""

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.guard.budget import Budget
from sandbox.guard.messages import Frame

# channel -> types that may pass. debug_request (runs code on control) and comm_* (no widgets in the image) may not.
INBOUND: dict[str, frozenset[str]] = {
    "shell": frozenset(
        {
            "execute_request",
            "complete_request",
            "inspect_request",
            "history_request",
            "is_complete_request",
            "kernel_info_request",
            "comm_info_request",
        },
    ),
    "stdin": frozenset({"input_reply"}),
    "control": frozenset({"kernel_info_request"}),
}
OUTBOUND = frozenset(
    {
        *(f"{name}_reply" for name in ("execute", "complete", "inspect", "history", "is_complete", "kernel_info", "comm_info")),
        *("status", "execute_input", "stream", "display_data", "execute_result", "update_display_data", "clear_output", "error"),
        *("input_request", "shutdown_reply", "interrupt_reply", "comm_open", "comm_msg", "comm_close"),
    },
)
STATES = frozenset({"starting", "busy", "idle"})
IDENTIFIER = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")
DATE = re.compile(r"[0-9T:.Z+\-]{1,40}")
CELL_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}")
FLAGS = ("silent", "store_history", "allow_stdin", "stop_on_error")
SMALL = 4096  # bytes of a message's other parts that are kept in the entry itself
STATUS_BYTES = 16  # what a status message counts: its state and its moment say something too
HEADER_BYTES = 65536  # of a header from the kernel; its own are a few hundred
REPLY_BYTES = 65536  # what may be shown for a recorded request that is no cell (a completion, help)
HASHED = 4 * 1024 * 1024  # bytes of a payload that may be remembered as shown; more is over every allowance of a cell
COUNT = re.compile(rb'"execution_count": ?[0-9]{1,9}(?=[,}])')
COUNTED = frozenset({"execute_result", "execute_reply", "execute_input"})
DELETED_CELLS = 200
BACKGROUND = "background"


@dataclass(frozen=True)
class Inbound:
    """A message that passed the rules of form: what to record and what to deliver."""

    channel: str
    type: str
    id: str
    size: int
    message: dict[str, Any]
    buffers: tuple[bytes, ...]
    data: dict[str, Any] = field(default_factory=dict)
    blobs: tuple[tuple[str, str, bytes], ...] = ()  # (name, kind, bytes)

    @property
    def is_cell(self) -> bool:
        """Whether this is an execution."""
        return self.type == "execute_request"

    @property
    def is_request(self) -> bool:
        """Whether the browser waits for a reply of the same name."""
        return self.type.endswith("_request")


def _expressions(value: Any) -> bool:
    """Whether these are `user_expressions`: text by text, all of it recorded."""
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _whole(value: Any) -> bool:
    return type(value) is int and abs(value) < 1 << 53


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


# What the content of each type may hold, and of what form. Nothing else is ever delivered (W9).
Check = Callable[[Any], bool]
CONTENT: dict[str, dict[str, Check]] = {
    "execute_request": {"code": _text, **dict.fromkeys(FLAGS, _flag), "user_expressions": _expressions},
    "complete_request": {"code": _text, "cursor_pos": _whole},
    "inspect_request": {"code": _text, "cursor_pos": _whole, "detail_level": _whole},
    "is_complete_request": {"code": _text},
    "history_request": {
        **dict.fromkeys(("output", "raw", "unique"), _flag),
        **dict.fromkeys(("session", "start", "stop", "n"), _whole),
        **dict.fromkeys(("hist_access_type", "pattern"), _text),
    },
    "kernel_info_request": {},
    "comm_info_request": {"target": _text, "target_name": _text},
    "input_reply": {"status": _text, "value": _text},
}


def _well_formed(kind: str, content: dict[str, Any]) -> bool:
    """Whether the content has only fields its type knows, each of its form, and the text it is about."""
    checks = CONTENT.get(kind, {})
    needed = {"value"} if kind == "input_reply" else {"code"} & checks.keys()
    return needed <= content.keys() <= checks.keys() and all(checks[name](value) for name, value in content.items())


def _marks(metadata: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is delivered of the metadata: JupyterLab's marks that the kernel uses. None if one is ill formed.

    JupyterLab sends all a cell's metadata along (tags, timing); the kernel needs none of it and gets none.
    """
    found: dict[str, Any] = {}
    if "cellId" in metadata:
        found["cellId"] = metadata["cellId"]
    if metadata.get("deletedCells"):
        found["deletedCells"] = metadata["deletedCells"]
    cells = [found.get("cellId", "x"), *(deleted if isinstance(deleted := found.get("deletedCells", []), list) else [None])]
    fits = len(cells) <= DELETED_CELLS + 1 and all(isinstance(cell, str) and CELL_ID.fullmatch(cell) for cell in cells)
    return found if fits else None


def inbound(frame: Frame) -> tuple[Inbound, str | None]:
    """Judge one frame: the message as it would be recorded and delivered, and the code of a refusal or None.

    What is delivered is constant or recorded: identifiers, date, flags and marks in the entry, texts in blobs. A field that is
    unknown or of another form refuses the message. A refused message is described as well: what was tried goes on record too.
    """
    header = frame.header
    kind, number, session, date = (
        value if isinstance(value := header.get(name, ""), str) else "" for name in ("msg_type", "msg_id", "session", "date")
    )
    code: str | None = None
    marks = _marks(frame.metadata)
    if not IDENTIFIER.fullmatch(number) or (session and not IDENTIFIER.fullmatch(session)):
        code, number, session = "message_malformed", number[:128], session[:128]
    elif kind not in INBOUND.get(frame.channel, frozenset()):
        code = "message_type_refused"
    elif frame.buffers or marks is None or not _well_formed(kind, frame.content):
        code = "message_malformed"
    clean = {
        "msg_id": number,
        "msg_type": kind,
        "session": session,
        "username": "",
        "date": date if DATE.fullmatch(date) else "1970-01-01T00:00:00Z",
        "version": "5.4",
    }
    data: dict[str, Any] = {"msg_id": number, "type": kind[:64], "channel": frame.channel[:16], "size": frame.size}
    data["header"] = {"session": session, "date": clean["date"]}
    blobs: list[tuple[str, str, bytes]] = []
    rest: dict[str, Any] = {"metadata": frame.metadata, "content": dict(frame.content)}
    if frame.parent and kind != "input_reply":  # there it is the question's header, which JupyterLab gives back
        rest["parent"] = frame.parent
    name, media = ("input", "text/plain") if kind == "input_reply" else ("code", "text/x-python")
    word = "value" if kind == "input_reply" else "code"
    if kind in {"execute_request", "input_reply"} and isinstance(frame.content.get(word), str):
        blobs.append((name, media, rest["content"].pop(word).encode(errors="replace")))
    text = json.dumps(rest, ensure_ascii=False, sort_keys=True).encode(errors="replace")
    # Words a person typed stay out of the entry, so that they can be erased: flags and cell ids are no words.
    if code is None and _plain(rest, marks or {}) and len(text) <= SMALL:
        data["flags"] = {name: rest["content"][name] for name in FLAGS if name in rest["content"]}
        data["metadata"] = marks
    else:
        blobs.append(("rest", "application/json", text))
    blobs.extend((f"buffer{n}", "application/octet-stream", part) for n, part in enumerate(frame.buffers))
    message = {"header": clean, "parent_header": {}, "metadata": marks or {}, "content": dict(frame.content)}
    if code is None and not _deliverable(message):
        code = "message_malformed"
    return Inbound(frame.channel, kind, number, frame.size, message, frame.buffers, data, tuple(blobs)), code


def _plain(rest: dict[str, Any], marks: dict[str, Any]) -> bool:
    """Whether the rest of a well-formed message is only flags and marks, so that it fits into the entry itself."""
    content = rest["content"]
    known = {*marks, "deletedCells", "recordTiming", "trusted"}
    return (
        "parent" not in rest
        and content.keys() <= {*FLAGS, "user_expressions"}
        and not content.get("user_expressions")
        and rest["metadata"].keys() <= known
    )


def _deliverable(message: dict[str, Any]) -> bool:
    """Whether Jupyter can pack it: no NaN, no half of a surrogate pair."""
    try:
        json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


@dataclass
class Asked:
    """One delivered request, or a kernel's background, as all connections share it: what was shown of it to anybody."""

    cap: int
    header: dict[str, Any] = field(default_factory=dict)  # the recorded one, which a browser matches replies by
    shown: int = 0  # what it counts: a payload once, and a little for each time it is shown again (a second tab, a repeat)
    dropped: int = 0
    noticed: bool = False
    number: int | None = None  # the count in the cell's brackets, as the kernel says


class Book:
    """What one kernel was asked and has shown, however many connections it has and had."""

    def __init__(self, cap: int) -> None:
        self.asked: OrderedDict[str, Asked] = OrderedDict()
        self.background = Asked(cap)

    def open(self, number: str, cap: int, header: dict[str, Any]) -> None:
        """Note a delivered request with the display allowance that is in force."""
        self.asked[number] = Asked(cap, header)
        while len(self.asked) > 512:
            self.asked.popitem(last=False)


@dataclass
class Cell:
    """One request as one connection sees it: what came back for it."""

    id: str
    asked: Asked
    passed: int = 0  # bytes this connection got
    size: int = 0
    dropped: int = 0
    status: str | None = None
    idle: bool = False
    noticed: bool = False
    why: str = "display_cap"  # the code with which its output was withheld last
    digest: Any = field(default_factory=hashlib.sha256)  # over type and content of what was shown, in order

    @property
    def cap(self) -> int:
        """Bytes that may be shown of it."""
        return self.asked.cap

    @property
    def closed(self) -> bool:
        """Whether both the reply and the idle status have come."""
        return self.status is not None and self.idle


@dataclass(frozen=True)
class Outgoing:
    """What the rules need to know of a message from the kernel; built from bytes that nobody trusts."""

    channel: str
    type: str
    parent: str
    size: int
    content: bytes
    id: str = ""  # the kernel's name for it
    payload: str = ""  # digest of all that is shown of it; empty for what is never remembered


def outgoing(channel: str, parts: list[bytes]) -> Outgoing:
    """Read the parts `[signature, header, parent, metadata, content, buffers…]`; raises ValueError on garbage."""
    if len(parts) < 5:
        raise ValueError("too few parts")
    if len(parts[1]) > HEADER_BYTES or len(parts[2]) > HEADER_BYTES:
        raise ValueError("a header of that size is none")
    header, parent = json.loads(parts[1]), json.loads(parts[2])
    if not isinstance(header, dict) or not isinstance(parent, dict):
        raise ValueError("a header is not an object")  # noqa: TRY004 - it is input, not a programming error
    kind = str(header.get("msg_type", ""))[:64]
    size = STATUS_BYTES if kind == "status" else sum(len(part) for part in parts[3:])
    name, asked = (str(of.get("msg_id", ""))[:128] for of in (header, parent))
    return Outgoing(channel, kind, asked, size, bytes(parts[4]), name, payload(kind, parts[3:]) if size <= HASHED else "")


def payload(kind: str, parts: list[bytes]) -> str:
    """Name what a message `[metadata, content, buffers…]` shows: by it a repeat is known.

    The same cell run again counts on in its brackets, so that number is left out (at most nine digits: less than what a repeat
    costs). A status says too little to be remembered.
    """
    if kind == "status":
        return ""
    named = hashlib.sha256(kind.encode(errors="replace"))
    for n, part in enumerate(parts):
        data = COUNT.sub(b"", part, count=1) if n == 1 and kind in COUNTED else bytes(part)
        named.update(len(data).to_bytes(8, "big") + data)
    return named.hexdigest()


def rebuilt(message: Outgoing, parts: list[bytes], parent: dict[str, Any], number: str, date: str) -> list[bytes]:
    """Return `[header, parent, metadata, content, buffers…]` of a message that may go out.

    Its headers are the guard's own, and a status is one of three words: what is left, metadata, content and buffers, was counted.
    """
    header = {"msg_id": number, "msg_type": message.type, "session": "kernel", "username": "", "date": date, "version": "5.4"}
    heads = [json.dumps(header).encode(), json.dumps(parent).encode()]
    if message.type == "status":
        return [*heads, b"{}", json.dumps({"execution_state": _content(message.content).get("execution_state")}).encode()]
    return [*heads, *(bytes(part) for part in parts[3:])]


class Ledger:
    """Counts what one connection is shown, per cell. A message for no known request is counted as background output.

    A lying kernel can name any parent: unknown ones share a single allowance, so lying gains nothing. Connections of a kernel share
    its book: one that comes later begins with what was shown before, so connecting anew gains nothing either. All kernels of a sandbox
    share its budget.
    """

    def __init__(self, book: Book, budget: Budget, charge: Callable[[int, str], bool] | None = None) -> None:
        self.book, self.budget = book, budget
        self.charge = charge or budget.charge
        self.cells: OrderedDict[str, Cell] = OrderedDict()
        self.background = Cell(BACKGROUND, book.background, noticed=book.background.noticed)

    def cell(self, parent: str) -> Cell:
        """Find the request a message says it belongs to."""
        asked = self.book.asked.get(parent)
        known = self.cells.get(parent)
        if known is not None and (asked is None or known.asked is asked):
            return known
        if asked is None:
            return self.background
        cell = self.cells[parent] = Cell(parent, asked)
        while len(self.cells) > 512:
            self.cells.popitem(last=False)
        return cell

    def waits(self, message: Outgoing) -> bool:
        """Whether a message could go out if the portal covered it."""
        size, digest = message.size, message.payload
        return (
            not self.budget.covers(size, digest)
            and self.budget.may_ask(size, digest)
            and message.type in OUTBOUND
            and self._fits(self.cell(message.parent), message)
        )

    def _fits(self, cell: Cell, message: Outgoing) -> bool:
        """Whether a cell may show it: all its connections what counts, and each of them no more than that many bytes, repeats included."""
        shown = cell.asked.shown + self.budget.cost(message.size, message.payload)
        return shown <= cell.cap and cell.passed + message.size <= cell.cap

    def judge(self, message: Outgoing) -> tuple[str, Cell]:
        """Count a message; say `pass`, `notice` (first one over the allowance), `reply` (a reply over it) or `drop`."""
        cell = self.cell(message.parent)
        state = _content(message.content).get("execution_state") if message.type == "status" else None
        if message.type not in OUTBOUND or (message.type == "status" and state not in STATES):
            cell.dropped += message.size
            return "drop", cell
        ends = state == "idle" and not cell.idle and cell is not self.background
        cell.idle = cell.idle or state == "idle"
        if message.type == "execute_reply" and cell is not self.background:
            status = str(_content(message.content).get("status"))
            cell.status = status if status in {"ok", "error", "aborted"} else "unknown"
        if message.type == "execute_input" and type(number := _content(message.content).get("execution_count")) is int:
            cell.asked.number = number
        cost, fits = self.budget.cost(message.size, message.payload), self._fits(cell, message)
        if fits and self.charge(message.size, message.payload):
            self._show(cell, message, cost)
            return "pass", cell
        if ends:  # that a recorded request is over is a word of the guard's own
            return "end", cell
        cell.why = self.budget.why() if fits else "display_cap"
        return self.withhold(message, state), cell

    def withhold(self, message: Outgoing, state: str | None = None) -> str:
        """Count a message that is not shown; say what takes its place."""
        cell = self.cell(message.parent)
        cell.dropped += message.size
        cell.asked.dropped += message.size
        if message.type.endswith("_reply"):
            return "reply"
        if cell.noticed or state is not None:
            return "drop"
        cell.noticed = True
        return "notice"

    @staticmethod
    def _show(cell: Cell, message: Outgoing, cost: int) -> None:
        """Count it for all connections of the kernel."""
        cell.asked.shown += cost
        cell.passed += message.size
        if message.type != "status":
            cell.size += message.size
            cell.digest.update(message.type.encode() + b"\0" + message.content)


def _content(raw: bytes) -> dict[str, Any]:
    """Parse small content; anything else is nothing."""
    try:
        value = json.loads(raw) if len(raw) <= 65536 else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def replies(request: Inbound, code: str, text: str) -> list[tuple[str, dict[str, Any], str]]:
    """Build what the browser gets for a refused request: `(type, content, channel)`; nothing for what waits for no reply.

    JupyterLab ends a cell only when it has both the reply and the idle status.
    """
    channel = "control" if request.channel == "control" else "shell"
    return notices(request.type, code, text, channel) if request.is_request else []


def notices(kind: str, code: str, text: str, channel: str = "shell") -> list[tuple[str, dict[str, Any], str]]:
    """Build what ends a request of a type in the browser with an error: `(type, content, channel)`."""
    error: dict[str, Any] = {"status": "error", "ename": code, "evalue": text, "traceback": [f"\x1b[0;31m{code}\x1b[0m: {text}"]}
    shown = {name: error[name] for name in ("ename", "evalue", "traceback")}
    found: list[tuple[str, dict[str, Any], str]] = [("status", {"execution_state": "busy"}, "iopub")]
    if kind == "execute_request":
        found.append(("error", shown, "iopub"))
        error |= {"execution_count": None, "user_expressions": {}, "payload": []}
    found.append((kind.removesuffix("_request") + "_reply", error, channel))
    found.append(("status", {"execution_state": "idle"}, "iopub"))
    return found
