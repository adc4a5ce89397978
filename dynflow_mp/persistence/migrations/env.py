"""Alembic's entry: runs the revisions on the connection it is handed, inside that connection's transaction."""

from __future__ import annotations

from alembic import context

from dynflow_mp.persistence.tables import metadata, schema_version

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=schema_version.name,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
