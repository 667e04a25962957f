"""Runs as a list shows them: the few columns it needs, thousands of rows at a time."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from jupyter_train.run import PARTS, RunStatus
from jupyter_train.store.schema import runs

if TYPE_CHECKING:
    from jupyter_train.store.central import Store

_IS_SHOWN = runs.c.kind.not_in(PARTS)
_UNDECIDED = [status.value for status in RunStatus if status.is_live or status is RunStatus.QUEUED]


class Outline(NamedTuple):
    """A run without its options; what is kept as JSON is read when asked for."""

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
        """As recorded; `Store.status_of` says whether that can be believed."""
        return RunStatus(self.stored_status)

    @property
    def summary(self) -> dict[str, Any]:
        """Progress, best and last values."""
        return dict(json.loads(self.summary_text))

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        return list(json.loads(self.tags_text))


_RENAMED = {"stored_status": "status", "tags_text": "tags", "summary_text": "summary"}
_COLUMNS = [sa.type_coerce(runs.c[_RENAMED[n]], sa.Text) if n in _RENAMED else runs.c[n] for n in Outline._fields]


def count(store: Store) -> int:
    """How many runs there are, parts of others left out."""
    with store.reading.connect() as connection:
        query = sa.select(sa.func.count()).select_from(runs).where(_IS_SHOWN)
        return int(connection.execute(query).scalar_one())


def outlines(store: Store, limit: int, since: float | None = None) -> list[Outline]:
    """The newest runs first, parts of others left out.

    Args:
        store: Where they are recorded.
        limit: At most so many.
        since: Unix time in seconds: only runs that may have changed after it.
    """
    query = sa.select(*_COLUMNS).where(_IS_SHOWN)
    if since is not None:
        changed = (runs.c.created_at > since, runs.c.ended_at > since, runs.c.status.in_(_UNDECIDED))
        query = query.where(sa.or_(*changed))
    elif count(store) > limit:
        query = query.where(
            runs.c.key.in_(sa.select(runs.c.key).where(_IS_SHOWN).order_by(runs.c.created_at.desc()).limit(limit))
        )
    # sorted here: they nearly are, and a database would carry whole rows through its sorter
    with store.reading.connect() as connection:
        rows = connection.execute(query).cursor.fetchall()  # plain columns: nothing for SQLAlchemy to convert
        found = [*map(Outline._make, rows)]
    return sorted(found, key=attrgetter("created_at"), reverse=True)[:limit]
