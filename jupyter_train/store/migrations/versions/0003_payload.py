"""The hash of what a detached run's process was given, by which another attempt may read it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the column."""
    op.add_column("runs", sa.Column("payload", sa.String(64), nullable=False, server_default=""))
