"""The run store: runs and their events in the central database."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from jupyter_train.exceptions import (
    AmbiguousRunError,
    DamagedError,
    FencedError,
    RunNotFoundError,
    RunStateError,
    StoreError,
    did_you_mean,
)
from jupyter_train.run import PARTS, RunRecord, RunStatus, check_transition, code_of, new_key, slug
from jupyter_train.store import database, pending_end, run_lock, trust
from jupyter_train.store.paths import check_room, host_name, runs_home, store_url, user_name
from jupyter_train.store.private_files import is_foreign_file, other_writers
from jupyter_train.store.readable_rows import ReadableRows, columns_of, read
from jupyter_train.store.records import FIELDS, event_of, record_of
from jupyter_train.store.records import Event as Event
from jupyter_train.store.redaction import mask, mask_tree
from jupyter_train.store.run_folder import RunFolder, folder_name
from jupyter_train.store.schema import anchors, events, runs

if TYPE_CHECKING:
    from jupyter_train.store.run_index import RunIndexEntry

#: A run still QUEUED this long after its process was started, its lock not held, never began.
QUEUED_TIMEOUT_S = 60.0
_RUN = columns_of(runs)


def open_store(url: str = "") -> Store:
    """Opens the store at `url` (default: `JUPYTER_TRAIN_STORE`) and migrates its tables.

    Raises:
        StoreError: It cannot be read, or was written by a newer release.
    """
    store = Store(database.connect(url or store_url()))
    database.bring_up_to_date(store.engine, store.has_live_runs)
    return store


class Store:
    """Reads and writes runs and events. Safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.reading = database.reading(engine)

    @property
    def url(self) -> str:
        """The URL with which another process opens the same store."""
        return self.engine.url.render_as_string(hide_password=False)

    def create_run(self, name: str, **fields: Any) -> RunRecord:
        """Creates a QUEUED run and its folder; secrets in its fields are masked.

        Raises:
            StoreError: The folder cannot be created, or the disk is full.
        """
        home = runs_home()
        check_room(home)
        key = new_key()
        record = RunRecord(
            key=key,
            name=slug(mask(name)),
            code="",
            user=user_name(),
            host=host_name(),
            pid=os.getpid(),
            created_at=time.time(),
            **{field: mask_tree(value) for field, value in fields.items()},
        )
        record.code = self._free_code(record.name, key)
        folder = RunFolder.create(home, folder_name(record.name, record.code, key))
        record.folder = str(folder.path)
        rows = _anchor_rows(key, trust.create_identity(folder))
        with self.engine.begin() as connection:
            connection.execute(runs.insert().values(**_row_of(record)))
            connection.execute(anchors.insert(), rows)
        return record

    def insert_run(self, record: RunRecord) -> RunRecord:
        """Inserts a run whose folder exists already; secrets in its row are masked."""
        masked = {field: mask_tree(getattr(record, field)) for field in ("note", "tags", "config", "summary")}
        record = dataclasses.replace(record, code=self._free_code(record.name, record.key), **masked)
        with self.engine.begin() as connection:
            connection.execute(runs.insert().values(**_row_of(record)))
        return record

    def _free_code(self, name: str, key: str) -> str:
        with self.engine.begin() as connection:
            for length in range(4, 13):
                code = code_of(key, length)
                query = sa.select(runs.c.key).where(runs.c.name == name, runs.c.code == code)
                if connection.execute(query).first() is None:
                    return code
        return key

    def set_status(
        self, key: str, new: RunStatus, fence: int | None = None, only_from: RunStatus | None = None, **fields: Any
    ) -> None:
        """Changes a run's status and other fields in one transaction.

        Args:
            key: The run.
            new: Its new status.
            fence: The attempt that writes; None where no process owns the run.
            only_from: The status that the caller expects; None for any with a transition to the new one.
            fields: Other fields of its row; secrets are masked.

        Raises:
            RunStateError: `TRANSITIONS` does not allow it, or the status is not the expected one.
            FencedError: A later attempt has begun.
            RunNotFoundError: The store has no such run.
        """
        values = {field: mask_tree(value) for field, value in fields.items()}
        with self.engine.begin() as connection:
            _check_fence(connection, key, fence)
            row = connection.execute(sa.select(runs.c.status).where(runs.c.key == key)).first()
            if row is None:
                raise RunNotFoundError(f"the store has no run `{key}`")
            check_transition(RunStatus(row[0]), new)
            if only_from is not None and RunStatus(row[0]) is not only_from:
                raise RunStateError(f"the run was {RunStatus(row[0])} before it began")
            values["status"] = new.value
            connection.execute(runs.update().where(runs.c.key == key).values(**values))

    def end_run(self, record: RunRecord, status: RunStatus, attempt: int, message: str, **fields: Any) -> None:
        """Ends a run that has no writer; where the store does not accept it, the end is kept in the run's lock file.

        Raises:
            RunStateError: The run had ended already.
        """
        now = time.time()
        try:
            self.set_status(record.key, status, attempt, ended_at=now, message=message, **fields)
        except StoreError as err:
            problem = f"{err}; how it ended is kept in its folder until the store accepts it"
            end = pending_end.AttemptEnd(attempt, status, now, mask(message), problem)
            pending_end.save_pending(RunFolder(record.folder).lock, end)

    def settle(self, key: str) -> bool:
        """Writes a run's pending end to its row; False where there is none.

        Raises:
            StoreError: It still cannot be written.
        """
        with self.reading.connect() as connection:
            row = connection.execute(sa.select(*_RUN).where(runs.c.key == key)).mappings().first()
        record = record_of(dict(row)) if row is not None else None
        if record is None or not record.status.is_live:
            return False
        end = pending_end.find(RunFolder(record.folder).lock, record.attempt)
        if end is None:
            return False
        summary = record.summary | end.summary
        self.set_status(
            key, end.status, end.attempt, ended_at=end.ended_at, message=end.message, summary=summary, degraded=""
        )
        return True

    def update(self, key: str, fence: int | None = None, **fields: Any) -> None:
        """Sets fields of a run's row; secrets are masked.

        Raises:
            FencedError: A later attempt than `fence` has begun.
        """
        values = {field: mask_tree(value) for field, value in fields.items()}
        with self.engine.begin() as connection:
            _check_fence(connection, key, fence)
            connection.execute(runs.update().where(runs.c.key == key).values(**values))

    def add_events(self, key: str, new: Iterable[Event], fence: int | None = None) -> None:
        """Appends events to a run.

        Raises:
            FencedError: A later attempt than `fence` has begun.
        """
        rows = [
            {
                "run": key,
                "at": e.at,
                "step": e.step,
                "kind": e.kind,
                "text": mask(e.text),
                "data": mask_tree(e.data),
            }
            for e in new
        ]
        if rows:
            with self.engine.begin() as connection:
                _check_fence(connection, key, fence)
                connection.execute(events.insert(), rows)

    def anchor(self, key: str, new: Mapping[str, str], gone: Iterable[str] = (), fence: int | None = None) -> None:
        """Records hashes of files in a run's folder; see `trust.py`.

        Args:
            key: The run.
            new: SHA-256 by path in the folder.
            gone: Paths of deleted files.
            fence: The attempt that writes.

        Raises:
            FencedError: A later attempt has begun.
        """
        names = [*gone, *new]
        with self.engine.begin() as connection:
            _check_fence(connection, key, fence)
            connection.execute(anchors.delete().where(anchors.c.run == key, anchors.c.name.in_(names)))
            if new:
                connection.execute(anchors.insert(), _anchor_rows(key, new))

    def adopt(self, key: str, hashes: Mapping[str, str], text: str) -> None:
        """Replaces all hashes of a run's folder and adds a `trusted` event."""
        event = {"run": key, "at": time.time(), "step": None, "kind": "trusted", "text": text, "data": {}}
        with self.engine.begin() as connection:
            connection.execute(anchors.delete().where(anchors.c.run == key))
            connection.execute(anchors.insert(), _anchor_rows(key, hashes))
            connection.execute(events.insert(), [event])

    def begin_attempt(self, seen: RunRecord) -> RunRecord:
        """Begins the next attempt of a run, RUNNING, with this process as its owner; earlier attempts are fenced.

        The caller holds the run's lock.

        Args:
            seen: The run as it was when the caller found it without an owner.

        Raises:
            RunStateError: It has another owner by now, or has just finished.
        """
        attempt = seen.attempt + 1
        with self.engine.begin() as connection:
            row = connection.execute(sa.select(runs.c.status, runs.c.attempt).where(runs.c.key == seen.key)).first()
            if row is None or row.attempt != seen.attempt:
                raise RunStateError(f"`{seen.ref}` has been taken over by another process in the meantime")
            status = RunStatus(row.status)  # its owner may just have written how it ended
            if status is RunStatus.FINISHED and seen.status.is_live:
                raise RunStateError(f"`{seen.ref}` has just finished")
            now = time.time()
            if status.is_live:
                lost = {"step": None, "kind": "lost", "data": {"attempt": seen.attempt}, "at": now, "run": seen.key}
                lost["text"] = f"attempt {seen.attempt} was lost: its process is gone, or no longer answers"
                connection.execute(events.insert(), [lost])
            else:
                check_transition(status, RunStatus.RUNNING)
            values = {
                "status": RunStatus.RUNNING.value,
                "attempt": attempt,
                "host": host_name(),
                "pid": os.getpid(),
                "started_at": now,
                "heartbeat_at": now,
                "ended_at": None,
                "message": "",
                "degraded": "",
                "summary": {name: value for name, value in seen.summary.items() if name != "elapsed_s"},
            }
            connection.execute(runs.update().where(runs.c.key == seen.key).values(**values))
        return self.get(seen.key)

    def delete_run(self, key: str) -> list[str]:
        """Deletes a run's row, events and folder, and its parts; returns messages about folders that were left.

        A folder that is not the one the run was recorded in stays as it is.

        Raises:
            RunStateError: The run is alive, or belongs to another user.
        """
        record = self.get(key)
        self.check_owner(record)
        if self.status_of(record).is_live:
            raise RunStateError(f"`{record.ref}` is {record.status}; stop it before you delete it")
        parts = [part for part in self.list_runs(limit=1_000_000, parent=key) if part.kind in PARTS]
        left = [message for part in parts for message in self.delete_run(part.key)]
        with trust.deleting(self, record) as left_because, self.engine.begin() as connection:
            for table, column in ((events, events.c.run), (anchors, anchors.c.run), (runs, runs.c.key)):
                connection.execute(table.delete().where(column == key))
        return [*left, left_because] if left_because else left

    def check_owner(self, record: RunRecord) -> None:
        """Raises unless the run is this user's.

        Raises:
            RunStateError: It is another user's.
        """
        if record.user != user_name():
            raise RunStateError(f"`{record.ref}` belongs to {record.user}; only they can change it")

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
        with self.reading.connect() as connection:
            row = connection.execute(sa.select(*_RUN).where(runs.c.key == key)).mappings().first()
        if row is None:
            raise RunNotFoundError(f"the store has no run `{key}`")
        return _record_of(dict(row))

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
            raise DamagedError(f"`{word}`: {matches.words}")
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
            found_events.append(Event(found_events[-1].at if found_events else 0.0, None, "warning", text, {}))
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


def _row_of(record: RunRecord) -> dict[str, Any]:
    row = {field: getattr(record, field) for field in FIELDS}
    row["status"] = record.status.value
    return row


def _anchor_rows(key: str, hashes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"run": key, "name": name, "value": value} for name, value in hashes.items()]


def _check_fence(connection: sa.Connection, key: str, fence: int | None) -> None:
    if fence is None:
        return
    row = connection.execute(sa.select(runs.c.attempt).where(runs.c.key == key)).first()
    if row is not None and row.attempt > fence:
        raise FencedError(f"attempt {row.attempt} of this run has begun elsewhere; attempt {fence} records no more")
