"""Task `import`: one uploaded CSV becomes Parquet and a profile; no row is ever dropped in silence.

Everything is read as text first, so that a broken row is an error with its line; a column gets a narrower type only if every value fits.
"""

import codecs
import csv
import io
import re
import shutil
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import duckdb

from sandbox.checks import classify
from sandbox.checks.engine import Paths, connect, literal, name, sha256, write_json
from sandbox.domain.errors import Refusal

MAX_BYTES = 4 << 30  # of the CSV itself, unpacked
MAX_RATIO = 200  # unpacked to packed; real CSVs reach about 30
MAX_COLUMNS = 1000
MAX_ERRORS = 20
CHUNK = 1 << 20

_INTEGER = r"[+-]?(0|[1-9][0-9]{0,14})"  # longer runs of digits are numbers of cards and persons, not quantities
_NUMBER = r"[+-]?((0|[1-9][0-9]{0,14})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?Z?"  # other offsets stay text: a cast would drop them
# Narrowest first. Values that are all whole, or all numbers, and so on, make the column that type.
_TYPES = (
    ("BIGINT", f"regexp_full_match($v, {literal(_INTEGER)})"),
    ("DOUBLE", f"(regexp_full_match($v, {literal(_NUMBER)}) AND isfinite(TRY_CAST($v AS DOUBLE)))"),
    ("DATE", f"(regexp_full_match($v, {literal(_DATE)}) AND TRY_CAST($v AS DATE) IS NOT NULL)"),
    ("TIMESTAMP", f"(regexp_full_match($v, {literal(_TIME)}) AND TRY_CAST($v AS TIMESTAMP) IS NOT NULL)"),
)


def run(paths: Paths) -> dict[str, Any]:
    """Import `job["file"]` from the upload; return the profile. Raises Refusal, or a list of them as an ExceptionGroup."""
    job = paths.read_job()
    upload = paths.inputs / "upload"
    limit = int(job.get("max_bytes") or MAX_BYTES)
    paths.scratch.mkdir(parents=True, exist_ok=True)
    source = open_csv(upload / Path(job["file"]).name, paths.scratch / "upload.csv", limit)
    check_text(source, limit)
    columns = read_header(source)
    titles = {}
    if job.get("description"):
        titles = classify.read_titles((upload / Path(job["description"]).name).read_text(encoding="utf-8", errors="replace"))
    connection = connect(paths)
    rows = load(connection, source, columns)
    if rows > int(job.get("max_rows") or rows):
        raise Refusal("csv_too_many_rows", field="file", rows=rows, limit=job["max_rows"])
    described = [describe(connection, column, titles.get(column, "")) for column in columns]
    data = paths.out / "data.parquet"
    chosen = ", ".join(f"{_cast(each)} AS {name(each['name'])}" for each in described)
    connection.execute(f"COPY (SELECT {chosen} FROM raw) TO {literal(str(data))} (FORMAT parquet, COMPRESSION zstd)")  # noqa: S608 - names are quoted
    profile = {"rows": rows, "sha256": sha256(data), "size": data.stat().st_size, "columns": described}
    write_json(paths.out / "profile.json", profile)
    return profile


def open_csv(upload: Path, scratch: Path, limit: int) -> Path:
    """Return the CSV to read: the upload itself, or the one CSV in a ZIP, unpacked to `scratch` under `limit` bytes.

    The member's own name is never used as a path; what the archive says of its size is not believed.
    """
    if not zipfile.is_zipfile(upload):
        return upload
    try:
        with zipfile.ZipFile(upload) as archive:
            members = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/")]
            if len(members) != 1 or not members[0].filename.lower().endswith(".csv"):
                raise Refusal("zip_not_one_csv", field="file", count=len(members))
            member = members[0]
            mode = member.external_attr >> 16
            if member.flag_bits & 1 or stat.S_ISLNK(mode):
                raise Refusal("zip_refused", field="file")
            limit = min(limit, max(CHUNK, MAX_RATIO * upload.stat().st_size))
            with archive.open(member) as packed, scratch.open("wb") as plain:
                _copy(packed, plain, limit)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise Refusal("zip_refused", field="file") from error
    return scratch


def _copy(packed: IO[bytes], plain: IO[bytes], limit: int) -> None:
    """Copy at most `limit` bytes; more is a bomb."""
    left = limit
    while chunk := packed.read(min(CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise Refusal("zip_bomb", field="file", limit=limit)
        plain.write(chunk)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def check_text(path: Path, limit: int) -> None:
    """Refuse what is empty, larger than `limit` bytes, or not UTF-8 text, with the line of the first wrong byte."""
    size = path.stat().st_size
    if size == 0:
        raise Refusal("csv_empty", field="file")
    if size > limit:
        raise Refusal("csv_too_large", field="file", size=size, limit=limit)
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    line = 1
    for chunk in _chunks(path):
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise Refusal("csv_not_utf8", field="file", line=line + error.object[: error.start].count(b"\n")) from error
        if b"\0" in chunk:
            raise Refusal("csv_not_text", field="file", line=line + chunk[: chunk.index(b"\0")].count(b"\n"))
        line += chunk.count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Refusal("csv_not_utf8", field="file", line=line) from error


def read_header(path: Path) -> list[str]:
    """Return the column names of the first record; refuse a missing header, an unusable or a repeated name."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        # 1 MiB is far beyond any header and keeps an open quote from reading the whole file.
        try:
            record = next(csv.reader(io.StringIO(file.read(CHUNK), newline=""), strict=True), [])
        except csv.Error as error:
            raise Refusal("csv_no_header", field="file", line=1) from error
    columns = [cell.strip() for cell in record]
    if not columns or not all(columns) or all(re.fullmatch(_NUMBER, cell) for cell in columns):
        raise Refusal("csv_no_header", field="file", line=1)
    if len(columns) > MAX_COLUMNS:
        raise Refusal("csv_too_many_columns", field="file", count=len(columns), limit=MAX_COLUMNS)
    seen: set[str] = set()
    for column in columns:
        if len(column) > 100 or any(unicodedata.category(char) in {"Cc", "Cf"} for char in column):
            raise Refusal("csv_bad_column_name", field=column[:100], line=1, column=column[:100])
        if column.casefold() in seen:  # DuckDB's names do not tell upper from lower case
            raise Refusal("csv_duplicate_column", field=column, line=1, column=column)
        seen.add(column.casefold())
    return columns


def load(connection: duckdb.DuckDBPyConnection, path: Path, columns: list[str]) -> int:
    """Read every row as text into table `raw`; return the number of rows. Raises an ExceptionGroup with a Refusal per broken row."""
    types = "{" + ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns) + "}"
    try:
        connection.execute(
            f"CREATE TABLE raw AS SELECT * FROM read_csv({literal(str(path))}, columns = {types}, auto_detect = false, header = true, "  # noqa: S608 - quoted
            f"delim = ',', quote = '\"', escape = '\"', strict_mode = true, null_padding = false, store_rejects = true, rejects_limit = {MAX_ERRORS})"
        )
    except duckdb.Error as error:
        code = "csv_newlines_mixed" if "invalid state" in str(error) else "csv_unreadable"
        raise Refusal(code, field="file") from error
    broken = connection.execute(
        "SELECT line_byte_position, any_value(error_type), any_value(error_message) FROM reject_errors GROUP BY 1 ORDER BY 1"
    ).fetchall()
    if broken:
        raise ExceptionGroup("broken rows", [_broken_row(path, columns, *each) for each in broken])
    (rows,) = connection.execute("SELECT count(*) FROM raw").fetchall()[0]
    if not rows:
        raise Refusal("csv_empty", field="file")
    return int(rows)


def _broken_row(path: Path, columns: list[str], position: int | None, kind: str, message: str) -> Refusal:
    """Say which line of the file (as an editor counts, so with line breaks inside quotes) is broken, and how."""
    line = 1
    left = max((position or 1) - 1, 0)
    for chunk in _chunks(path):
        line += chunk[:left].count(b"\n")
        left -= len(chunk)
        if left <= 0:
            break
    found = re.search(r"Found: (\d+)", message)
    if kind in {"MISSING COLUMNS", "TOO MANY COLUMNS"} and found:
        return Refusal("csv_row_broken", field="file", line=line, expected=len(columns), found=int(found[1]))
    return Refusal("csv_row_quotes", field="file", line=line)


def describe(connection: duckdb.DuckDBPyConnection, column: str, title: str) -> dict[str, Any]:
    """Return type, counts and proposed class of one column of `raw`; least and greatest value only where nothing is personal.

    `NA` means missing only in a column whose other values are all numbers or times: in text it may be a word.
    """
    quoted = name(column)
    fits = ", ".join(f"count(*) FILTER ({test.replace('$v', quoted)})" for _, test in _TYPES)
    (counted,) = connection.execute(
        f"SELECT count({quoted}), count(*) FILTER ({quoted} = 'NA'), count(*) - count({quoted}), count(DISTINCT {quoted}), {fits} FROM raw"  # noqa: S608 - quoted
    ).fetchall()
    values, missing, nulls, distinct, *fitting = counted
    kind = next((kind for (kind, _), fit in zip(_TYPES, fitting, strict=True) if fit and fit == values - missing), "VARCHAR")
    found: dict[str, Any] = {"name": column, "type": kind, "title": title, "nulls": nulls, "distinct": distinct}
    if kind != "VARCHAR" and missing:
        found |= {"nulls": nulls + missing, "distinct": distinct - 1, "missing_text": "NA"}
    samples = connection.execute(f"SELECT DISTINCT {quoted} FROM raw WHERE {quoted} IS NOT NULL ORDER BY 1 LIMIT 200").fetchall()  # noqa: S608 - quoted
    found["proposed_class"], found["reason"] = classify.propose(column, title, [value for (value,) in samples])
    if found["proposed_class"] == "conditional":
        cast = _cast(found)
        ((least, greatest),) = connection.execute(f"SELECT min({cast})::VARCHAR, max({cast})::VARCHAR FROM raw").fetchall()  # noqa: S608 - quoted
        found |= {"min": least, "max": greatest}
    return found


def _cast(column: dict[str, Any]) -> str:
    """Return the SQL that turns the text of a column into its type."""
    text = name(column["name"])
    if column.get("missing_text"):
        text = f"nullif({text}, {literal(column['missing_text'])})"
    return f"CAST({text} AS {column['type']})"


def clean(paths: Paths) -> None:
    """Remove what the task spilled."""
    shutil.rmtree(paths.scratch, ignore_errors=True)
