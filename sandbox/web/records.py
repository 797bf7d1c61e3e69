"""What the auditor reads: entries of the log, with their texts, and what each says in words."""

from collections.abc import Mapping
from typing import Any

from sandbox.domain.errors import Refusal
from sandbox.domain.permissions import Permission
from sandbox.services.context import Context
from sandbox.web.runtime import LogReader

FILTERS = {"sandbox": "refs.sandbox", "agreement": "refs.agreement", "project": "refs.project", "login": "actor"}
MAX_COUNT = 500
SHOWN_BYTES = 64 * 1024  # of one text; the log has the rest


def entries(ctx: Context, log: LogReader, *, start: int, count: int, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of entries as the log gives it; `query` has sandbox, agreement, project, login (empty ones do not filter)."""
    ctx.require(Permission.AUDIT_READ)
    wanted = {FILTERS[name]: value for name, value in query.items() if value}
    return log.entries(max(start, 0), max(1, min(count, MAX_COUNT)), wanted)


def entry(ctx: Context, log: LogReader, index: int) -> dict[str, Any]:
    """Return one entry with its texts; `not_visible` when the log has no such index."""
    ctx.require(Permission.AUDIT_READ)
    found = log.entries(index, 1, {})["entries"] if index >= 0 else []
    if not found or found[0]["index"] != index:
        raise Refusal("not_visible", status=404, what="entry")
    return {**found[0], "texts": texts(log, found[0]["leaf"])}


def texts(log: LogReader, leaf: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the texts of a leaf: `{"name","size","text"｜None,"erased"}`; what is no text is not shown."""
    shown = []
    for blob in leaf.get("blobs", []):
        content = log.blob(blob["digest"])
        text = content[:SHOWN_BYTES].decode("utf-8", "replace") if content is not None else None
        shown.append({"name": blob["name"], "kind": blob.get("kind"), "size": blob["size"], "text": text, "erased": content is None})
    return shown


def head(ctx: Context, log: LogReader) -> dict[str, Any]:
    """Return the log's signed head."""
    ctx.require(Permission.AUDIT_READ)
    return log.head()


def case(ctx: Context, log: LogReader, refs: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Return every entry that names one of `refs` (`{"agreement": [id], "project": [id] …}`), in the order of the log (A17)."""
    ctx.require(Permission.AUDIT_READ)
    found: dict[int, dict[str, Any]] = {}
    for name, values in refs.items():
        for value in values:
            start: int | None = 0
            while start is not None:
                page = log.entries(start, MAX_COUNT, {f"refs.{name}": value})
                found.update({e["index"]: e for e in page["entries"]})
                start = page["next"]
    return [found[index] for index in sorted(found)]
