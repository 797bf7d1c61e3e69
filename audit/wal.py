"""The write-ahead log: the truth. Frames, in batches; each batch ends in a signed tree head and costs one fdatasync.

A file is `MAGIC`, then frames: kind (1 byte), length (4, big-endian), SHA-256 of kind and payload (32), payload. Entries have kind 0x00, so
their frame hash *is* the RFC 6962 leaf hash; heads have kind 0x02 (0x01 is the tree's node prefix) and a C2SP checkpoint as payload.

What a crash can leave behind the last head is a *torn tail*: a write that stopped short (or, on some filesystems, ends in zeros). It was
never acknowledged. Anything else that does not fit is damage.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audit.blobs import sync_directory, write_all
from audit.checkpoint import Head, Verifier, parse_head
from audit.errors import Damaged, Unhealthy
from audit.leaf import MAX_LEAF
from audit.merkle import Tree

MAGIC = b"datasandbox audit log 1\n"
ENTRY, HEAD = 0x00, 0x02
_HEADER = struct.Struct(">BI32s")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True)
class Entry:
    """An entry in the file: `offset` is where its leaf's bytes begin."""

    index: int
    offset: int
    payload: bytes
    hashed: bytes


@dataclass(frozen=True)
class Batch:
    """Entries that one head seals."""

    entries: list[Entry]
    head: Head
    note: bytes


@dataclass(frozen=True)
class Tail:
    """What is behind the last head: from `offset` on, first entry concerned `index`. `torn`: as an interrupted write leaves it."""

    offset: int
    index: int
    torn: bool
    reason: str


def frame(kind: int, payload: bytes) -> bytes:
    """Return a frame ready to be written."""
    return _HEADER.pack(kind, len(payload), _frame_hash(kind, payload)) + payload


class Scan:
    """Reads a log from its beginning, batch by batch.

    Frame hashes and the root of every head are compared; signatures of every head, or of the last one only (it covers all entries).
    After the iteration `end` is the offset behind the last head, `tail` what follows it.
    """

    def __init__(self, content: bytes, verifier: Verifier, *, every_signature: bool) -> None:
        self._content = content
        self._verifier = verifier
        self._every_signature = every_signature
        self.tree = Tree()
        self.end = 0
        self.tail: Tail | None = None
        self.note: bytes | None = None

    def batches(self) -> Iterator[Batch]:
        """Yield every sealed batch. Damaged with the entry's index when a head does not fit what is before it."""
        content = self._content
        if content[: len(MAGIC)] != MAGIC:
            if MAGIC.startswith(content[: len(MAGIC)]):
                self.tail = Tail(0, 0, torn=True, reason="the file's first line is not complete")
                return
            raise Damaged("wal.frame", "this is not a log: the file's first line is wrong", 0)
        self.end = position = len(MAGIC)
        entries: list[Entry] = []
        sealed = 0
        while position < len(content):
            kind, payload, hashed, reason = self._frame(position)
            if reason:
                self.tail = self._tail(self.tree.size, reason, torn=kind is None)
                break
            start, position = position + HEADER_BYTES, position + HEADER_BYTES + len(payload)
            if kind == ENTRY:
                entries.append(Entry(self.tree.size, start, payload, hashed))
                self.tree.append(hashed)
                continue
            head = self._head(payload, sealed)
            yield Batch(entries, head, payload)
            self.end, self.note, sealed, entries = position, payload, head.size, []
        else:
            if entries:
                self.tail = self._tail(sealed, "entries without a signed tree head", torn=True)
        if self.note is not None and not self._every_signature:
            self._check_signature(self.note, sealed)

    def _frame(self, position: int) -> tuple[int | None, bytes, bytes, str]:
        """Read one frame. The last item says what is wrong with it; kind None means that the file ends inside it."""
        header = self._content[position : position + HEADER_BYTES]
        if len(header) < HEADER_BYTES:
            return None, b"", b"", "the file ends inside a frame"
        kind, length, hashed = _HEADER.unpack(header)
        if kind not in {ENTRY, HEAD} or length > MAX_LEAF:
            return kind, b"", b"", "the frame's header was changed"
        payload = self._content[position + HEADER_BYTES : position + HEADER_BYTES + length]
        if len(payload) < length:
            return None, b"", b"", "the file ends inside a frame"
        if _frame_hash(kind, payload) != hashed:
            return kind, b"", b"", "the bytes do not have the hash they were written with"
        return kind, payload, hashed, ""

    def _head(self, note: bytes, sealed: int) -> Head:
        last = max(self.tree.size - 1, 0)
        which = f"entries {sealed} to {last}" if sealed < last else f"entry {last}"
        try:
            head = parse_head(note, self._verifier.name)
        except Damaged as error:
            raise Damaged("wal.head", str(error), last) from error
        if head.size != self.tree.size or head.root != self.tree.root():
            message = f"the tree head of size {head.size} signs other content: {which} changed, missing or moved"
            raise Damaged("wal.root", message, min(sealed, last))
        if self._every_signature:
            self._check_signature(note, last)
        return head

    def _check_signature(self, note: bytes, index: int) -> None:
        try:
            self._verifier.open(note)
        except Damaged as error:
            raise Damaged("wal.signature", str(error), index) from error

    def _tail(self, index: int, reason: str, *, torn: bool) -> Tail:
        # A write that stopped short has no head behind it. One that is signed there was (or may have been) acknowledged: not ours to cut.
        torn = (torn or self._content[-1:] == b"\x00") and not self._signed_head_after(self.end)
        return Tail(self.end, index, torn, reason)

    def _signed_head_after(self, start: int) -> bool:
        name = self._verifier.name.encode()
        mark, origin = b"\n\n\xe2\x80\x94 " + name + b" ", name + b"\n"
        found = self._content.find(mark, start)
        while found >= 0:
            stop = self._content.find(b"\n", found + len(mark)) + 1
            begin = self._content.rfind(origin, max(start, found - 200), found)
            if stop and begin >= 0:
                try:
                    self._verifier.open(self._content[begin:stop])
                except Damaged:
                    pass
                else:
                    return True
            found = self._content.find(mark, found + 1)
        return False


class Wal:
    """The open file of the one writer. A failed write or sync ends it: `failed` says why, and every later append raises Unhealthy."""

    def __init__(self, path: Path) -> None:
        new = not path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.failed: str | None = None
        self.end = os.fstat(self._descriptor).st_size
        if new or self.end == 0:
            self.append(MAGIC)
            sync_directory(path.parent)

    def append(self, frames: bytes) -> int:
        """Write and fdatasync; return the offset where the bytes begin. Raises Unhealthy, for good, if either fails."""
        if self.failed is not None:
            raise Unhealthy(self.failed)
        try:
            write_all(self._descriptor, frames)
            os.fdatasync(self._descriptor)
        except OSError as error:
            self.fail(error)
        start, self.end = self.end, self.end + len(frames)
        return start

    def fail(self, error: OSError) -> None:
        """Refuse everything from now on: after a failed write or sync nobody knows what is on disk. Raises Unhealthy."""
        self.failed = f"a write failed ({error}): make room or repair the disk, then start the log again"
        raise Unhealthy(self.failed) from error

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file."""
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def cut_tail(path: Path, tail: Tail, aside: Path) -> int:
    """Move a torn tail into the file `aside` (durably, before it leaves the log). Returns its size in bytes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size - tail.offset
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        with aside.open("xb") as kept:
            kept.write(os.pread(descriptor, size, tail.offset))
            kept.flush()
            os.fsync(kept.fileno())
        sync_directory(aside.parent)
        sync_directory(aside.parent.parent)
        os.ftruncate(descriptor, tail.offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return size


def _frame_hash(kind: int, payload: bytes) -> bytes:
    return hashlib.sha256(bytes((kind,)) + payload).digest()
