"""Compares the counts a table claims with the truth of the releases: each group is counted again. Pure.

A key is a column of the table that a column of the release has: by its name, or (texts only) by its values. Leaving a key out makes groups
larger, so what is not recognised never denies; it is told to the reviewers instead.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

from sandbox.checks.linked import OVERLAP, Match, found_rows, match_column
from sandbox.checks.tabular import Column, Release, ReleaseColumn, Table, normal

HONEST = 0.5  # a table of whole groups claims about the true counts: half of its rows claim at least this share
BANDS = 10.0  # from this step on numbers may be bands, named by their lower end
WAYS = 16  # ways to read ambiguous keys; each row is given the best of them

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """What counting again showed, one truth value for each row of the table."""

    checked: bool = False  # whether any key was recognised
    false: tuple[int, ...] = ()  # rows (from 0) that claim more records than their group has
    unknown: int = 0  # rows whose keys no record has
    keys: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()  # columns that may be keys, but were taken for values: the counts are right without them
    unique: bool = False  # whether the keys tell all rows apart

    @property
    def whole(self) -> bool:
        """Whether every row is a group of its own whose count is true."""
        return self.checked and self.unique and not self.false and not self.unknown and not self.unclear


def count_again(table: Table, releases: Iterable[Release], counts: frozenset[str]) -> Truth:
    """Return what the releases that know most keys of the table say of its counts: the one that agrees best."""
    claimed = _claimed(table, counts)
    read = [(release, keys) for release in releases if (keys := _keys(table, release, counts))]
    if claimed is None or not read:
        return Truth()
    most = max(len(keys) for _, keys in read)
    truths = [_count(table, keys, claimed) for _, keys in read if len(keys) == most]
    return min(truths, key=lambda truth: (len(truth.false), truth.unknown))


def _claimed(table: Table, counts: frozenset[str]) -> NDArray[np.float64] | None:
    """Return the least count each row claims: columns named like counts may be sums of something else."""
    claims = [column.numbers for column in table.columns if column.name in counts and column.numbers is not None]
    return np.min(claims, axis=0) if claims else None


def _keys(table: Table, release: Release, counts: frozenset[str]) -> list[list[Match]]:
    """Return for each key, in the table's order, the ways to read it."""
    columns = [column for column in table.columns if column.name not in counts]
    by_name = {normal(column.name): column for column in release.columns}
    taken = {name for name in by_name if any(normal(column.name) == name for column in columns)}
    others = [column for name, column in by_name.items() if name not in taken and column.texts is not None]
    keys = (_options(column, by_name.get(normal(column.name)), others) for column in columns)
    return [options for options in keys if options]


def _options(column: Column, named: ReleaseColumn | None, others: list[ReleaseColumn]) -> list[Match]:
    if named is not None:
        readings = list(_readings(column, named))
        return [match for each in readings if (match := match_column(column, each, least=np.finfo(float).tiny)) is not None]
    if column.numbers is not None:
        return []  # a mean meets values of some column by chance
    matches = [match for each in others if (match := match_column(column, each, least=OVERLAP)) is not None]
    best = max((match.overlap for match in matches), default=0.0)
    return [match for match in matches if match.overlap == best]


def _readings(column: Column, release: ReleaseColumn) -> Iterator[ReleaseColumn]:
    yield release
    if release.numbers is not None and column.grain >= BANDS:
        yield replace(release, numbers=np.floor(release.numbers / column.grain) * column.grain)


def _count(table: Table, keys: list[list[Match]], claimed: NDArray[np.float64]) -> Truth:
    """Count by the first keys that make whole groups of true counts; if none do, by all of them."""
    names = [options[0].column.name for options in keys]
    for length in range(1, len(keys)):
        found = _best(keys[:length])
        if found is not None and _unique(keys[:length], table.rows) and _honest(found, claimed):
            return Truth(checked=True, keys=tuple(names[:length]), unclear=tuple(names[length:]), unique=True)
    found = _best(keys)
    if found is None:
        return Truth()
    false = np.flatnonzero((found > 0) & (claimed > found))
    return Truth(
        checked=True,
        false=tuple(int(row) for row in false),
        unknown=int((found == 0).sum()),
        keys=tuple(names),
        unique=_unique(keys, table.rows),
    )


def _best(keys: list[list[Match]]) -> Counts | None:
    """Return for each row how many records have its keys, in the reading of the keys that has most; None without a reading."""
    ways = (list(way) for way in product(*keys) if len({match.release.name for match in way}) == len(way))
    found = [found_rows(way, [match.table_codes for match in way]) for way in islice(ways, WAYS)]
    return np.max(found, axis=0) if found else None


def _unique(keys: list[list[Match]], rows: int) -> bool:
    return bool(np.unique(np.stack([options[0].table_codes for options in keys]), axis=1).shape[1] == rows)


def _honest(found: Counts, claimed: NDArray[np.float64]) -> bool:
    return bool((claimed <= found).all() and np.median(claimed / found) >= HONEST)
