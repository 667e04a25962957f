"""Runs as a list shows them: a few columns, thousands of rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from jupyter_train.events import PARTS
from jupyter_train.exceptions import DamagedError
from jupyter_train.run import RunStatus
from jupyter_train.store.readable_rows import ReadableRows, parse_json, read_row_by_row
from jupyter_train.store.schema import runs
from jupyter_train.store.value_checks import FILE_DAMAGE, is_key, is_name, is_sound, is_time

_IS_SHOWN = runs.c.kind.not_in(PARTS)
_OPEN_STATUSES = [status.value for status in RunStatus if status.is_live or status is RunStatus.QUEUED]


class ReadableStore(Protocol):
    """What of a `Store` lists runs: the engine that reads, and the one that reads a damaged file row by row."""

    reading: sa.Engine
    engine: sa.Engine


class RunIndexEntry(NamedTuple):
    """A run without its options; its JSON columns are parsed when they are read."""

    key: str
    name: str
    code: str
    kind: str
    stored_status: str
    attempt: int
    user: str
    host: str
    pid: int
    folder: str
    notebook: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    heartbeat_at: float | None
    size_bytes: int
    tags_text: str
    summary_text: str

    @property
    def status(self) -> RunStatus:
        """The recorded status; `Store.status_of` checks that its owner lives."""
        return RunStatus(self.stored_status)

    @property
    def summary(self) -> dict[str, Any]:
        """Progress, best and last values."""
        return dict(parse_json(self.summary_text))

    @property
    def has_recorded(self) -> bool:
        """Whether its writer has reported progress, which it does after its first commit of curves."""
        return '"progress"' in self.summary_text

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        return list(parse_json(self.tags_text))


_RENAMED = {"stored_status": "status", "tags_text": "tags", "summary_text": "summary"}
_COLUMNS = [sa.type_coerce(runs.c[_RENAMED[n]], sa.Text) if n in _RENAMED else runs.c[n] for n in RunIndexEntry._fields]

_CREATED_AT = RunIndexEntry._fields.index("created_at")


def _is_identified(row: Sequence[Any]) -> bool:
    """Whether key, name, code, kind and creation time of a row are sound."""
    return is_key(row[0]) and all(map(is_name, row[1:4])) and is_time(row[_CREATED_AT])


def count(store: ReadableStore) -> int:
    """Number of runs, without parts of other runs."""
    with store.reading.connect() as connection:
        query = sa.select(sa.func.count()).select_from(runs).where(_IS_SHOWN)
        return int(connection.execute(query).scalar_one())


def index_entries(
    store: ReadableStore, limit: int, since: float | None = None, has_parts: bool = False
) -> ReadableRows[RunIndexEntry]:
    """The newest runs first; damaged rows are counted.

    Args:
        store: The store.
        limit: Maximum number of runs.
        since: Unix time in seconds: only runs that may have changed after it.
        has_parts: Whether to include parts of other runs, such as trials.
    """
    query = sa.select(*_COLUMNS) if has_parts else sa.select(*_COLUMNS).where(_IS_SHOWN)
    if since is not None:
        changed = (runs.c.created_at > since, runs.c.ended_at > since, runs.c.status.in_(_OPEN_STATUSES))
        query = query.where(sa.or_(*changed))
    elif not has_parts and count(store) > limit:
        query = query.where(
            runs.c.key.in_(sa.select(runs.c.key).where(_IS_SHOWN).order_by(runs.c.created_at.desc()).limit(limit))
        )
    # sorted in Python: the rows nearly are, and SQLite would sort whole rows
    entries: ReadableRows[RunIndexEntry] = ReadableRows()
    try:
        with store.reading.connect() as connection:
            rows: Sequence[Any] = connection.execute(query).cursor.fetchall()  # no column needs SQLAlchemy's conversion
    except (DamagedError, *FILE_DAMAGE):
        salvaged, entries.unreadable = read_row_by_row(store.engine, query)
        rows = [tuple(row.values()) for row in salvaged]
    entries += [RunIndexEntry._make(row) for row in rows if is_sound(RunIndexEntry, row) and _is_identified(row)]
    entries.unreadable += len(rows) - len(entries)
    entries.sort(key=attrgetter("created_at"), reverse=True)
    del entries[limit:]
    return entries
