"""Verification of a log's directory, by anyone who has it and the log's public key. Reads only.

Proves: every entry has the bytes it was acknowledged with, none is missing, added or moved before the last signed head; each source's numbers
have no gap and each of its boots names the one before; every blob that is still there is the one its entry names.
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


@dataclass
class Report:
    """What verification found. `erased`: blobs that are not there any more, as (entry, digest); that is allowed."""

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
    blobs = Blobs(directory / "blobs")
    sequences, prefix = Sequences(), Tree()
    if not (directory / WAL_NAME).is_file():
        report.problems.append(Problem("wal.missing", None, f"there is no log in {directory}"))
        return report
    with mapped(directory / WAL_NAME) as content:
        scan = Scan(content, verifier, every_signature=True)
        try:
            for batch in scan.batches():
                for entry in batch.entries:
                    _check_entry(entry, sequences, blobs, report)
                    report.size += 1
                    _check_prefix(entry, prefix, at_least, report)
                report.heads += 1
                report.root = batch.head.root
        except Damaged as error:
            report.problems.append(Problem(error.code, error.index, f"{error}. Nothing from here on is proved"))
            return report
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


def _check_entry(entry: Entry, sequences: Sequences, blobs: Blobs, report: Report) -> None:
    """One entry's content: form, place in its source's order, blobs."""
    index = entry.index
    try:
        leaf: dict[str, Any] = json.loads(entry.payload)
        validate(leaf)
    except (ValueError, RecursionError, Refused) as error:
        report.problems.append(Problem("leaf.bad", index, f"entry {index}: not a leaf: {error}"))
        return
    try:
        sequences.check_next(leaf)
    except Refused as error:
        # Signed by the log all the same: its writer was not ours.
        text = f"entry {index}: out of order for source {leaf['source']} boot {leaf['boot']} seq {leaf['seq']}: {error}"
        report.problems.append(Problem("source.order", index, text))
    sequences.add(leaf, index)
    for ref in leaf["blobs"]:
        _check_blob(index, ref, blobs, report)


def _check_blob(index: int, ref: dict[str, Any], blobs: Blobs, report: Report) -> None:
    try:
        content = blobs.get(ref["digest"])
    except Damaged as error:
        report.problems.append(Problem(error.code, index, f"entry {index}: {error}"))
        return
    if content is None:
        report.erased.append((index, ref["digest"]))
    elif len(content) != ref["size"]:
        report.problems.append(Problem("blob.wrong", index, f"entry {index}: blob {ref['digest']} has another size"))
    else:
        report.blobs += 1


def _check_prefix(entry: Entry, prefix: Tree, at_least: Head | None, report: Report) -> None:
    """The checkpoint kept elsewhere must be a head of this very log, not of a forked one."""
    if at_least is None or entry.index >= at_least.size:
        return
    prefix.append(entry.hashed)
    if prefix.size == at_least.size and prefix.root() != at_least.root:
        text = f"the first {at_least.size} entries are not those that the checkpoint signs: this log was forked or rolled back"
        report.problems.append(Problem("log.forked", entry.index, f"entry {entry.index}: {text}"))
