"""The `audit` command. Exit code 0: done or whole; 1: not; 2: wrong usage."""

import fcntl
import json
import logging
import os
import socket
import sys
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from aiohttp import web

from audit.blobs import Blobs
from audit.checkpoint import Signer, Verifier
from audit.errors import Damaged, Unhealthy
from audit.verify import verify as verify_directory
from audit.wal import Entry, Scan
from audit.writer import LOCK_NAME, VKEY_NAME, WAL_NAME, Log, mapped

_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def main() -> None:
    """The audit log, alone: make its key, serve it, verify it, read it."""


@main.command()
@click.option("--dir", "directory", type=_DIRECTORY, required=True, help="The log's directory; nobody else writes there.")
@click.option("--secrets", type=_DIRECTORY, required=True, help="log.key, launch.pub and accepts/<holder>.sha256.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8020, show_default=True)
def serve(directory: Path, secrets: Path, host: str, port: int) -> None:
    """Recover the log and take appends until SIGTERM."""
    from audit.server import Callers, Service  # noqa: PLC0415 - verify and show need no server

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.umask(0o027)
    try:
        signer = Signer.parse((secrets / "log.key").read_text())
        callers = Callers.load(secrets)
        log = Log(directory, signer, lambda: datetime.now(UTC))
    except (Damaged, Unhealthy, OSError, ValueError, TypeError) as error:
        _fail(f"the log does not start: {error}")
    try:
        # A socket of our own, so that the line that says "listening" is true, and port 0 can be known.
        with socket.create_server((host, port), backlog=256) as listener:
            logging.getLogger("audit").info("log of %d entries, listening on http://%s:%d", log.size, *listener.getsockname()[:2])
            web.run_app(Service(log, callers).app(), sock=listener, access_log=None, print=lambda *_: None, shutdown_timeout=2)
    except OSError as error:
        _fail(f"cannot listen on {host}:{port}: {error}")
    finally:
        log.close()


@main.command()
@click.option("--key", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Private key, made 0600.")
@click.option("--vkey", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Public key as a C2SP vkey.")
@click.option("--name", required=True, help="The log's name, its origin in every checkpoint: one word.")
def keygen(key: Path, vkey: Path, name: str) -> None:
    """Make the log's key. Never writes over one."""
    try:
        signer = Signer.generate(name)
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(signer.text + "\n")
        with vkey.open("x") as file:
            file.write(signer.verifier.vkey + "\n")
    except FileExistsError as error:
        _fail(f"{error.filename} exists: a log keeps its key for life")
    except (OSError, ValueError) as error:
        _fail(str(error))
    click.echo(signer.verifier.vkey)


@main.command()
@click.argument("directory", type=_DIRECTORY)
@click.option("--vkey", type=_FILE, help="Public key from a place you trust; without it, the one in the directory.")
@click.option("--at-least", type=_FILE, help="A checkpoint kept elsewhere: the log must contain it.")
def verify(directory: Path, vkey: Path | None, at_least: Path | None) -> None:
    """Prove the log whole, or say which entry is not."""
    try:
        verifier = Verifier.parse((vkey or directory / VKEY_NAME).read_text())
        head = verifier.open(at_least.read_bytes()) if at_least else None
        report = verify_directory(directory, verifier, at_least=head, live=_writer_runs(directory))
    except (Damaged, OSError, ValueError) as error:
        _fail(str(error))
    for index, digest in report.erased:
        click.echo(f"entry {index}: blob {digest} was erased on record")
    if report.unsigned:
        click.echo(report.unsigned)
    if vkey is None:
        click.echo("the public key is the directory's own: who could change the log could change it too; give --vkey")
    for problem in report.problems:
        click.echo(f"{problem.code}: {inert(problem.text)}", err=True)
    if not report.ok:
        _fail("the log is NOT whole")
    click.echo(f"whole: {report.size} entries, {report.heads} signed heads, {report.blobs} blobs, root {report.root.hex()}")


@main.command()
@click.argument("directory", type=_DIRECTORY)
@click.option("--index", type=click.IntRange(0), help="Only this entry, with its texts.")
@click.option("--vkey", type=_FILE, help="Public key from a place you trust.")
def show(directory: Path, index: int | None, vkey: Path | None) -> None:
    """Print entries, one JSON line each. What was recorded is shown inert: control characters are escaped."""
    found = False
    try:
        verifier = Verifier.parse((vkey or directory / VKEY_NAME).read_text())
        with mapped(directory / WAL_NAME) as content:
            for batch in Scan(content, verifier, every_signature=False).batches():
                for entry in batch.entries:
                    if index in {None, entry.index}:
                        found = True
                        _show(entry, Blobs(directory / "blobs"), texts=index is not None)
    except (Damaged, OSError, ValueError) as error:
        _fail(str(error))
    if index is not None and not found:
        _fail(f"there is no entry {index}")


def inert(text: str) -> str:
    r"""Escape what a terminal or a reader's eye could mistake: controls, escapes, line separators, direction marks; as JSON's \uXXXX."""
    return "".join(
        _escaped(character) if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} else character
        for character in text
    )


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if ord(character) != 0x7F else "\\u007f"


def _show(entry: Entry, blobs: Blobs, *, texts: bool) -> None:
    click.echo(inert(json.dumps({"index": entry.index, "leaf": json.loads(entry.payload)}, ensure_ascii=False)))
    if not texts:
        return
    for ref in json.loads(entry.payload)["blobs"]:
        content = blobs.get(ref["digest"])
        click.echo(f"--- {inert(ref['name'])} ({inert(ref['kind'])}, {ref['size']} bytes)")
        for line in _lines(content):
            click.echo(f"  | {inert(line)}")


def _lines(content: bytes | None) -> list[str]:
    if content is None:
        return ["(not there: erased, or lost; audit verify tells which)"]
    try:
        return content.decode().split("\n")
    except UnicodeDecodeError:
        return [f"(not text: {len(content)} bytes)"]


def _writer_runs(directory: Path) -> bool:
    """Whether a writer holds the directory's lock now."""
    try:
        with (directory / LOCK_NAME).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _fail(message: str) -> Any:
    click.echo(inert(message), err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
