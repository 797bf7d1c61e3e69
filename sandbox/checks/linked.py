"""Finds raw rows in an exported table, also renamed, shuffled, subset or rounded. Pure.

"This row exists in the release" alone says little: keys of honest groups exist there too. So columns are matched by name and by values, and a
matched column counts as *linked* only if the table's real rows are found in the release clearly more often than the same rows with that one
column permuted. Rows found on the linked columns that fewer than `min_cell` rows of the release share are raw rows.
One linked column beyond the keys of honest groups is an extreme or a median: one person's value, which a reviewer must see.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sandbox.checks.tabular import Column, Release, ReleaseColumn, Table

Codes = NDArray[np.int64]

OVERLAP = 0.5  # share of a column's distinct values that a column of the release must have to be a candidate
LINK = 0.5  # how much of the found rows must be lost by permuting a column for it to be linked
SHARE = 0.05  # from this share of raw rows on (and LEAST of them) the table is refused
LEAST = 3
CANDIDATES = 6
SEEDS = 3
PERMUTATIONS = 2
COLUMNS = 14  # the most telling ones; more only cost time


@dataclass(frozen=True)
class Match:
    """A column of the table beside one of the release, both in codes of the table's distinct values."""

    column: Column
    release: ReleaseColumn
    table_codes: Codes
    release_codes: Codes  # -1 where the table has no such value
    overlap: float
    named: bool


@dataclass(frozen=True)
class Leak:
    """What was found: nothing, raw rows (`rows` of them), or one value of single records in each group (`extremes`)."""

    dataset: str = ""
    rows: int = 0
    columns: tuple[str, ...] = ()
    originals: tuple[str, ...] = ()
    extremes: bool = False


def find_leak(table: Table, release: Release, counts: frozenset[str], min_cell: int, seed: int = 0) -> Leak:
    """Return the raw rows of `release` in `table`; `counts` names the count columns, `min_cell` is the least group."""
    candidates = [found for column in table.columns if (found := _candidates(column, release))]
    candidates.sort(key=lambda found: -len(np.unique(found[0].table_codes)))
    random = np.random.default_rng(seed)
    leaks = [_single(table, release, candidates, counts, min_cell)]
    for chosen in _assignments(candidates[:COLUMNS], table.rows):
        leaks.append(_judge(table, release, chosen, counts=counts, min_cell=min_cell, random=random))
        if leaks[-1].rows and not leaks[-1].extremes:
            break
    return max(leaks, key=lambda leak: (leak.rows > 0 and not leak.extremes, leak.rows))


def _candidates(column: Column, release: Release) -> list[Match]:
    """Return the columns of the release this one may come from, likeliest first."""
    found = [match for each in release.columns if (match := match_column(column, each)) is not None]
    return sorted(found, key=lambda match: (match.named, match.overlap, -match.release.distinct), reverse=True)[:CANDIDATES]


def match_column(column: Column, release: ReleaseColumn, least: float = OVERLAP) -> Match | None:
    """Return the match of a column with one of the release by its values (as rounded as the table's), or None.

    `least` is the share of the column's distinct values that the release must have.
    """
    if release.numbers is not None:
        if column.numbers is None:
            return None
        values, table_codes = np.unique(column.numbers, return_inverse=True, equal_nan=True)
        original = release.numbers
        where = _locate(values, original)
        if column.grain:  # perhaps rounded: compare at the table's own step, which changes nothing if it is the release's own
            rounded = _locate(values, np.rint(original / column.grain) * column.grain)
            where = rounded if len(np.unique(rounded[rounded >= 0])) >= len(np.unique(where[where >= 0])) else where
        missing = np.flatnonzero(np.isnan(values))
        null = int(missing[0]) if len(missing) else -1
    else:
        texts, table_codes = np.unique(np.array(column.texts, dtype=object), return_inverse=True)
        where = np.full(release.distinct, -1, dtype=np.int64)
        null = -1
        for code, text in enumerate(texts):
            if text == "":
                null = code
            elif (index := release.text_index.get(text)) is not None:
                where[index] = code
        values = texts
    distinct = len(values) - (null >= 0)
    overlap = len(np.unique(where[where >= 0])) / distinct if distinct else 0.0
    if overlap < least:
        return None
    lookup = np.append(where, null)  # codes of -1 (null in the release) read the last one
    named = column.name.casefold() == release.name.casefold()
    return Match(column, release, table_codes.reshape(-1).astype(np.int64), lookup[release.codes], overlap, named)


def _locate(values: NDArray[np.float64], wanted: NDArray[np.float64]) -> Codes:
    """Return for each of `wanted` the place of the equal one (to a relative 1e-9) in the sorted `values`, or -1."""
    finite = values[~np.isnan(values)]
    if not len(finite):
        return np.full(len(wanted), -1, dtype=np.int64)
    right = np.clip(np.searchsorted(finite, wanted), 0, len(finite) - 1)
    left = np.clip(right - 1, 0, None)
    nearest = np.where(np.abs(finite[left] - wanted) < np.abs(finite[right] - wanted), left, right)
    return np.where(np.isclose(finite[nearest], wanted, rtol=1e-9, atol=1e-9), nearest, -1)


def _assignments(ordered: list[list[Match]], rows: int) -> list[list[Match]]:
    """Return ways to give columns of the table columns of the release: by name, and grown from the most telling columns."""
    by_name = [each[0] for each in ordered if each[0].named]
    ways = [_grow([], [[each] for each in by_name], rows)] if by_name else []
    for index in range(min(SEEDS, len(ordered))):
        others = [each for place, each in enumerate(ordered) if place != index]
        ways += [_grow([seed], others, rows) for seed in ordered[index]]
    return sorted(ways, key=len, reverse=True)


def _grow(chosen: list[Match], others: list[list[Match]], rows: int) -> list[Match]:
    """Add column after column, each with the candidate that keeps most rows found, as long as half of them stay."""
    chosen = list(chosen)
    found = found_rows(chosen, [each.table_codes for each in chosen]).astype(bool).sum() if chosen else rows
    for options in others:
        used = {each.release.name for each in chosen}
        best, most = None, 0
        for option in options:
            if option.release.name not in used:
                trial = [*chosen, option]
                kept = int(found_rows(trial, [each.table_codes for each in trial]).astype(bool).sum())
                best, most = (option, kept) if kept > most else (best, most)
        if best is not None and most * 2 >= found:
            chosen.append(best)
            found = most
    return chosen


def found_rows(matches: list[Match], table_codes: list[Codes]) -> Codes:
    """Return for each row of the table how many rows of the release have the same values in all matched columns.

    `table_codes` are the matches' own or permuted ones. The rows of the release still in play shrink with each column.
    """
    table = np.zeros(len(table_codes[0]), dtype=np.int64)
    play: NDArray[np.int64] | None = None
    release = np.zeros(0, dtype=np.int64)
    for match, codes in zip(matches, table_codes, strict=True):
        width = int(match.table_codes.max()) + 1
        here = match.release_codes if play is None else match.release_codes[play]
        keep = np.flatnonzero(here >= 0)
        release = (here[keep] if play is None else release[keep] * width + here[keep]).astype(np.int64)
        play = keep if play is None else play[keep]
        combos, table = np.unique(table * width + codes, return_inverse=True)
        table = table.reshape(-1)
        place = np.clip(np.searchsorted(combos, release), 0, len(combos) - 1)
        same = np.flatnonzero(combos[place] == release)
        release, play = place[same], play[same]
    return np.bincount(release, minlength=int(table.max()) + 1)[table]


def _linked(matches: list[Match], random: np.random.Generator) -> list[Match]:
    """Return the matches whose permutation alone loses at least LINK of the rows found (among rows it changed).

    Matches not by name were picked as the best of many, so they must also stand out from chance: by more than three times its spread.
    """
    real = found_rows(matches, [each.table_codes for each in matches]).astype(bool)
    linked = []
    for index, match in enumerate(matches):
        changed_rows, before, after = 0, 0, 0
        for _ in range(PERMUTATIONS):
            permuted = [each.table_codes for each in matches]
            permuted[index] = random.permutation(match.table_codes)
            changed = permuted[index] != match.table_codes
            changed_rows += int(changed.sum())
            before += int(real[changed].sum())
            after += int(found_rows(matches, permuted).astype(bool)[changed].sum())
        lost = (before - after) / PERMUTATIONS
        chance = 0.0 if all(each.named for each in matches) else 1 + 3 * (after / PERMUTATIONS + 1) ** 0.5
        if changed_rows and before and lost * PERMUTATIONS / before >= LINK and lost > chance:
            linked.append(match)
    return linked


def _judge(
    table: Table, release: Release, chosen: list[Match], *, counts: frozenset[str], min_cell: int, random: np.random.Generator
) -> Leak:
    """Say what one assignment of columns shows."""
    linked = _linked(chosen, random) if len(chosen) > 1 else []
    if len(linked) < 2:
        return Leak()
    found = found_rows(linked, [each.table_codes for each in linked])
    raw = (found >= 1) & (found < min_cell)
    if raw.sum() < LEAST or raw.mean() < SHARE:
        return Leak()
    names, originals = tuple(each.column.name for each in linked), tuple(each.release.name for each in linked)
    ways = (linked, chosen)  # keys that decide nothing about the value (the year, beside a median of something constant) are not linked
    extremes = any(_groups([each for each in way if each is not value], table, counts, min_cell) for value in linked for way in ways)
    return Leak(release.dataset, int(raw.sum()), names, originals, extremes)


def _single(table: Table, release: Release, candidates: list[list[Match]], counts: frozenset[str], min_cell: int) -> Leak:
    """Look for one column alone whose values are mostly exact, rare values of the release: no link shows there.

    Whole numbers are left out (sums and counts meet them by chance), and so are count columns.
    """
    for match in (found[0] for found in candidates):
        if match.column.name in counts or (match.column.numbers is not None and match.column.grain >= 1):
            continue
        frequent = np.bincount(match.release_codes[match.release_codes >= 0], minlength=int(match.table_codes.max()) + 1)[match.table_codes]
        rare = (frequent >= 1) & (frequent < min_cell) & (np.array(match.column.texts) != "")
        if rare.sum() >= LEAST and rare.mean() >= OVERLAP and rare.mean() >= 4 * _density(match):
            keys = [found[0] for found in candidates if found[0].named and found[0] is not match]
            extremes = bool(keys) and _groups(keys, table, counts, min_cell)
            return Leak(release.dataset, int(rare.sum()), (match.column.name,), (match.release.name,), extremes)
    return Leak()


def _density(match: Match) -> float:
    """Return the share of all numbers of the table's step, between its least and greatest, that the release has: matches by chance."""
    numbers, original, grain = match.column.numbers, match.release.numbers, match.column.grain
    if numbers is None or original is None or not grain:
        return 0.0
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    inside = original[(original >= low) & (original <= high)]
    return float(len(np.unique(np.rint(inside / grain))) / ((high - low) / grain + 1))


def _groups(keys: list[Match], table: Table, counts: frozenset[str], min_cell: int) -> bool:
    """Whether these columns are the keys of honest groups: unique, each with enough rows, and no count above the truth."""
    codes = np.stack([each.table_codes for each in keys])
    if np.unique(codes, axis=1).shape[1] < table.rows:
        return False
    found = found_rows(keys, [each.table_codes for each in keys])
    claimed = [column.numbers for column in table.columns if column.name in counts and column.numbers is not None]
    return bool(claimed) and bool((found >= min_cell).all()) and all(bool((each <= found).all()) for each in claimed)
