"""Task `check`: one export package against the rules and the releases that its sandbox had."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sandbox.checks.engine import Paths, sha256
from sandbox.checks.rules import Finding, Limits, check_file, check_size
from sandbox.checks.tabular import Release, ReleaseColumn, Table, normal
from sandbox.domain.errors import Refusal

PREVIEW_ROWS = 100
PREVIEW_COLUMNS = 40


def run(paths: Paths) -> dict[str, Any]:
    """Check every file of the package; return files and findings. Raises Refusal if the package is not what was announced."""
    job = paths.read_job()
    limits = Limits(**{name: int(job[name]) for name in ("max_bytes", "max_rows", "min_cell") if job.get(name)})
    releases = [read_release(paths.inputs / "release" / Path(each["dataset"]).name / "data.parquet", each) for each in job["releases"]]
    if not job["files"]:
        raise Refusal("export_empty", field="files")
    files, findings = [], []
    for number, announced in enumerate(job["files"]):
        path = paths.inputs / "package" / str(number)
        if path.stat().st_size != announced["size"] or sha256(path) != announced["sha256"]:
            raise Refusal("export_changed", field=announced["name"], file=announced["name"])
        table, found = _check(announced["name"], path, releases, limits)
        kind = announced["name"].rpartition(".")[2].lower()
        files.append(
            {
                "name": announced["name"],
                "type": kind,
                "size": announced["size"],
                "rows": table.rows if table else 0,
                "preview": _preview(table),
            }
        )
        findings += found
    return {"files": files, "findings": [asdict(finding) for finding in findings]}


def _check(file: str, path: Path, releases: list[Release], limits: Limits) -> tuple[Table | None, list[Finding]]:
    if path.stat().st_size > limits.max_bytes:  # never read what is refused anyway
        params = {"size": path.stat().st_size, "limit": limits.max_bytes}
        return None, [Finding(file, check_size(file, b"", limits).code, "deny", params)]
    return check_file(file, path.read_bytes(), releases, limits)


def _preview(table: Table | None) -> dict[str, Any] | None:
    """Return the first rows for the reviewers; cells are text and stay text."""
    if table is None:
        return None
    columns = [column.name[:100] for column in table.columns[:PREVIEW_COLUMNS]]
    shown = zip(*(column.cells[:PREVIEW_ROWS] for column in table.columns[:PREVIEW_COLUMNS]), strict=True)
    return {"columns": columns, "rows": [[cell[:200] for cell in row] for row in shown]}


def read_release(path: Path, description: dict[str, Any]) -> Release:
    """Read a release's Parquet into the shape that the rules compare."""
    treatments = {column["name"]: column.get("treatment", "kept") for column in description.get("columns", [])}
    table = pq.read_table(path)
    columns = tuple(_read_column(name, treatments.get(name, "kept"), table[name]) for name in table.column_names)
    return Release(description["dataset"], columns, table.num_rows)


def _read_column(name: str, treatment: str, values: pa.ChunkedArray) -> ReleaseColumn:
    encoded = values.combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    distinct = encoded.dictionary
    if pa.types.is_integer(distinct.type) or pa.types.is_floating(distinct.type) or pa.types.is_decimal(distinct.type):
        return ReleaseColumn(name, treatment, codes, None, distinct.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(distinct.type):
        distinct = distinct.cast(pa.timestamp("us")).cast(pa.string())  # 2013-01-01 10:00:00.000000
        return ReleaseColumn(name, treatment, codes, tuple(str(each).removesuffix(".000000") for each in distinct.to_pylist()), None)
    return ReleaseColumn(name, treatment, codes, tuple(normal(str(each)) for each in distinct.to_pylist()), None)
