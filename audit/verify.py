"""Verification of a log's directory, by anyone who has it and the log's public key. Reads only.

Proves: every entry has the bytes it was acknowledged with, none is missing, added or moved before the last signed head; each source's numbers
have no gap and each of its boots names the one before; every blob is the one its entry names, or a later entry records its erasure.
It cannot see a log cut back to an earlier whole state: give it a later checkpoint (`at_least`) kept elsewhere for that.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit.blobs import Blobs
from audit.checkpoint import Head, Verifier
from audit.errors import Damaged, Refused
from audit.leaf import validate
from audit.merkle import Tree
from audit.sequence import Sequences
from audit.wal import Entry, Scan
from audit.writer import WAL_NAME, mapped


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: a stable code, the entry it concerns (None: the log as a whole), and a sentence."""

    code: str
    index: int | None
    text: str


ERASURE = "blob.erased"  # `data.digest` names the blob
ERASERS = frozenset({"log", "operator"})  # a session appends to its own source: its word erases nothing


@dataclass
class Report:
    """What verification found. `erased`: blobs that are gone and whose erasure a later entry records, as (entry, digest)."""

    size: int = 0
    heads: int = 0
    root: bytes = b""
    blobs: int = 0
    erased: list[tuple[int, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unsigned: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the log is whole."""
        return not self.problems


def verify(directory: Path, verifier: Verifier, *, at_least: Head | None = None, live: bool = False) -> Report:
    """Read a whole log directory. `live`: its writer is running, so an incomplete batch at the end is one being written."""
    report = Report()
    content = _Content(Sequences(), Blobs(directory / "blobs"), report)
    prefix = Tree()
    if not (directory / WAL_NAME).is_file():
        report.problems.append(Problem("wal.missing", None, f"there is no log in {directory}"))
        return report
    with mapped(directory / WAL_NAME) as wal:
        scan = Scan(wal, verifier, every_signature=True)
        try:
            for batch in scan.batches():
                for entry in batch.entries:
                    content.check(entry)
                    report.size += 1
                    _check_prefix(entry, prefix, at_least, report)
                report.heads += 1
                report.root = batch.head.root
        except Damaged as error:
            report.problems.append(Problem(error.code, error.index, f"{error}. Nothing from here on is proved"))
            content.settle()
            return report
    content.settle()
    if scan.tail is not None:
        if scan.tail.torn and live:
            report.unsigned = f"entry {scan.tail.index} is just being written"
        else:
            text = f"entry {scan.tail.index}: {scan.tail.reason}. Nothing from here on is proved"
            report.problems.append(Problem("wal.tail" if scan.tail.torn else "wal.frame", scan.tail.index, text))
    if at_least is not None and report.size < at_least.size:
        text = f"entries {report.size} to {at_least.size - 1} are missing: a checkpoint of size {at_least.size} was signed"
        report.problems.append(Problem("log.truncated", report.size, text))
    return report


@dataclass
class _Content:
    """What the entries say: form, place in their source's order, blobs. A blob that is gone is judged when all entries are read."""

    sequences: Sequences
    blobs: Blobs
    report: Report
    missing: list[tuple[int, str]] = field(default_factory=list)
    erasures: dict[str, int] = field(default_factory=dict)  # digest -> the last entry that records its erasure

    def check(self, entry: Entry) -> None:
        """Take one entry."""
        index = entry.index
        try:
            leaf: dict[str, Any] = json.loads(entry.payload)
            validate(leaf)
        except (ValueError, RecursionError, Refused) as error:
            self._problem("leaf.bad", index, f"not a leaf: {error}")
            return
        try:
            self.sequences.check_next(leaf)
        except Refused as error:
            # Signed by the log all the same: its writer was not ours.
            where = f"source {leaf['source']} boot {leaf['boot']} seq {leaf['seq']}"
            self._problem("source.order", index, f"out of order for {where}: {error}")
        self.sequences.add(leaf, index)
        for ref in leaf["blobs"]:
            self._check_blob(index, ref)
        if leaf["kind"] == ERASURE and leaf["source"] in ERASERS and isinstance(leaf["data"].get("digest"), str):
            self.erasures[leaf["data"]["digest"]] = index

    def _check_blob(self, index: int, ref: dict[str, Any]) -> None:
        try:
            found = self.blobs.get(ref["digest"])
        except Damaged as error:
            self._problem(error.code, index, str(error))
            return
        if found is None:
            self.missing.append((index, ref["digest"]))
        elif len(found) != ref["size"]:
            self._problem("blob.wrong", index, f"blob {ref['digest']} has another size")
        else:
            self.report.blobs += 1

    def settle(self) -> None:
        """Judge the blobs that are gone: erased on record (after the entry that names them), or missing."""
        for index, digest in self.missing:
            if self.erasures.get(digest, -1) > index:
                self.report.erased.append((index, digest))
            else:
                self._problem("blob.missing", index, f"blob {digest} is gone and no later entry records its erasure")

    def _problem(self, code: str, index: int, text: str) -> None:
        self.report.problems.append(Problem(code, index, f"entry {index}: {text}"))


def _check_prefix(entry: Entry, prefix: Tree, at_least: Head | None, report: Report) -> None:
    """The checkpoint kept elsewhere must be a head of this very log, not of a forked one."""
    if at_least is None or entry.index >= at_least.size:
        return
    prefix.append(entry.hashed)
    if prefix.size == at_least.size and prefix.root() != at_least.root:
        text = f"the first {at_least.size} entries are not those that the checkpoint signs: this log was forked or rolled back"
        report.problems.append(Problem("log.forked", entry.index, f"entry {entry.index}: {text}"))
