"""What the store vouches for of each run's folder; of runs recorded before, nothing until they are first used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the table, with an empty identity for every run there is."""
    op.create_table(
        "anchors",
        sa.Column("run", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(400), primary_key=True),
        sa.Column("value", sa.String(64), nullable=False),
    )
    op.execute("INSERT INTO anchors (run, name, value) SELECT key, 'identity', '' FROM runs")
