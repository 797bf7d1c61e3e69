"""Bring a database to the newest schema, at the portal's start."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from sandbox.store.db import open_engine

MIGRATIONS = Path(__file__).with_name("migrations")


def config_of(url: str) -> Config:
    """Return Alembic's configuration for `url`, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Run the migrations that are missing; on a database that is up to date nothing happens."""
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            config = config_of(url)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
