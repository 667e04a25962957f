"""Reads runs and events from the central database."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from jupyter_train.events import PARTS, EventKind
from jupyter_train.exceptions import AmbiguousRunError, DamagedError, RunNotFoundError, did_you_mean
from jupyter_train.run import RunRecord, RunStatus, slug
from jupyter_train.store import database, pending_end, run_lock
from jupyter_train.store.paths import host_name
from jupyter_train.store.private_files import is_foreign_file, other_writers
from jupyter_train.store.readable_rows import ReadableRows, columns_of, read
from jupyter_train.store.records import Event, event_of, record_of
from jupyter_train.store.schema import anchors, events, runs

if TYPE_CHECKING:
    from jupyter_train.store.run_index import RunIndexEntry

#: A run still QUEUED this long after its process was started, its lock not held, never began.
QUEUED_TIMEOUT_S = 60.0
_RUN = columns_of(runs)


class RunQueries:
    """Finds and lists runs, and says what their status is now."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.reading = database.reading(engine)

    @property
    def url(self) -> str:
        """The URL with which another process opens the same store."""
        return self.engine.url.render_as_string(hide_password=False)

    @property
    def place(self) -> str:
        """The path or name of the database."""
        return str(self.engine.url.database)

    @functools.cached_property
    def is_foreign(self) -> bool:
        """Whether the database is a file of another user's, whose rows prove nothing."""
        return self.engine.url.get_backend_name() == "sqlite" and is_foreign_file(Path(self.place))

    @property
    def other_writers(self) -> str:
        """`its group` or `everybody` where they could write to the database's file; else empty."""
        if self.engine.url.get_backend_name() != "sqlite" or not os.path.exists(self.place):
            return ""
        return other_writers(Path(self.place))

    def in_folder(self, folder: Path) -> RunRecord | None:
        """The run with this folder; None where the store has none."""
        query = sa.select(*_RUN).where(runs.c.folder == str(folder))
        with self.reading.connect() as connection:
            row = connection.execute(query).mappings().first()
        return _record_of(dict(row)) if row is not None else None

    def has_other_runs_in(self, home: Path, key: str) -> bool:
        """Whether a folder holds other runs than this one."""
        query = sa.select(runs.c.key).where(
            runs.c.folder.startswith(f"{home}{os.sep}", autoescape=True), runs.c.key != key
        )
        with self.reading.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def anchors_of(self, key: str) -> dict[str, str]:
        """The recorded hashes of a run's folder by name; see `trust.py`."""
        query = sa.select(anchors.c.name, anchors.c.value).where(anchors.c.run == key)
        with self.reading.connect() as connection:
            return {name: value for name, value in connection.execute(query)}

    def get(self, key: str) -> RunRecord:
        """The run with this key.

        Raises:
            RunNotFoundError: The store has none.
            DamagedError: Its row is damaged.
        """
        record = self._stored_record(key)
        if record is None:
            raise RunNotFoundError(f"the store has no run `{key}`")
        return pending_end.with_pending_end(record)

    def _stored_record(self, key: str) -> RunRecord | None:
        """The run as its row has it, without its pending end."""
        with self.reading.connect() as connection:
            row = connection.execute(sa.select(*_RUN).where(runs.c.key == key)).mappings().first()
        return record_of(dict(row)) if row is not None else None

    def find(self, word: str) -> RunRecord:
        """The run with this short name (`digits-k3f9`), code, name or key; a trial by `digits-k3f9/17`.

        Raises:
            RunNotFoundError: No run matches.
            AmbiguousRunError: Several runs match.
        """
        word = word.strip()
        study, slash, number = word.rpartition("/")
        if slash:
            return self._trial_of(self.find(study), number)
        name, _, code = word.rpartition("-")
        is_ref = sa.and_(runs.c.name == name, runs.c.code == code)
        condition = sa.or_(runs.c.key == word, runs.c.code == word, runs.c.name == slug(word), is_ref)
        matches = read(self.reading, sa.select(*_RUN).where(condition).order_by(runs.c.created_at), _record_of)
        if not matches and matches.unreadable:
            raise DamagedError(f"`{word}`: {matches.message}")
        exact = [record for record in matches if word in (record.key, record.ref)]
        parents = [record for record in matches if record.kind not in PARTS]  # a trial has its study's name
        candidates = exact or parents or list(matches)
        if not candidates:
            refs = [record.ref for record in self.list_runs(limit=500)]
            raise RunNotFoundError(f"no run is called `{word}`.{did_you_mean(word, refs)} `%runs` lists them")
        if len(candidates) > 1:
            names = ", ".join(f"`{record.ref}`" for record in candidates[-8:])
            raise AmbiguousRunError(f"`{word}` could be any of {len(candidates)} runs; say which: {names}")
        return candidates[0]

    def _trial_of(self, study: RunRecord, number: str) -> RunRecord:
        for record in self.list_runs(limit=100_000, parent=study.key):
            if str(record.config.get("trial")) == number:  # the newest, where the trial began twice
                return record
        raise RunNotFoundError(f"`{study.ref}` has no trial `{number}`")

    def list_runs(
        self, limit: int = 100, kind: str | None = None, parent: str | None = None, has_parts: bool = False
    ) -> ReadableRows[RunRecord]:
        """The newest runs first; damaged rows are left out and counted.

        Args:
            limit: Maximum number of runs.
            kind: Only runs of this kind.
            parent: Only runs that this one started.
            has_parts: Whether to include parts of other runs, such as the trials of a search.
        """
        query = sa.select(*_RUN).order_by(runs.c.created_at.desc()).limit(limit)
        if kind is not None:
            query = query.where(runs.c.kind == kind)
        if parent is not None:
            query = query.where(runs.c.parent == parent)
        if kind is None and parent is None and not has_parts:
            query = query.where(runs.c.kind.not_in(PARTS))
        records = read(self.reading, query, _record_of)
        records.sort(
            key=lambda record: record.created_at, reverse=True
        )  # rows of a damaged file come in order of row id
        del records[limit:]
        return records

    def events_of(self, key: str) -> list[Event]:
        """All events of a run, oldest first; where some are damaged, a last event says how many."""
        query = sa.select(*columns_of(events)).where(events.c.run == key).order_by(events.c.id)
        found_events = read(self.reading, query, event_of)
        if found_events.unreadable:
            text = f"{found_events.unreadable} events of this run are damaged, and not shown"
            found_events.append(Event(found_events[-1].at if found_events else 0.0, None, EventKind.WARNING, text, {}))
        return found_events

    def status_of(self, record: RunRecord | RunIndexEntry) -> RunStatus:
        """The present status: LOST where the owner of a live run is dead.

        A QUEUED run has a minute to begin while the process that starts its owner lives. The lock of a run on another
        host cannot be checked: its recorded status is returned.
        """
        lock = Path(record.folder, "owner.lock")
        if record.status.is_live and (end := pending_end.find(lock, record.attempt)) is not None:
            return end.status
        is_late = record.status is RunStatus.QUEUED and _is_late(record)
        if not (record.status.is_live or is_late) or record.host != host_name():
            return record.status
        return record.status if run_lock.is_held(lock) else RunStatus.LOST

    def has_live_runs(self) -> bool:
        """True while any run's owner is alive."""
        live = [status.value for status in RunStatus if status.is_live]
        query = sa.select(runs.c.folder).where(runs.c.status.in_(live))
        with self.reading.connect() as connection:
            folders = connection.execute(query).scalars().all()
        sound = [folder for folder in folders if isinstance(folder, str) and "\0" not in folder]
        return any(run_lock.is_held(Path(folder, "owner.lock")) for folder in sound)


def _record_of(row: Mapping[str, Any]) -> RunRecord:
    """The run of a row, with its pending end.

    Raises:
        DamagedError: The row is damaged.
    """
    return pending_end.with_pending_end(record_of(row))


def _is_late(record: RunRecord | RunIndexEntry) -> bool:
    """Whether a QUEUED run whose lock is free will not begin any more."""
    queued_since = max(record.created_at, record.heartbeat_at or 0.0)
    return time.time() - queued_since > QUEUED_TIMEOUT_S or not run_lock.is_alive(record.pid)
