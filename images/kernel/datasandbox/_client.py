"""What `import datasandbox as ds` offers. DuckDB and pandas are imported at the first query, so a kernel starts fast."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasandbox import _texts
from datasandbox._door import SandboxError, ask, tell
from datasandbox._texts import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb
    import pandas as pd

KEPT_QUERIES = 128
DATA = Path(os.environ.get("DATASANDBOX_DATA", "/data"))
_connection: duckdb.DuckDBPyConnection | None = None
_version: str | None = None  # of the facts that `_known` and `_views` are from; the door says with each permit which it is now
_known: frozenset[str] = frozenset()  # names of datasets
_views: set[str] = set()  # datasets that have their view in `_connection`
_tables: dict[str, frozenset[str]] = {}  # query -> tables it names


class Info(dict[str, Any]):
    """What you may use and how; a dictionary that reads well."""

    def __repr__(self) -> str:
        lines = [f"{self['project']}  ·  {self['person']}"]
        for name, about in self["datasets"].items():
            lines.append(
                f"\n{name}  {about['title']}  [{about['access']}, {about['state']}]  {about['rows']} rows, {about['days_left']} days left"
            )
            lines += [f"    {column['name']:<20} {column['class']:<12} {column['treatment']}" for column in about["columns"]]
        return "\n".join([*lines, "", self["recorded"]])

    def _repr_html_(self) -> str:
        parts = [f"<b>{escape(str(self['project']))}</b> · {escape(str(self['person']))}"]
        for name, about in self["datasets"].items():
            rows = "".join(
                f"<tr><td>{escape(str(c['name']))}</td><td>{escape(str(c['class']))}</td><td>{escape(str(c['treatment']))}</td></tr>"
                for c in about["columns"]
            )
            head = f"{escape(name)} {escape(str(about['title']))} — {about['access']}, {about['state']}, {about['rows']}, {about['days_left']} d"
            parts.append(f"<details open><summary>{head}</summary><table>{rows}</table></details>")
        return "<br>".join([*parts, f"<small>{escape(self['recorded'])}</small>"])


class Report(dict[str, Any]):
    """What the checks say of an export."""

    def __repr__(self) -> str:
        lines = [f"{self.get('export')}: {self.get('state')}"]
        lines += [
            f"  [{finding.get('verdict')}] {finding.get('file')}: {finding.get('message') or finding.get('code')}"
            for finding in self.get("findings", [])
        ]
        return "\n".join(lines if self.get("findings") else [*lines, "  " + say("check_ok")])


def info() -> Info:
    """Which datasets you have, in which mode, what the release did to each column, and how long it lasts."""
    global _version, _known
    facts = ask("info")
    person = facts.get("person") or {}
    _texts.language = person.get("lang") or _texts.language
    now = datetime.fromisoformat(facts["now"])
    datasets = {}
    for item in facts.get("agreements") or []:
        ends = datetime.fromisoformat(item["not_after"])
        datasets[item["dataset"]] = {
            "title": item.get("title"),
            "agreement": item.get("id"),
            "access": item.get("access"),
            "state": item.get("state"),
            "rows": item.get("rows"),
            "columns": item.get("columns", []),
            "not_after": item["not_after"],
            "days_left": max(0, (ends - now).days),
            "path": str(DATA / item["dataset"] / "data.parquet") if item.get("access") == "mounted" else None,
        }
    if facts["facts"] != _version:
        _version, _known = facts["facts"], frozenset(datasets)
        _views.clear()
    return Info(
        project=(facts.get("project") or {}).get("title"),
        person=person.get("name"),
        datasets=datasets,
        queried_not_available=[name for name, about in datasets.items() if about["state"] == "queried_not_available"],
        recorded=say("recorded"),
    )


def sql(query: str) -> pd.DataFrame:
    """Run one SQL statement on your datasets (a table's name is the dataset's) and return a pandas table.

    The query is on record before its data is opened. Tables of your own notebook can be used by their variable's name.
    """
    import duckdb  # noqa: PLC0415 - see above

    connection = _connect()
    names = _names(connection, query)
    if _version is None:
        info()
    asked = names & _known
    permit = ask("query", sql=query, datasets=sorted(asked))
    if permit["facts"] != _version:  # an agreement came, went or changed since we last looked
        info()
        if names & _known != asked:
            permit = ask("query", sql=query, datasets=sorted(names & _known))
    begun = time.monotonic()
    try:
        try:
            table = _run(connection, query, permit["paths"])
        except duckdb.CatalogException:  # an earlier statement may have dropped a view
            _views.clear()
            table = _run(connection, query, permit["paths"])
    except duckdb.Error as error:
        tell("query_done", query=permit["query"], status="error", milliseconds=_since(begun))
        raise SandboxError("sql_failed", say("sql_failed", detail=_detail(error), datasets=", ".join(sorted(_known))), "sql") from None
    tell("query_done", query=permit["query"], status="ok", rows=len(table), columns=len(table.columns), milliseconds=_since(begun))
    return table


def load(name: str, columns: Iterable[str] | None = None, limit: int | None = None) -> pd.DataFrame:
    """Load a dataset, or some columns of it, or its first `limit` rows, as a pandas table."""
    known = info()["datasets"]
    if name not in known:
        raise SandboxError("dataset_missing", say("dataset_missing", dataset=name, known=", ".join(known)), "name")
    chosen = list(columns) if columns is not None else None
    have = [column["name"] for column in known[name]["columns"]]
    missing = [column for column in chosen or [] if column not in have]
    if missing:
        raise SandboxError(
            "column_missing", say("column_missing", dataset=name, columns=", ".join(missing), known=", ".join(have)), "columns"
        )
    wanted = ", ".join(_quoted(column) for column in chosen) if chosen else "*"
    tail = f" LIMIT {int(limit)}" if limit is not None else ""
    return sql(f"SELECT {wanted} FROM {_quoted(name)}{tail}")  # noqa: S608 - quoted above


def check(files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Report:
    """Say beforehand what would keep these files from leaving. Nothing is submitted."""
    return _submit("check", files, "", "")


def export(files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], title: str, context: str) -> Report:
    """Ask for files to be released: checks first, then reviewers. `context` says where the result comes from and what it is for."""
    return _submit("export", files, title, context)


def show_again(cell: int | None = None) -> None:
    """Show output that was withheld because a display budget was used up; `cell` is the number in its brackets, else all of it.

    Nothing is computed again. What still does not fit is said, and can be shown by the same call in another cell.
    """
    said = ask("show_again", parent=_asking(), cell=cell)
    lines = [] if said["shown"] or said["left"] else [say("nothing_withheld")]
    if said["left"]:
        lines.append(say("still_withheld", kilobytes=-(-said["left"] // 1024)))
        if said["code"] != "display_cap" or not said["shown"]:
            lines.append(said["message"])
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _asking() -> str:
    """Name the request whose cell runs now."""
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only inside IPython

    shell = get_ipython()  # type: ignore[no-untyped-call]
    header = shell.get_parent().get("header", {}) if hasattr(shell, "get_parent") else {}
    return str(header.get("msg_id", ""))


def _submit(verb: str, files: Any, title: str, context: str) -> Report:
    paths = [Path(files)] if isinstance(files, str | os.PathLike) else [Path(item) for item in files]
    described = []
    for path in paths:
        if not path.is_file():
            raise SandboxError("file_missing", say("file_missing", name=path), "files")
        data = path.read_bytes()
        described.append({"name": path.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    return Report(ask(verb, send=paths, files=described, title=title, context=context))


def _connect() -> duckdb.DuckDBPyConnection:
    """Make the one in-memory database of this kernel."""
    global _connection  # noqa: PLW0603 - one a kernel
    if _connection is None:
        import duckdb  # noqa: PLC0415 - a third of a second, paid at the first query

        _connection = duckdb.connect(config={"python_scan_all_frames": "true"})
    return _connection


def _run(connection: duckdb.DuckDBPyConnection, query: str, datasets: Iterable[str]) -> pd.DataFrame:
    """Run a query whose datasets were permitted; a view stays for the next one."""
    for name in datasets:
        if name not in _views:
            path = str(DATA / name / "data.parquet").replace("'", "''")
            connection.execute(f"CREATE OR REPLACE TEMP VIEW {_quoted(name)} AS SELECT * FROM read_parquet('{path}')")  # noqa: S608 - names of datasets
            _views.add(name)
    return connection.execute(query).df()


def _names(connection: duckdb.DuckDBPyConnection, query: str) -> frozenset[str]:
    """Return the tables a query names. Remembered, but not beyond a statement that may change what a name stands for (a macro)."""
    import duckdb  # noqa: PLC0415 - see above

    if query not in _tables:
        try:
            names = frozenset(connection.get_table_names(query))
        except duckdb.Error as error:
            raise SandboxError("sql_syntax", say("sql_syntax", detail=_detail(error)), "sql") from None
        if len(_tables) >= KEPT_QUERIES or not query.lstrip().upper().startswith(("SELECT", "WITH", "FROM")):
            _tables.clear()
            _views.clear()
            return names
        _tables[query] = names
    return _tables[query]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _detail(error: Exception) -> str:
    return str(error).strip()


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
