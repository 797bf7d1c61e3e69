"""A small table as text, and the columns of a release, in the shape the rules compare. Pure."""

import csv
import io
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sandbox.domain.errors import Refusal


def normal(text: str) -> str:
    """Return `text` as the rules compare it: width, case and outer blanks do not count; a UTC time reads one way."""
    text = unicodedata.normalize("NFKC", text).strip().casefold()
    if len(text) >= 16 and text[4:5] == "-" and text[10:11] in {"t", " "}:
        text = text.replace("t", " ", 1).removesuffix("z").removesuffix("+00:00").removesuffix(".000")
    return text


def number(text: str) -> float | None:
    """Return the number a cell shows, or None."""
    try:
        value = float(text.strip().replace("_", "x"))  # Python's 1_000 is not a number in a table
    except ValueError:
        return None
    return value if np.isfinite(value) else None


@dataclass(frozen=True)
class Column:
    """One column of an exported table."""

    name: str
    cells: tuple[str, ...]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The cells as compared with text columns."""
        return tuple(normal(cell) for cell in self.cells)

    @cached_property
    def numbers(self) -> NDArray[np.float64] | None:
        """The cells as numbers (NaN where empty), or None if a cell is something else or all are empty."""
        found = [number(cell) if cell.strip() else np.nan for cell in self.cells]
        if any(each is None for each in found):
            return None
        values = np.array(found, dtype=np.float64)
        return None if np.isnan(values).all() else values

    @cached_property
    def grain(self) -> float:
        """The step all numbers are multiples of (a power of ten from 1e4 down to 1e-6), or 0: they are as fine as can be."""
        values = self.numbers
        if values is None:
            return 0.0
        values = values[~np.isnan(values)]
        for exponent in range(4, -7, -1):
            scaled = values * 10.0**-exponent
            if np.allclose(scaled, np.rint(scaled), rtol=0, atol=1e-6):
                return float(10.0**exponent)
        return 0.0


@dataclass(frozen=True)
class Table:
    """An exported table."""

    columns: tuple[Column, ...]
    rows: int


def read_table(content: bytes, max_rows: int) -> Table:
    """Read CSV bytes strictly. Raises Refusal with the line of the first thing wrong."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal("csv_not_utf8", line=1 + content[: error.start].count(b"\n")) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if not header or not all(cell.strip() for cell in header) or all(number(cell) is not None for cell in header):
            raise Refusal("csv_no_header", line=1)
        names = sorted(normal(cell) for cell in header)
        if repeated := next((one for one, two in pairwise(names) if one == two), None):
            raise Refusal("csv_duplicate_column", line=1, column=repeated)
        records = []
        for record in reader:
            if len(record) != len(header):
                if record:
                    raise Refusal("csv_row_broken", line=reader.line_num, expected=len(header), found=len(record))
                continue
            records.append(record)
            if len(records) > max_rows:
                raise Refusal("export_too_many_rows", limit=max_rows)
    except csv.Error as error:
        raise Refusal("csv_row_quotes", line=reader.line_num) from error
    if not records:
        raise Refusal("csv_empty", line=1)
    cells = zip(*records, strict=True)
    return Table(tuple(Column(title.strip(), column) for title, column in zip(header, cells, strict=True)), len(records))


@dataclass(frozen=True)
class ReleaseColumn:
    """One column of a release, dictionary-encoded: `codes[i]` points into the distinct values, -1 where null."""

    name: str
    treatment: str
    codes: NDArray[np.int32]
    texts: tuple[str, ...] | None  # the distinct values, `normal`, or None if they are numbers
    numbers: NDArray[np.float64] | None  # the distinct values, or None if they are texts

    @cached_property
    def distinct(self) -> int:
        """How many distinct values there are."""
        return len(self.texts) if self.texts is not None else len(self.numbers) if self.numbers is not None else 0

    @cached_property
    def text_index(self) -> dict[str, int]:
        """Where each distinct text stands."""
        return {text: index for index, text in enumerate(self.texts or ())}

    @cached_property
    def frequencies(self) -> NDArray[np.int64]:
        """How many rows have each distinct value."""
        return np.bincount(self.codes[self.codes >= 0], minlength=self.distinct)


@dataclass(frozen=True)
class Release:
    """A release the sandbox had."""

    dataset: str
    columns: tuple[ReleaseColumn, ...]
    rows: int
