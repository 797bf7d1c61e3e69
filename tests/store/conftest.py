"""Both databases for every test here."""

from database_fixtures import database, servers, url

__all__ = ["database", "servers", "url"]
