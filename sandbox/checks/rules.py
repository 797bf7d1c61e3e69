"""The rules an exported file must pass. Pure: bytes, tables and releases in, findings out.

A finding is `pass`, `deny` or `review`; each rule leaves exactly one kind of answer, so that a rule that did not run cannot look passed.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sandbox.checks.counts import Truth, count_again
from sandbox.checks.linked import find_leak
from sandbox.checks.tabular import Column, Release, Table, normal, number, read_table
from sandbox.domain.errors import Refusal

MAX_BYTES = 5_000_000
MAX_ROWS = 5_000
MIN_CELL = 10
SHOWN = 5  # lines or columns that a finding names

Verdict = Literal["pass", "deny", "review"]


@dataclass(frozen=True)
class Finding:
    """What one rule says of one file."""

    file: str
    code: str
    verdict: Verdict
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """What the agreements allow (bytes, rows, least number of records behind a figure)."""

    max_bytes: int = MAX_BYTES
    max_rows: int = MAX_ROWS
    min_cell: int = MIN_CELL


_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!", b"PAR1", b"ARROW1", b"%PDF", b"\x89HDF",
          b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"SQLite format 3", b"\x7fELF", b"\x93NUMPY", b"\xd0\xcf\x11\xe0", b"DUCK")  # fmt: skip
_PICKLE = re.compile(rb"\A(\x80[\x00-\x05]|\(?[cldp]\w+\n\w+\n|\([ldt]p?\d)")
_COUNT = re.compile(
    r"(n|nn|count|counts|cnt|freq|frequency|obs|size|n_obs|nobs|count_star\(\)|count\(\*\)|count\(.*\)|n_\w+|\w+_n|\w+_count|count_\w+|num_\w+|\w*(人数|人次|数量|频数|计数|件数|户数|例数|样本量|样本数|航班数|条数|笔数))"
)
_AGGREGATE = (
    r"(?:mean|avg|average|sum|total|stddev(?:_samp|_pop)?|std|sd|variance|var|min|max|median|q\d{1,2}|p\d{1,2}|rate|ratio|share|pct|percent"
    r"|prop|平均值?|均值|合计|总计?|总和|占比|比例|率|标准差|中位数?|最大值?|最小值?|方差)"
)
# Titles are read by people and could carry rows: plain, short, few digits; the signs are those of DuckDB's own names (`count(*)`) and dates.
_TITLE = re.compile(r"[\w ()（）*%.:\-]{1,64}")
MAX_COLUMNS = 200
MAX_DIGITS = 12
MANY_ROWS = 100
DISTINCT = 0.9
_FORMULA = re.compile(r"\s*[=+\-@|]")
# Invisible, or turning the direction of text: they hide one text in another.
_HIDDEN = {"\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u3164", "\uffa0", "\ufeff"}


def check_file(file: str, content: bytes, releases: Iterable[Release], limits: Limits) -> tuple[Table | None, list[Finding]]:
    """Return the table (None if it is not even one) and the findings of one exported file."""
    releases = list(releases)
    findings = [check_size(file, content, limits), check_type(file, content)]
    if any(finding.verdict == "deny" for finding in findings):
        return None, findings
    try:
        table = read_table(content, limits.max_rows)
    except Refusal as refused:
        return None, [*findings, Finding(file, refused.code, "deny", refused.params)]
    titles = check_titles(file, table)
    if titles.verdict == "deny":
        return None, [*findings, titles]
    counts = count_columns(table, releases)
    truth = count_again(table, releases, counts)
    findings += [
        titles,
        check_hidden(file, table),
        check_formulas(file, table),
        *check_counts(file, table, counts, limits),
        *check_truth(file, table, truth, limits),
        check_shape(file, table, truth),
        check_identifiers(file, table, releases),
        *check_columns(file, table, releases, counts),
        *check_rows(file, table, releases, counts, limits),
    ]
    return table, findings


def check_size(file: str, content: bytes, limits: Limits) -> Finding:
    """Refuse a file above the agreed size."""
    params = {"size": len(content), "limit": limits.max_bytes}
    return Finding(file, "export_too_large", "deny" if len(content) > limits.max_bytes else "pass", params)


def check_type(file: str, content: bytes) -> Finding:
    """Allow CSV only, by name and by content: no archive, pickle, image or anything with a NUL."""
    kind = file.rpartition(".")[2].lower() if "." in file else ""
    plain = re.fullmatch(r"[\w\-. ()（）]{1,120}", file) is not None and not file.startswith(".")
    bad = kind != "csv" or not plain or b"\0" in content or content.startswith(_MAGIC) or _PICKLE.match(content)
    return Finding(file, "export_type_refused", "deny" if bad else "pass", {"type": kind or "?"})


def check_titles(file: str, table: Table) -> Finding:
    """Refuse titles that could carry rows: too many of them, long, or of other signs than words have."""
    if len(table.columns) > MAX_COLUMNS:
        return Finding(file, "too_many_columns", "deny", {"count": len(table.columns), "limit": MAX_COLUMNS})
    for place, column in enumerate(table.columns, start=1):
        visible = "".join(char for char in column.name if not _invisible(char))  # those have a rule of their own
        if not _TITLE.fullmatch(visible) or sum(char.isdigit() for char in visible) > MAX_DIGITS:
            return Finding(file, "column_title_refused", "deny", {"column": place, "longest": 64, "digits": MAX_DIGITS})
    return Finding(file, "column_title_refused", "pass")


def _all_texts(table: Table) -> Iterator[tuple[int, str, str]]:
    """Yield every text of the table with its line (1 is the header)."""
    for column in table.columns:
        yield 1, column.name, column.name
        for line, cell in enumerate(column.cells, start=2):
            yield line, column.name, cell


def _invisible(char: str) -> bool:
    return char in _HIDDEN or unicodedata.category(char) in {"Cf", "Cc", "Co", "Cn", "Zl", "Zp"} or "\ufe00" <= char <= "\ufe0f"


def check_hidden(file: str, table: Table) -> Finding:
    """Refuse zero-width, direction-turning and control characters: they carry what nobody sees."""
    for line, column, text in _all_texts(table):
        if not text.isascii() or not text.isprintable():
            for char in text:
                if _invisible(char):
                    return Finding(
                        file, "hidden_characters", "deny", {"line": line, "column": normal(column)[:40], "char": f"U+{ord(char):04X}"}
                    )
    return Finding(file, "hidden_characters", "pass")


def check_formulas(file: str, table: Table) -> Finding:
    """Send text that a spreadsheet would run to a reviewer."""
    for line, column, text in _all_texts(table):
        if _FORMULA.match(text) and number(text) is None:
            return Finding(file, "formula_cells", "review", {"line": line, "column": column[:40]})
    return Finding(file, "formula_cells", "pass")


def count_columns(table: Table, releases: Iterable[Release]) -> frozenset[str]:
    """Return the names of the columns that say how many records stand behind a row (never a column of the release)."""
    known = {normal(column.name) for release in releases for column in release.columns}
    return frozenset(column.name for column in table.columns if _COUNT.fullmatch(normal(column.name)) and normal(column.name) not in known)


def check_counts(file: str, table: Table, counts: frozenset[str], limits: Limits) -> Iterator[Finding]:
    """Demand a count column in which every figure is a whole number of at least `min_cell`."""
    if not counts:
        yield Finding(file, "count_column_missing", "deny", {"min_cell": limits.min_cell})
        return
    yield Finding(file, "count_column_missing", "pass", {"min_cell": limits.min_cell})
    for column in (each for each in table.columns if each.name in counts):
        for line, cell in enumerate(column.cells, start=2):
            value = number(cell)
            if value is None or value != int(value):
                yield Finding(file, "count_not_whole", "deny", {"line": line, "column": column.name[:40]})
                return
        small = [line for line, cell in enumerate(column.cells, start=2) if (number(cell) or 0) < limits.min_cell]
        if small:
            yield Finding(
                file, "small_cell", "deny", {"line": small[0], "column": column.name[:40], "cells": len(small), "min_cell": limits.min_cell}
            )
            return
    yield Finding(file, "small_cell", "pass", {"min_cell": limits.min_cell})


def check_truth(file: str, table: Table, truth: Truth, limits: Limits) -> Iterator[Finding]:
    """Count the groups again: refuse claims above the truth (so also groups below `min_cell`), tell reviewers what cannot be counted."""
    keys = ", ".join(truth.keys)
    if truth.false:
        lines = [row + 2 for row in truth.false]
        shown = ", ".join(str(line) for line in lines[:SHOWN])
        params = {"rows": len(lines), "total": table.rows, "lines": shown, "columns": keys, "min_cell": limits.min_cell}
        yield Finding(file, "count_not_true", "deny", params)
        return
    yield Finding(file, "count_not_true", "pass", {"columns": keys})
    if truth.unknown or truth.unclear:
        params = {"rows": truth.unknown, "columns": ", ".join(truth.unclear[:SHOWN]) or "-", "keys": keys}
        yield Finding(file, "counts_unverified", "review", params)


def check_shape(file: str, table: Table, truth: Truth) -> Finding:
    """Send a long table to a reviewer whose rows all differ in their figures, unless they were counted as groups."""
    if table.rows < MANY_ROWS or truth.whole:
        return Finding(file, "looks_like_rows", "pass")
    figures = [column.numbers for column in table.columns if column.numbers is not None]
    distinct = len(np.unique(np.nan_to_num(np.stack(figures, axis=1)), axis=0)) if figures else 0
    params = {"rows": table.rows, "distinct": distinct}
    return Finding(file, "looks_like_rows", "review" if distinct >= DISTINCT * table.rows else "pass", params)


def check_identifiers(file: str, table: Table, releases: Iterable[Release]) -> Finding:
    """Refuse any pseudonym of a release, wherever it stands and also inside a longer text."""
    for release in releases:
        pseudonyms = {text for column in release.columns if column.treatment == "pseudonym" for text in column.texts or ()}
        if not pseudonyms:
            continue
        for column in table.columns:
            for line, cell in enumerate(column.texts, start=2):
                if len(cell) >= 32 and any(part in pseudonyms for part in (cell, *re.findall(r"(?=([0-9a-f]{32}))", cell))):
                    return Finding(
                        file, "identifier_values", "deny", {"line": line, "column": column.name[:40], "dataset": release.dataset}
                    )
    return Finding(file, "identifier_values", "pass")


def check_columns(file: str, table: Table, releases: list[Release], counts: frozenset[str]) -> Iterator[Finding]:
    """Send columns to a reviewer that are neither a count, nor of a release, nor an aggregate named after one."""
    unknown = [column.name[:40] for column in table.columns if column.name not in counts and not _derivable(column, releases)]
    if unknown:
        yield Finding(file, "unknown_column", "review", {"columns": ", ".join(unknown[:SHOWN]), "count": len(unknown)})
    else:
        yield Finding(file, "unknown_column", "pass")


def _derivable(column: Column, releases: list[Release]) -> bool:
    title = normal(column.name)
    for release in releases:
        for original in release.columns:
            known = normal(original.name)
            if column.numbers is not None:
                if title == known or _aggregate_of(known, title):
                    return True
            elif original.texts is not None and all(text in original.text_index for text in set(column.texts) - {""}):
                return True
    return False


def _aggregate_of(known: str, title: str) -> bool:
    """Whether the title is the column's name with aggregates before or behind it, and nothing else."""
    before, _, behind = title.partition(known)
    if known not in title:
        return False
    return bool(
        (re.fullmatch(rf"(?:{_AGGREGATE}(?:[ _]of)?[ _]?)+\(?", before) and behind in {"", ")"})
        or (not before and re.fullmatch(rf"(?:[ _]?{_AGGREGATE})+", behind))
    )


def check_rows(file: str, table: Table, releases: Iterable[Release], counts: frozenset[str], limits: Limits) -> Iterator[Finding]:
    """Refuse raw rows of a release, also renamed, shuffled, subset or rounded; show a reviewer what comes from single records."""
    extremes = None
    for release in releases:
        leak = find_leak(table, release, counts, limits.min_cell)
        params = {"rows": leak.rows, "total": table.rows, "columns": ", ".join(leak.columns), "dataset": leak.dataset}
        if leak.rows and not leak.extremes:
            yield Finding(file, "raw_rows", "deny", params | {"originals": ", ".join(leak.originals)})
            return
        extremes = params if leak.rows else extremes
    yield Finding(file, "raw_rows", "pass")
    if extremes:
        yield Finding(file, "single_record_values", "review", extremes)
