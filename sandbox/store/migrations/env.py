"""Alembic's entry: works on the connection that `sandbox.store.migrate` hands over."""

from typing import Any, Literal

from alembic import context

from sandbox.store.tables import Instant, Table


def render_item(kind: str, item: Any, _autogen_context: Any) -> str | Literal[False]:
    """Write a migration in SQLAlchemy's own types: it must not change when ours do."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Instant) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    compare_type=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
