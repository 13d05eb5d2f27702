"""Alembic's entry: runs the migrations on the connection that `store.schema.migrate` passes."""

from __future__ import annotations

from alembic import context

from store.schema.tables.all_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
)
context.run_migrations()
