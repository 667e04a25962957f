"""Commands to running fits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "commands",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String(36), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("user", sa.String(120), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("verb", sa.String(32), nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("step", sa.BigInteger),
    )
    op.create_index("ix_commands_run", "commands", ["run", "state"])
