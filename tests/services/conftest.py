"""Both databases, and a small world of people to act in."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from database_fixtures import database, servers, url
from world import World, world, worlds

__all__ = ["World", "database", "servers", "url", "world", "worlds"]
