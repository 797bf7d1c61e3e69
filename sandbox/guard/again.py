"""`ds.show_again()`: output that was withheld appears under the cell that asks for it, as far as cell, hour and day allow."""

from typing import Any

from sandbox.domain.errors import Refusal
from sandbox.guard.budget import Withheld
from sandbox.guard.guard import Guard
from sandbox.guard.rules import Asked, Outgoing, payload

MARGIN = 4096  # bytes of the asking cell left for its own reply and for what it prints


async def show_again(guard: Guard, parent: Any, number: Any) -> dict[str, Any]:
    """Show what is kept of a kernel (of its cell `number`, if given), oldest first, under the request `parent`.

    `parent` is what user code says: it must be a delivered request of some kernel, and only that kernel's output appears there.
    Returns `{"shown", "left", "code", "message"}`: bytes, and why not all of it, or empty.
    """
    kernel, asked = _asked(guard, parent)
    number = number if type(number) is int else None
    waiting = guard.kept.of(kernel, number)
    about = {"kernel": kernel, "msg_id": parent, "count": len(waiting), "size": sum(item.size for _, item in waiting)}
    await guard.record("display.shown_again", about)
    shown, code = 0, ""
    for key, item in waiting:
        guard.require_lease()
        piece, rest = item.split(asked.cap - asked.shown - MARGIN)
        if piece is None:
            code = "display_cap"
            break
        message, parts = _message(piece, str(parent))
        if not guard.budget.covers(message.size, message.payload) and not await guard.meter.more(message.size, message.payload):
            code = guard.budget.why()
            guard.meter.out(code)
            break
        seen = [one.show_again(message, parts) for one in list(guard.connections) if one.kernel_id == kernel]
        if not any(seen):
            break
        shown += piece.size
        guard.kept.put(key, rest)
        if rest is not None:
            code = "display_cap"
            break
    left = sum(item.size for _, item in guard.kept.of(kernel, number))
    return {"shown": shown, "left": left, "code": code, "message": guard.say_withheld(code, asked.cap) if code else ""}


def _asked(guard: Guard, parent: Any) -> tuple[str, Asked]:
    if isinstance(parent, str):
        for kernel, book in guard.cells.items():
            if (asked := book.asked.get(parent)) is not None:
                return kernel, asked
    raise Refusal("show_again_nowhere", field="parent")


def _message(item: Withheld, parent: str) -> tuple[Outgoing, list[bytes]]:
    """Make a message of the kernel's parts; a result appears as a display, since the asking cell has its own."""
    kind = "display_data" if item.type == "execute_result" else item.type
    parts = [b"", b"{}", b"{}", *item.parts]
    return Outgoing("iopub", kind, parent, item.size, item.parts[1], "", payload(kind, list(item.parts))), parts
