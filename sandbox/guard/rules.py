"""What may enter the kernel, what is recorded of it, and how much may come out. Pure: one message in, a verdict out.

The message that is delivered is rebuilt from the parts that were recorded (`Inbound.message`), never the frame itself:
nothing rides along in a header field that nobody looks at.
"""

import hashlib
import json
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

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
STATES = frozenset({"starting", "busy", "idle", "restarting", "dead", "autorestarting"})
IDENTIFIER = re.compile(r"[\w.:\-]{1,128}")
DATE = re.compile(r"[0-9T:.Z+\-]{1,40}")
FLAGS = ("silent", "store_history", "allow_stdin", "stop_on_error")
SMALL = 4096  # bytes of a message's other parts that are kept in the entry itself
HEADER_FREE = 1024  # bytes of an outgoing header that a message has without saying anything
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


def inbound(frame: Frame) -> tuple[Inbound, str | None]:
    """Judge one frame: the message as it would be recorded and delivered, and the code of a refusal or None.

    A refused message is described as well: what was tried goes on record too.
    """
    header = frame.header
    kind, number, session = (str(header.get(name, "")) for name in ("msg_type", "msg_id", "session"))
    date = str(header.get("date", ""))
    code: str | None = None
    if not IDENTIFIER.fullmatch(number) or (session and not IDENTIFIER.fullmatch(session)):
        code, number, session = "message_malformed", number[:128], session[:128]
    elif kind not in INBOUND.get(frame.channel, frozenset()):
        code = "message_type_refused"
    elif frame.buffers or (kind == "execute_request" and not isinstance(frame.content.get("code"), str)):
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
    rest = {"metadata": frame.metadata, "content": dict(frame.content)}
    if frame.parent:
        rest["parent"] = frame.parent
    if kind == "execute_request" and isinstance(frame.content.get("code"), str):
        blobs.append(("code", "text/x-python", rest["content"].pop("code").encode(errors="replace")))
    elif kind == "input_reply":
        blobs.append(("input", "text/plain", str(rest["content"].pop("value", "")).encode(errors="replace")))
    text = json.dumps(rest, ensure_ascii=False, sort_keys=True).encode(errors="replace")
    # Words a person typed stay out of the entry, so that they can be erased: flags and cell ids are no words.
    if _plain(rest) and len(text) <= SMALL:
        data["flags"] = {name: bool(rest["content"].get(name)) for name in FLAGS if name in rest["content"]}
        data["metadata"] = frame.metadata
    else:
        blobs.append(("rest", "application/json", text))
    blobs.extend((f"buffer{n}", "application/octet-stream", part) for n, part in enumerate(frame.buffers))
    message = {"header": clean, "parent_header": frame.parent, "metadata": frame.metadata, "content": frame.content}
    if code is None and not _deliverable(message):
        code = "message_malformed"
    return Inbound(frame.channel, kind, number, frame.size, message, frame.buffers, data, tuple(blobs)), code


def _plain(rest: dict[str, Any]) -> bool:
    """Whether the rest of a message is only flags and JupyterLab's own marks, so that it fits into the entry itself."""
    content, metadata = rest["content"], rest["metadata"]
    marks = {"cellId": str, "deletedCells": list, "recordTiming": bool, "trusted": bool}
    return (
        "parent" not in rest
        and set(content) <= {*FLAGS, "user_expressions"}
        and not content.get("user_expressions")
        and all(isinstance(metadata[name], marks.get(name, ())) for name in metadata)
        and all(isinstance(name, str) for name in metadata.get("deletedCells", []))
    )


def _deliverable(message: dict[str, Any]) -> bool:
    """Whether Jupyter can pack it: no NaN, no half of a surrogate pair."""
    try:
        json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


@dataclass
class Cell:
    """One execution as seen from outside: what came back for it."""

    id: str
    cap: int
    size: int = 0
    dropped: int = 0
    status: str | None = None
    idle: bool = False
    noticed: bool = False
    digest: Any = field(default_factory=hashlib.sha256)  # over type and content of what was shown, in order

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


def outgoing(channel: str, parts: list[bytes]) -> Outgoing:
    """Read the parts `[signature, header, parent, metadata, content, buffers…]`; raises ValueError on garbage."""
    if len(parts) < 5:
        raise ValueError("too few parts")
    header, parent = json.loads(parts[1]), json.loads(parts[2])
    if not isinstance(header, dict) or not isinstance(parent, dict):
        raise ValueError("a header is not an object")  # noqa: TRY004 - it is input, not a programming error
    extra = sum(max(0, len(part) - HEADER_FREE) for part in parts[:3])
    return Outgoing(
        channel,
        str(header.get("msg_type", ""))[:64],
        str(parent.get("msg_id", ""))[:128],
        extra + sum(len(part) for part in parts[3:]),
        bytes(parts[4]),
    )


class Ledger:
    """Counts what one connection is shown, per cell. A message for no known cell is counted as background output.

    A lying kernel can name any parent: unknown ones share a single allowance, so lying gains nothing.
    """

    def __init__(self, cap: int, known: "OrderedDict[str, None]") -> None:
        self.cap = cap
        self.known = known
        self.cells: OrderedDict[str, Cell] = OrderedDict()
        self.background = Cell(BACKGROUND, cap)

    def open(self, number: str) -> Cell:
        """Begin a cell with the display allowance that is in force."""
        cell = self.cells[number] = Cell(number, self.cap)
        while len(self.cells) > 512:
            self.cells.popitem(last=False)
        return cell

    def cell(self, parent: str) -> Cell:
        """Find the cell a message says it belongs to."""
        if parent in self.cells:
            return self.cells[parent]
        return self.open(parent) if parent in self.known else self.background

    def judge(self, message: Outgoing) -> tuple[str, Cell]:
        """Count a message; say `pass`, `notice` (first one over the allowance), `reply` (a reply over it) or `drop`."""
        cell = self.cell(message.parent)
        if message.type not in OUTBOUND:
            cell.dropped += message.size
            return "drop", cell
        if message.type == "status":
            state = _content(message.content).get("execution_state")
            cell.idle = cell.idle or state == "idle"
            return ("pass" if state in STATES and message.size <= 256 else "drop"), cell
        if message.type == "execute_reply" and cell is not self.background:
            status = str(_content(message.content).get("status"))
            cell.status = status if status in {"ok", "error", "aborted"} else "unknown"
        if cell.size + message.size <= cell.cap:
            cell.size += message.size
            cell.digest.update(message.type.encode() + b"\0" + message.content)
            return "pass", cell
        cell.dropped += message.size
        if message.type.endswith("_reply"):
            return "reply", cell
        if cell.noticed:
            return "drop", cell
        cell.noticed = True
        return "notice", cell


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
    if not request.is_request:
        return []
    error: dict[str, Any] = {"status": "error", "ename": code, "evalue": text, "traceback": [f"\x1b[0;31m{code}\x1b[0m: {text}"]}
    shown = {name: error[name] for name in ("ename", "evalue", "traceback")}
    found: list[tuple[str, dict[str, Any], str]] = [("status", {"execution_state": "busy"}, "iopub")]
    if request.is_cell:
        found.append(("error", shown, "iopub"))
        error |= {"execution_count": None, "user_expressions": {}, "payload": []}
    found.append((request.type.removesuffix("_request") + "_reply", error, "control" if request.channel == "control" else "shell"))
    found.append(("status", {"execution_state": "idle"}, "iopub"))
    return found
