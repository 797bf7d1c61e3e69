"""Engine and transactions for SQLite (one node, embedded) and PostgreSQL; both pass the same tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sandbox.domain.errors import Refusal

BUSY_SECONDS = 10


def open_engine(url: str) -> Engine:
    """Return an engine for `sqlite:////…` or `postgresql+psycopg://…`.

    SQLite: write-ahead log, foreign keys, a wait for the one writer, and BEGIN IMMEDIATE, because a transaction that reads first and
    writes later would fail instead of waiting. synchronous=FULL: what is committed survives a power cut.
    """
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver starts no transaction by itself; `_begin` does
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", f"busy_timeout={BUSY_SECONDS * 1000}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        how = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {how}")

    return engine


class Database:
    """The portal's database: `with db.writing() as s` commits once at the end, `with db.reading() as s` never."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: committed if the block ends well, rolled back if it raises."""
        with Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that is rolled back at its end and, on SQLite, waits for no writer."""
        with Session(self.engine.execution_options(sqlite_begin="DEFERRED"), autoflush=False) as session:
            try:
                yield session
            finally:
                session.rollback()


@contextmanager
def unique_or(session: Session, code: str, *, field: str | None = None, **params: Any) -> Iterator[None]:
    """Turn a broken constraint in the block into `Refusal(code)` (409): the database has the last word when two ask at once."""
    try:
        yield
        session.flush()
    except IntegrityError as error:
        raise Refusal(code, field=field, status=409, **params) from error
