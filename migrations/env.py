"""Alembic's entry point: runs the migrations on the connection that the caller hands in."""

from alembic import context

from data_engine.lineage.tables import metadata

connection = context.config.attributes["connection"]
# SQLite cannot alter most things of a table in place: batch mode copies it.
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
