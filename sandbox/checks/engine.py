"""DuckDB with everything but the task's own directories shut, and the paths of a task."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb


@dataclass(frozen=True)
class Paths:
    """Where a task finds its inputs and job and leaves its output (interfaces.md, 5); other places only in tests."""

    inputs: Path = Path("/in")
    job: Path = Path("/job")
    out: Path = Path("/out")

    @property
    def scratch(self) -> Path:
        """A directory for spilling; the task removes it when it ends."""
        return self.out / ".scratch"

    def read_job(self) -> dict[str, Any]:
        """Return the job's description."""
        job: dict[str, Any] = json.loads((self.job / "job.json").read_bytes())
        return job

    def read_secret(self) -> bytes:
        """Return the job's key (bytes)."""
        return (self.job / "secret").read_bytes()


def connect(paths: Paths) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that can touch `paths` only and whose settings no statement can change.

    The order matters: allowed directories can be named only before external access goes off, and the lock comes last.
    """
    paths.scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    directories = ", ".join(literal(str(path)) for path in (paths.inputs, paths.out))
    for statement in (
        f"SET temp_directory = {literal(str(paths.scratch))}",
        "SET threads = 2",
        "SET preserve_insertion_order = true",
        f"SET allowed_directories = [{directories}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    return connection


def literal(text: str) -> str:
    """Return `text` as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """Return `text` as a SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable UTF-8 JSON."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
