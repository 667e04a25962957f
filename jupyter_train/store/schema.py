"""Tables of the central database at the newest schema revision."""

from __future__ import annotations

import sqlalchemy as sa

from jupyter_train.store.text_columns import StorableJson, StorableString, StorableText

#: The newest revision in `migrations/versions`; a test compares the two.
HEAD = "0004"
#: Not Alembic's default name, which Optuna's own tables use.
VERSION_TABLE = "jupyter_train_version"

metadata = sa.MetaData()

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("key", StorableString(36), primary_key=True),
    sa.Column("name", StorableString(80), nullable=False),
    sa.Column("code", StorableString(16), nullable=False),
    sa.Column("kind", StorableString(16), nullable=False),
    sa.Column("status", StorableString(16), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("parent", StorableString(36)),
    sa.Column("user", StorableString(120), nullable=False),
    sa.Column("host", StorableString(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("ended_at", sa.Float),
    sa.Column("heartbeat_at", sa.Float),
    sa.Column("folder", StorableText, nullable=False),
    sa.Column("notebook", StorableText, nullable=False),
    sa.Column("note", StorableText, nullable=False),
    sa.Column("message", StorableText, nullable=False),
    sa.Column("degraded", StorableText, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("tags", StorableJson, nullable=False),
    sa.Column("config", StorableJson, nullable=False),
    sa.Column("summary", StorableJson, nullable=False),
    sa.Column("payload", StorableString(64), nullable=False, server_default=""),
    sa.Index("ix_runs_name", "name"),
    sa.Index("ix_runs_code", "code"),
    sa.Index("ix_runs_parent", "parent"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run", StorableString(36), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("step", sa.BigInteger),
    sa.Column("kind", StorableString(32), nullable=False),
    sa.Column("text", StorableText, nullable=False),
    sa.Column("data", StorableJson, nullable=False),
    sa.Index("ix_events_run", "run", "id"),
)

#: Hashes of files in run folders, by which the store verifies them; see `trust.py`.
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
    sa.Column("run", StorableString(36), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("user", StorableString(120), nullable=False),
    sa.Column("source", StorableString(32), nullable=False),
    sa.Column("verb", StorableString(32), nullable=False),
    sa.Column("arguments", StorableJson, nullable=False),
    sa.Column("state", StorableString(16), nullable=False),
    sa.Column("answer", StorableText, nullable=False),
    sa.Column("step", sa.BigInteger),
    sa.Index("ix_commands_run", "run", "state"),
)
