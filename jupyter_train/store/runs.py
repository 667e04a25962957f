"""The run store: runs and their events in the central database."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from jupyter_train.events import PARTS, EventKind, RunKind
from jupyter_train.exceptions import FencedError, RunNotFoundError, RunStateError, StoreError
from jupyter_train.run import RunRecord, RunStatus, check_transition, code_of, new_key, slug
from jupyter_train.store import database, pending_end, trust
from jupyter_train.store.paths import check_room, host_name, runs_home, store_url, user_name
from jupyter_train.store.records import FIELDS
from jupyter_train.store.records import Event as Event
from jupyter_train.store.redaction import mask, mask_tree
from jupyter_train.store.run_folder import RunFolder, folder_name
from jupyter_train.store.run_queries import RunQueries
from jupyter_train.store.schema import anchors, events, runs


def open_store(url: str = "") -> Store:
    """Opens the store at `url` (default: `JUPYTER_TRAIN_STORE`) and migrates its tables.

    Raises:
        StoreError: It cannot be read, or was written by a newer release.
    """
    store = Store(database.connect(url or store_url()))
    database.bring_up_to_date(store.engine, store.has_live_runs)
    return store


class Store(RunQueries):
    """Reads and writes runs and events. Safe to use from several threads and processes."""

    def create_run(self, name: str, kind: RunKind = RunKind.TRAIN, **fields: object) -> RunRecord:
        """Creates a QUEUED run and its folder; secrets in its fields are masked.

        Args:
            name: Becomes a slug, which a code follows.
            kind: What the run is.
            **fields: Further fields of `RunRecord`.

        Raises:
            StoreError: The folder cannot be created, or the disk is full.
        """
        home = runs_home()
        check_room(home)
        key = new_key()
        record = RunRecord(
            key=key,
            name=slug(mask(name)),
            kind=kind,
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
        self, key: str, new: RunStatus, fence: int | None = None, only_from: RunStatus | None = None, **fields: object
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
        record = self._stored_record(key)
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

    def update(self, key: str, fence: int | None = None, **fields: object) -> None:
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
        event = {"run": key, "at": time.time(), "step": None, "kind": EventKind.TRUSTED, "text": text, "data": {}}
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
                lost = {
                    "step": None,
                    "kind": EventKind.LOST,
                    "data": {"attempt": seen.attempt},
                    "at": now,
                    "run": seen.key,
                }
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
