"""Real databases for tests: SQLite files and a PostgreSQL of our own, both migrated once and copied for each test."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from sandbox.domain.ids import new_id
from sandbox.store import migrate


def _server_dir() -> Path:
    for folder in [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/usr/bin")]:
        if (folder / "initdb").exists():
            return folder
    raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")


@contextmanager
def postgres() -> Iterator[str]:
    """Start a PostgreSQL that listens on a UNIX socket only; yield its URL; stop it and remove its files."""
    programs = _server_dir()
    home = Path(tempfile.mkdtemp(prefix="ds-pg-"))
    user = {"user": "postgres"} if os.geteuid() == 0 else {}  # the server refuses to run as root
    if user:
        shutil.chown(home, "postgres")
    data = home / "data"

    def call(*command: str) -> None:
        subprocess.run(command, check=True, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)

    call(str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
    options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off -c full_page_writes=off"
    call(str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(home / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg://postgres@/postgres?host={home}"
    finally:
        call(str(programs / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
        shutil.rmtree(home)


def _admin(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


class Postgres:
    """Databases on one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.template = f"t_{new_id()}"
        self.empty(self.template)
        migrate(self._of(self.template))

    def _of(self, name: str) -> str:
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def empty(self, name: str) -> str:
        """Make a database without tables."""
        _admin(self.url, f"CREATE DATABASE {name}")
        return self._of(name)

    def fresh(self, like: str | None = None) -> str:
        """Make a migrated database; or a copy of the one at `like`, which nobody may be using."""
        name = f"d_{new_id()}"
        _admin(self.url, f"CREATE DATABASE {name} TEMPLATE {make_url(like).database if like else self.template}")
        return self._of(name)


class Sqlite:
    """Databases in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = folder / "template.sqlite"
        migrate(f"sqlite:///{self.template}")

    def empty(self, name: str) -> str:
        """Name a database that does not exist yet."""
        return f"sqlite:///{self.folder / name}.sqlite"

    def fresh(self, like: str | None = None) -> str:
        """Make a migrated database; or a copy of the one at `like`, which nobody may be using."""
        target = self.folder / f"{new_id()}.sqlite"
        shutil.copy(make_url(like).database or "" if like else self.template, target)
        return f"sqlite:///{target}"
