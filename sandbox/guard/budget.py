"""What a sandbox may show: covered by a reservation in the portal, or shown before. Pure: sizes in, verdicts out.

Bytes count as they are sent, so a picture counts its base64 text (a third more than its file). The portal keeps the account of the hour
and the day; the guard takes from it ahead and shows nothing that is not covered. What is covered and lost in a crash counts as spent.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

AHEAD = 256 * 1024  # bytes in hand, so that a cell does not wait for the portal
LOW = AHEAD // 2  # with less, more is reserved beside the work
IN_HAND = 16 * 1024  # bytes kept when nobody works: what a crash may lose then
FLOOR = 4 * 1024  # bytes that only a file's size and time may take: JupyterLab asks for them before it saves, and work must be saved
KNOWN = 4096  # payloads remembered as shown
# A repeated payload says which of KNOWN it is, and when: 12 bits and a moment. Free would be a way to show a table in repeats.
REPEAT_BYTES = 16
KEPT_BYTES = 8 * 1024 * 1024  # withheld output that a session keeps to be shown later
SHOWN_LATER = frozenset({"stream", "display_data", "execute_result", "error"})


@dataclass(frozen=True)
class Figures:
    """What the portal last said of the account; bytes. Before it said anything nothing is left."""

    hour_bytes: int = 0
    day_bytes: int = 0
    hour_left: int = 0
    day_left: int = 0
    extension_until: str | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Figures | None":
        """Read an answer or the lease's facts; None if a figure is missing or no number."""
        numbers = {name: said.get(name) for name in ("hour_bytes", "day_bytes", "hour_left", "day_left")}
        if not all(type(number) is int and number >= 0 for number in numbers.values()):
            return None
        until = said.get("extension_until")
        return cls(
            **{name: int(number or 0) for name, number in numbers.items()}, extension_until=until if isinstance(until, str) else None
        )

    @property
    def left(self) -> int:
        """What can still be reserved now."""
        return min(self.hour_left, self.day_left)

    @property
    def code(self) -> str:
        """Which of the two is (nearly) used up."""
        return "display_day" if self.day_left < self.hour_left else "display_hour"


class Budget:
    """The account of one sandbox as its guard holds it. Always: shown + returned <= reserved."""

    def __init__(self, known: int = KNOWN, floor: int = FLOOR) -> None:
        self.reserved = self.shown = self.returned = 0
        self.figures: Figures | None = None
        self.reachable = True  # whether the portal answered when last asked
        self.floor = floor
        self._most = known
        self._known: OrderedDict[str, None] = OrderedDict()

    @property
    def covered(self) -> int:
        """Bytes reserved and neither shown nor returned."""
        return self.reserved - self.shown - self.returned

    def cost(self, size: int, digest: str) -> int:
        """Bytes that showing a payload takes; an empty digest is nobody's."""
        return min(size, REPEAT_BYTES) if digest and digest in self._known else size

    def covers(self, size: int, digest: str, *, vital: bool = False) -> bool:
        """Whether a payload may be shown now; a vital one may take what is kept for saving."""
        return self.cost(size, digest) <= self.covered - (0 if vital else self.floor)

    def charge(self, size: int, digest: str, *, vital: bool = False) -> bool:
        """Take a payload that is about to be shown; False, and nothing taken, if it is not covered."""
        cost = self.cost(size, digest)
        if size < 0 or not self.covers(size, digest, vital=vital):
            return False
        self.shown += cost
        self.know(digest)
        return True

    def know(self, digest: str) -> None:
        """Note bytes that the browser has, because it got or sent them."""
        if not digest:
            return
        self._known[digest] = None
        self._known.move_to_end(digest)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def may_ask(self, size: int, digest: str) -> bool:
        """Whether asking the portal could cover a payload that is not covered now."""
        return self.reachable and self.figures is not None and self.cost(size, digest) + self.floor <= self.covered + self.figures.left

    def wanted(self, size: int = 0) -> int:
        """Bytes to reserve so that `size` is covered and some are in hand."""
        need = size + self.floor
        return max(need, AHEAD) - self.covered if self.covered < max(need, LOW) else 0

    def grant(self, granted: int) -> None:
        """Take what the portal reserved."""
        if granted > 0:
            self.reserved += granted

    def give_back(self, keep: int = 0) -> int:
        """Take out what is covered above `keep`; from now on it cannot be shown. Returns the bytes to return to the portal."""
        over = max(0, self.covered - keep)
        self.returned += over
        return over

    def why(self) -> str:
        """The code with which output is withheld that no reservation covers."""
        return "display_unavailable" if self.figures is None or not self.reachable else self.figures.code

    def used(self) -> dict[str, tuple[int, int]]:
        """Bytes shown and limit, of the hour and the day: what the portal counts, less what is only in hand."""
        now = self.figures or Figures()
        return {
            "hour": (max(0, now.hour_bytes - now.hour_left - self.covered), now.hour_bytes),
            "day": (max(0, now.day_bytes - now.day_left - self.covered), now.day_bytes),
        }


@dataclass(frozen=True)
class Withheld:
    """Output of a cell that was not shown: the parts `[metadata, content, buffers…]` as the kernel sent them."""

    kernel: str
    cell: str  # the request it answered
    number: int | None  # the count in the cell's brackets, as the kernel said
    type: str
    parts: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes it would count."""
        return sum(len(part) for part in self.parts)

    def split(self, room: int) -> tuple["Withheld | None", "Withheld | None"]:
        """Return what fits into `room` and what is left: text can be cut, nothing else can."""
        if self.size <= room:
            return self, None
        if self.type != "stream":
            return None, self
        try:
            content = json.loads(self.parts[1])
            name, text = str(content["name"]), content["text"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None, self
        if not isinstance(text, str) or name not in {"stdout", "stderr"}:
            return None, self
        end = min(len(text), max(0, room))
        while end and len(self._stream(name, text[:end])) > room - 2:
            end //= 2
        if not end:
            return None, self
        first, rest = (replace(self, parts=(b"{}", self._stream(name, part))) for part in (text[:end], text[end:]))
        return first, rest

    @staticmethod
    def _stream(name: str, text: str) -> bytes:
        return json.dumps({"name": name, "text": text}, ensure_ascii=False).encode(errors="replace")


class Kept:
    """Withheld output, oldest first, up to a bound for the sandbox; over it the oldest goes."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._most = most
        self._items: OrderedDict[tuple[str, str], Withheld] = OrderedDict()
        self.size = 0

    def keep(self, item: Withheld, name: str) -> None:
        """Keep one; `name` is the kernel's for it, so that a second tab's copy is not kept twice."""
        if item.type not in SHOWN_LATER or item.size > self._most or (item.kernel, name) in self._items:
            return
        self._items[item.kernel, name] = item
        self.size += item.size
        while self.size > self._most:
            self.size -= self._items.popitem(last=False)[1].size

    def of(self, kernel: str, number: int | None = None) -> list[tuple[tuple[str, str], Withheld]]:
        """What is kept of a kernel, or of one of its cells."""
        return [(key, item) for key, item in self._items.items() if item.kernel == kernel and number in {None, item.number}]

    def put(self, key: tuple[str, str], rest: Withheld | None) -> None:
        """Replace an item by what is left of it."""
        old = self._items.get(key)
        if old is None:
            return
        self.size -= old.size
        if rest is None:
            del self._items[key]
        else:
            self._items[key] = rest
            self.size += rest.size

    def forget(self, kernel: str) -> None:
        """Drop what belongs to a kernel that is no more."""
        for key, _ in self.of(kernel):
            self.put(key, None)
