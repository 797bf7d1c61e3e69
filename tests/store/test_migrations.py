from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from sandbox.store import migrate, open_engine
from sandbox.store.tables import Table


def _checks(engine):
    """Names only: each database writes the conditions its own way."""
    look = inspect(engine)
    return {(table, check["name"]) for table in Table.metadata.tables for check in look.get_check_constraints(table)}


def test_the_migrated_schema_is_the_models(url):
    engine = open_engine(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Table.metadata)
    engine.dispose()
    assert found == []


def test_migrated_and_created_schemas_have_the_same_checks_and_unique_rules(url, servers):
    kind = url.split(":", 1)[0].split("+", 1)[0]
    created = open_engine(servers[kind].empty(f"created_{kind}"))
    Table.metadata.create_all(created)
    migrated = open_engine(url)
    assert _checks(migrated) == _checks(created)
    assert len(_checks(migrated)) > 25
    for table in Table.metadata.tables:
        unique = {index["name"] for index in inspect(migrated).get_indexes(table) if index["unique"]}
        assert unique == {index["name"] for index in inspect(created).get_indexes(table) if index["unique"]}
    created.dispose()
    migrated.dispose()


def test_migrating_twice_changes_nothing(url):
    migrate(url)
    engine = open_engine(url)
    assert set(Table.metadata.tables) < set(inspect(engine).get_table_names())
    engine.dispose()
