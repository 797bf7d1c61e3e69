"""Both databases, and a small world of people to act in."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from database_fixtures import database, servers, url  # noqa: E402 - the path comes first
from world import World, world  # noqa: E402

__all__ = ["World", "database", "servers", "url", "world"]
