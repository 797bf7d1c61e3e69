"""Task `prepare`: a release for one agreement: approved columns and rows, persons' keys replaced by pseudonyms, in an order that tells nothing.

A pseudonym is HMAC-SHA-256 under the agreement's own key, cut to 128 bits, hex: equal within an agreement, unrelated across agreements.
De-identified is not anonymised (regulation A7.2): the manifest says what was done to each column.
"""

import hashlib
import hmac
import platform
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from sandbox import __name__ as product
from sandbox.checks.engine import Paths, connect, literal, name, sha256, write_json
from sandbox.domain.errors import Refusal

TREATMENTS = {
    "kept": {"zh": "原样保留", "en": "kept as it is"},
    "pseudonym": {
        "zh": "已替换为本协议专用的化名（HMAC-SHA-256，128 位），同一人在本协议内一致，跨协议不可关联",
        "en": "replaced by a pseudonym of this agreement (HMAC-SHA-256, 128 bits): the same for one person here, unrelated elsewhere",
    },
}
_RELEASABLE = {"open", "conditional", "personal", "identifier"}
_COMPARE = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def run(paths: Paths) -> dict[str, Any]:
    """Write the release's `data.parquet` and `manifest.json`; return the manifest. Raises Refusal."""
    job = paths.read_job()
    key = paths.read_secret()
    if len(key) < 32:
        raise Refusal("pseudonym_key_missing", field="secret")
    connection = connect(paths)
    source = literal(str(paths.inputs / "source" / "data.parquet"))
    connection.execute(f"CREATE VIEW source AS SELECT * FROM read_parquet({source})")  # noqa: S608 - quoted
    types = {column: kind for column, kind, *_ in connection.execute("DESCRIBE source").fetchall()}
    columns = approved(job["columns"], types)
    where, values = row_filter(job.get("rows") or [], types)
    chosen = ", ".join(name(column["name"]) for column in columns)
    connection.execute(f"CREATE TABLE picked AS SELECT {chosen} FROM source WHERE {where}", values)  # noqa: S608 - quoted, values bound
    for column in columns:
        if column["class"] == "identifier":
            pseudonymise(connection, column["name"], column.get("key") or column["name"], key)
    (rows,) = connection.execute("SELECT count(*) FROM picked").fetchall()[0]
    if not rows:
        raise Refusal("release_empty", field="rows")
    _number_randomly(connection, rows, key)
    data = paths.out / "data.parquet"
    connection.execute(
        f"COPY (SELECT picked.* FROM picked POSITIONAL JOIN numbered ORDER BY numbered.place) TO {literal(str(data))} (FORMAT parquet, COMPRESSION zstd)"  # noqa: S608 - quoted
    )
    manifest = {key: job[key] for key in ("dataset", "version", "agreement", "release", "created") if key in job} | {
        "rows": rows,
        "row_filter": job.get("rows") or [],
        "columns": [_described(column, types) for column in columns],
        "files": [{"name": data.name, "sha256": sha256(data), "size": data.stat().st_size}],
        "tools": {product: "prepare/1", "python": platform.python_version(), "duckdb": duckdb.__version__, "pyarrow": pa.__version__},
    }
    write_json(paths.out / "manifest.json", manifest)
    return manifest


def approved(columns: list[dict[str, Any]], types: dict[str, str]) -> list[dict[str, Any]]:
    """Return the approved columns; refuse one that the version lacks or whose class can never be released (A7.1)."""
    if not columns:
        raise Refusal("release_without_columns", field="columns")
    for column in columns:
        if column["name"] not in types:
            raise Refusal("column_not_in_dataset", field=column["name"], column=column["name"])
        if column["class"] not in _RELEASABLE:
            raise Refusal("column_not_releasable", field=column["name"], column=column["name"])
    return columns


def row_filter(rows: list[dict[str, Any]], types: dict[str, str]) -> tuple[str, list[Any]]:
    """Compile the structured row filter to SQL with parameters; every condition must hold. Never takes SQL."""
    terms, values = [], []
    for row in rows:
        column, op, value = row.get("column"), row.get("op"), row.get("value")
        if column not in types:
            raise Refusal("column_not_in_dataset", field="rows", column=str(column))
        left = name(str(column))
        if op in _COMPARE and isinstance(value, str | int | float):
            terms.append(f"{left} {_COMPARE[op]} ?")
            values.append(value)
        elif op == "between" and isinstance(value, list) and len(value) == 2:
            terms.append(f"{left} BETWEEN ? AND ?")
            values += value
        elif op in {"in", "not_in"} and isinstance(value, list) and value:
            terms.append(f"{left} {'NOT ' if op == 'not_in' else ''}IN ({', '.join('?' * len(value))})")
            values += value
        elif op in {"is_null", "not_null"}:
            terms.append(f"{left} IS {'NOT ' if op == 'not_null' else ''}NULL")
        else:
            raise Refusal("row_filter_invalid", field="rows", column=str(column), op=str(op))
    return " AND ".join(terms) or "true", values


def pseudonym(key: bytes, domain: str, value: str) -> str:
    """Return the pseudonym (32 hex digits) of one value; the domain keeps number 7 of one list apart from number 7 of another."""
    return hmac.digest(key, f"{domain}\0{value}".encode(), hashlib.sha256)[:16].hex()


def pseudonymise(connection: duckdb.DuckDBPyConnection, column: str, domain: str, key: bytes) -> None:
    """Replace the values of a column of `picked`, each distinct key hashed once, nulls left null, row order kept."""
    quoted = name(column)
    distinct = connection.execute(f"SELECT DISTINCT {quoted}::VARCHAR FROM picked WHERE {quoted} IS NOT NULL").fetchall()  # noqa: S608 - quoted
    plain = [value for (value,) in distinct]
    connection.register(
        "names",
        pa.table({"plain": pa.array(plain, pa.string()), "name": pa.array([pseudonym(key, domain, each) for each in plain], pa.string())}),
    )
    connection.execute(
        f"CREATE OR REPLACE TABLE picked AS SELECT picked.* REPLACE (names.name AS {quoted}) "  # noqa: S608 - quoted
        f"FROM picked LEFT JOIN names ON picked.{quoted}::VARCHAR = names.plain"
    )
    connection.unregister("names")


def _number_randomly(connection: duckdb.DuckDBPyConnection, rows: int, key: bytes) -> None:
    """Make table `numbered` with a keyed random place for each row, so that a row's place in the source says nothing."""
    seed = int.from_bytes(hmac.digest(key, b"order", hashlib.sha256))
    connection.register("places", pa.table({"place": np.random.default_rng(seed).permutation(rows)}))
    connection.execute("CREATE TABLE numbered AS SELECT place FROM places")
    connection.unregister("places")


def _described(column: dict[str, Any], types: dict[str, str]) -> dict[str, Any]:
    treatment = "pseudonym" if column["class"] == "identifier" else "kept"
    return {
        "name": column["name"],
        "title": column.get("title", ""),
        "type": "VARCHAR" if treatment == "pseudonym" else types[column["name"]],
        "class": column["class"],
        "treatment": treatment,
        "treatment_text": TREATMENTS[treatment],
    }
