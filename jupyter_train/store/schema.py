"""Tables of the central database, as this release knows them."""

from __future__ import annotations

import sqlalchemy as sa

from jupyter_train.store.text_columns import Json, String, Text

#: The newest revision in `migrations/versions`; a test compares the two.
HEAD = "0004"
#: Optuna's tables use Alembic's default name, so ours is another.
VERSION_TABLE = "jupyter_train_version"

metadata = sa.MetaData()

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("key", String(36), primary_key=True),
    sa.Column("name", String(80), nullable=False),
    sa.Column("code", String(16), nullable=False),
    sa.Column("kind", String(16), nullable=False),
    sa.Column("status", String(16), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("parent", String(36)),
    sa.Column("user", String(120), nullable=False),
    sa.Column("host", String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("ended_at", sa.Float),
    sa.Column("heartbeat_at", sa.Float),
    sa.Column("folder", Text, nullable=False),
    sa.Column("notebook", Text, nullable=False),
    sa.Column("note", Text, nullable=False),
    sa.Column("message", Text, nullable=False),
    sa.Column("degraded", Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("tags", Json, nullable=False),
    sa.Column("config", Json, nullable=False),
    sa.Column("summary", Json, nullable=False),
    sa.Column("payload", String(64), nullable=False, server_default=""),
    sa.Index("ix_runs_name", "name"),
    sa.Index("ix_runs_code", "code"),
    sa.Index("ix_runs_parent", "parent"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run", String(36), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("step", sa.BigInteger),
    sa.Column("kind", String(32), nullable=False),
    sa.Column("text", Text, nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Index("ix_events_run", "run", "id"),
)

#: What the user's own store vouches for of a run's folder; see `trust.py`.
anchors = sa.Table(
    "anchors",
    metadata,
    sa.Column("run", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(400), primary_key=True),
    sa.Column("value", sa.String(64), nullable=False),
)

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run", String(36), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("user", String(120), nullable=False),
    sa.Column("source", String(32), nullable=False),
    sa.Column("verb", String(32), nullable=False),
    sa.Column("arguments", Json, nullable=False),
    sa.Column("state", String(16), nullable=False),
    sa.Column("answer", Text, nullable=False),
    sa.Column("step", sa.BigInteger),
    sa.Index("ix_commands_run", "run", "state"),
)
