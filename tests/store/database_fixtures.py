"""Fixtures of the store and service tests; every test that takes `database` runs on both databases."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from databases import Postgres, Sqlite, postgres

from sandbox.store import Database, open_engine


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Postgres | Sqlite]]:
    """Both kinds, made when first asked for."""
    with ExitStack() as stack:
        yield _Servers(request, tmp_path_factory.mktemp("sqlite"), stack)


class _Servers(dict[str, "Postgres | Sqlite"]):
    def __init__(self, request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> None:
        super().__init__()
        self.request, self.folder, self.stack = request, folder, stack

    def __missing__(self, kind: str) -> "Postgres | Sqlite":
        self[kind] = Sqlite(self.folder) if kind == "sqlite" else Postgres(self._postgres_url())
        return self[kind]

    def _postgres_url(self) -> str:
        try:
            return str(self.request.getfixturevalue("postgres_url"))
        except pytest.FixtureLookupError:
            return self.stack.enter_context(postgres())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, servers: dict[str, Postgres | Sqlite]) -> str:
    """A migrated, empty database."""
    return servers[request.param].fresh()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """The store on a migrated, empty database."""
    engine = open_engine(url)
    yield Database(engine)
    engine.dispose()
