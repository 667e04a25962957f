"""Alembic's environment: runs the migrations on the connection it is given."""

from __future__ import annotations

from alembic import context

from jupyter_train.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
