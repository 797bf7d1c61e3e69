"""The only place with SQLAlchemy: tables, queries, transactions, migrations."""

from sandbox.store.db import Database, open_engine
from sandbox.store.migrate import migrate

__all__ = ["Database", "migrate", "open_engine"]
