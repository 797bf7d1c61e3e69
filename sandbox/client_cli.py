"""`sandbox run`: a file as one cell in a person's sandbox, through the real interfaces."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import click

from sandbox.client import ApiError, run_file

DEFAULT_URL = "http://sandbox.localhost:8000"


def home() -> Path:
    """Return the directory of state: `DATASANDBOX_HOME`, or `var` here."""
    return Path(os.environ.get("DATASANDBOX_HOME", "var"))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, or an empty one when there is no such file."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return found


def password_of(login: str) -> str:
    """Return the demonstration account's password; ClickException naming the known ones otherwise."""
    path = home() / "demo" / "accounts.json"
    found = read_json(path)
    accounts = found.get("accounts", found)
    if login not in accounts:
        known = ", ".join(sorted(accounts)) or "none yet: run `make demo`"
        raise click.ClickException(f"{path} has no account {login!r}; known: {known}")
    account = accounts[login]
    return str(account["password"] if isinstance(account, dict) else account)


@click.command("run")
@click.option("--user", required=True, help="Login of a demonstration account.")
@click.option("--project", default=None, help="Project id; without it the one with a running sandbox, else the newest.")
@click.option("--url", default=None, help="Address of the deployment.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def run(user: str, project: str | None, url: str | None, file: Path) -> None:
    """Run FILE as one cell in USER's sandbox, opened if needed; exit 1 when it fails."""
    address = url or os.environ.get("DATASANDBOX_URL") or read_json(home() / "deployment.json").get("url") or DEFAULT_URL

    def show(text: str, end: str = "") -> None:
        click.echo(text + end, nl=False)
        sys.stdout.flush()

    try:
        ok = asyncio.run(run_file(address, user, password_of(user), file.read_text(), project=project, show=show))
    except ApiError as error:
        raise click.ClickException(str(error)) from error
    except aiohttp.ClientError as error:
        raise click.ClickException(f"unreachable: {error}") from error
    sys.exit(0 if ok else 1)
