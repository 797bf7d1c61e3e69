"""The one writer of a log directory: checks, keeps blobs, seals batches, answers readers. Synchronous; the server is its edge.

    lock  log.vkey  wal  blobs/aa/<digest>  cut/<time>.bin (torn tails, kept aside)

The log is itself a source (`log`): it records each of its starts, and each torn tail it cut.
"""

import fcntl
import json
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from audit.blobs import Blobs, sync_directory
from audit.checkpoint import Head, Signer, Verifier
from audit.errors import Damaged, Refused, Unhealthy
from audit.index import Index, Place
from audit.leaf import SALT_BYTES, STARTED, blob_digest, canonical, time_text
from audit.merkle import Tree, leaf_hash
from audit.sequence import Sequences
from audit.wal import ENTRY, HEAD, HEADER_BYTES, Scan, Tail, Wal, cut_tail, frame

WAL_NAME, VKEY_NAME, LOCK_NAME = "wal", "log.vkey", "lock"
OWN_SOURCE = "log"


@dataclass(frozen=True)
class GivenBlob:
    """A blob as a source sends it: bytes, salt and the digest it claims."""

    digest: str
    salt: bytes
    content: bytes


class Log:
    """An open log. `append` is `stage` and `commit`; several staged leaves share one commit, that is one signature and one fdatasync."""

    def __init__(self, directory: Path, signer: Signer, clock: Callable[[], datetime]) -> None:
        """Lock, recover and open. Damaged if the directory holds anything but a whole log of this key; Unhealthy on a full disk."""
        self._signer = signer
        self._clock = clock
        self._lock = _lock(directory)
        try:
            self._open(directory)
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self, directory: Path) -> None:
        _check_vkey(directory / VKEY_NAME, self._signer.verifier)
        self._blobs = Blobs(directory / "blobs")
        self._blobs.prepare()
        self._sequences = Sequences()
        self._index = Index()
        self._staged: list[tuple[dict[str, Any], bytes, bytes]] = []
        self.checkpoint = b""
        cut = self._recover(directory)
        self._wal = Wal(directory / WAL_NAME)
        self._record_start(cut)

    @property
    def failed(self) -> str | None:
        """Why appends are refused for good, None while they are possible."""
        return self._wal.failed

    @property
    def size(self) -> int:
        """Number of entries that are on disk under a signed head."""
        return len(self._index.places)

    @property
    def head(self) -> Head:
        """The head that `checkpoint` signs."""
        return Head(self._tree.size, self._tree.root())

    def append(self, leaf: dict[str, Any], blobs: Sequence[GivenBlob] = ()) -> int:
        """Take one leaf; when this returns its index, it is on disk. Refused or Unhealthy if not."""
        index = self.stage(leaf, blobs)
        self.commit()
        return index

    def stage(self, leaf: dict[str, Any], blobs: Sequence[GivenBlob] = ()) -> int:
        """Check a leaf, keep its blobs, reserve its index. Not acknowledged before `commit`, also when it is a repetition."""
        encoded = canonical(leaf)
        hashed = leaf_hash(encoded)
        if self.failed is not None:
            raise Unhealthy(self.failed)
        known = self._sequences.index_of(leaf["source"], leaf["boot"], leaf["seq"])
        if known is not None:
            if self._hash_at(known) != hashed:
                raise Refused("log.leaf_conflict", 409, index=known)
            return known
        self._sequences.check_next(leaf)
        _check_blobs(leaf["blobs"], blobs)
        for blob in blobs:
            try:
                self._blobs.put(blob.digest, blob.salt, blob.content)
            except OSError as error:
                self._wal.fail(error)
        index = self.size + len(self._staged)
        self._sequences.add(leaf, index)
        self._staged.append((leaf, encoded, hashed))
        return index

    def commit(self) -> None:
        """Seal what is staged: entries and one signed head, one write, one fdatasync. Unhealthy, for good, if that fails."""
        if not self._staged:
            return
        staged, self._staged = self._staged, []
        for _, _, hashed in staged:
            self._tree.append(hashed)
        note = self._signer.sign(self.head)
        frames = [frame(ENTRY, encoded) for _, encoded, _ in staged]
        offset = self._wal.append(b"".join(frames) + frame(HEAD, note))
        for (leaf, encoded, hashed), framed in zip(staged, frames, strict=True):
            self._index.add(leaf, Place(offset + HEADER_BYTES, len(encoded), hashed))
            offset += len(framed)
        self.checkpoint = note

    def last(self, source: str) -> dict[str, Any] | None:
        """Return `{"boot","seq"}` of a source's last durable leaf."""
        self.commit()
        return self._sequences.last(source)

    def entries(self, filters: Mapping[str, str], start: int, count: int) -> tuple[list[dict[str, Any]], int | None]:
        """Return `{"index","leaf"}` of entries, and where to go on. Damaged if the bytes on disk are no longer those acknowledged."""
        numbers, following = self._index.find(filters, start, count)
        return [{"index": number, "leaf": json.loads(self._read(number))} for number in numbers], following

    def blob(self, digest: str) -> bytes | None:
        """Return a blob's bytes, None if erased. Damaged if they were changed."""
        return self._blobs.get(digest)

    def close(self) -> None:
        """Let go of file and lock."""
        self._wal.close()
        os.close(self._lock)

    def _hash_at(self, index: int) -> bytes:
        return self._index.places[index].hashed if index < self.size else self._staged[index - self.size][2]

    def _read(self, index: int) -> bytes:
        place = self._index.places[index]
        payload = self._wal.read(place.offset, place.length)
        if leaf_hash(payload) != place.hashed:
            raise Damaged("wal.frame", "the bytes on disk were changed while the log was running", index)
        return payload

    def _recover(self, directory: Path) -> dict[str, Any] | None:
        """Read everything once. Cuts a torn tail and returns what to record about it."""
        path = directory / WAL_NAME
        with mapped(path) as content:
            scan = Scan(content, self._signer.verifier, every_signature=False)
            for batch in scan.batches():
                for entry in batch.entries:
                    self._load(entry.index, entry.payload, Place(entry.offset, len(entry.payload), entry.hashed))
        self.checkpoint = scan.note or self._signer.sign(Head(0, scan.tree.root()))
        # The tail's entries are in scan.tree but not in the log.
        self._tree = scan.tree if scan.tree.size == self.size else _tree_of(self._index)
        if scan.tail is None:
            return None
        if not scan.tail.torn:
            raise Damaged("wal.frame", f"{scan.tail.reason}. See `audit verify`; restore the directory from a copy", scan.tail.index)
        return self._cut(path, scan.tail)

    def _load(self, index: int, payload: bytes, place: Place) -> None:
        try:
            leaf = json.loads(payload)
            self._sequences.check_next(leaf)
        except (ValueError, KeyError, TypeError, Refused) as error:
            raise Damaged("leaf.bad", f"does not follow what is before it: {error}", index) from error
        self._sequences.add(leaf, index)
        self._index.add(leaf, place)

    def _cut(self, path: Path, tail: Tail) -> dict[str, Any] | None:
        if not path.exists() or path.stat().st_size == tail.offset:
            return None
        aside = path.parent / "cut" / f"{time_text(self._clock()).replace(':', '')}-{os.urandom(3).hex()}.bin"
        size = cut_tail(path, tail, aside)
        return {"file": f"cut/{aside.name}", "bytes": size, "offset": tail.offset, "reason": tail.reason}

    def _record_start(self, cut: dict[str, Any] | None) -> None:
        boot = os.urandom(8).hex()
        events: list[tuple[str, dict[str, Any]]] = [(STARTED, {"previous": self._sequences.last(OWN_SOURCE)})]
        if cut is not None:
            events.append(("log.tail_cut", cut))
        for seq, (kind, data) in enumerate(events):
            leaf = {"v": 1, "source": OWN_SOURCE, "boot": boot, "seq": seq, "time": time_text(self._clock()), "kind": kind}
            self.stage({**leaf, "actor": {"type": "service", "id": OWN_SOURCE}, "refs": {}, "data": data, "blobs": []})
        self.commit()


class mapped:  # noqa: N801 - used like a function, as contextlib's own
    """The bytes of a file without reading them all; empty if there is no file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None

    def __enter__(self) -> Any:
        """Return something that slices and finds like bytes."""
        if not self._path.exists() or self._path.stat().st_size == 0:
            return b""
        with self._path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        return self._map

    def __exit__(self, *_: object) -> None:
        if self._map is not None:
            self._map.close()


def _check_blobs(refs: list[dict[str, Any]], blobs: Sequence[GivenBlob]) -> None:
    """An entry and its blobs come together: each that the leaf names, none else, with the digest and size it says."""
    sizes = {ref["digest"]: ref["size"] for ref in refs}
    if len(sizes) != len(refs) or sorted(sizes) != sorted(blob.digest for blob in blobs):
        raise Refused("log.bad_leaf", field="blobs", reason="leaf and blobs sent with it differ")
    for blob in blobs:
        if len(blob.salt) != SALT_BYTES or blob_digest(blob.salt, blob.content) != blob.digest:
            raise Refused("log.bad_leaf", field="blobs", reason="digest does not fit", digest=blob.digest)
        if len(blob.content) != sizes[blob.digest]:
            raise Refused("log.bad_leaf", field="blobs", reason="size does not fit", digest=blob.digest)


def _lock(directory: Path) -> int:
    descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Damaged("log.locked", f"another process writes the log in {directory}: stop it first") from error
    return descriptor


def _check_vkey(path: Path, verifier: Verifier) -> None:
    """The directory belongs to one key: another one is refused, so that a swapped key does not go unseen."""
    if not path.exists():
        fresh = path.with_suffix(".new")  # whole or not there, also when the machine's power goes: an empty one would read as another key
        with fresh.open("w") as file:
            file.write(verifier.vkey + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_directory(path.parent)
    elif path.read_text().strip() != verifier.vkey:
        raise Damaged("log.other_key", f"{path} names another key than the one given: restore the right log.key")


def _tree_of(index: Index) -> Tree:
    tree = Tree()
    for place in index.places:
        tree.append(place.hashed)
    return tree
