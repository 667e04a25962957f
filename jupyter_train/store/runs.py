"""The central database as the package uses it: runs and their events, at a low rate."""

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
from jupyter_train.store.private_files import is_foreign_file, who_else_writes
from jupyter_train.store.readable_rows import ReadableRows, columns_of, read
from jupyter_train.store.records import FIELDS, event_of, record_of
from jupyter_train.store.records import Event as Event
from jupyter_train.store.redaction import mask, mask_tree
from jupyter_train.store.run_folder import RunFolder, folder_name
from jupyter_train.store.schema import anchors, events, runs

if TYPE_CHECKING:
    from jupyter_train.store.run_index import RunIndexEntry

#: A run still QUEUED this long after its process was started, with nobody holding its lock, never began.
QUEUED_TIMEOUT_S = 60.0
_RUN = columns_of(runs)


def open_store(url: str = "") -> Store:
    """The store at `url` (default: where `JUPYTER_TRAIN_STORE` says), its tables up to date.

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
        """What another process opens to see the same store."""
        return self.engine.url.render_as_string(hide_password=False)

    def create_run(self, name: str, **fields: Any) -> RunRecord:
        """A new QUEUED run with its folder; secrets in its fields are masked.

        Raises:
            StoreError: The folder cannot be made, or there is no room.
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
        rows = _anchor_rows(key, trust.mark(folder))
        with self.engine.begin() as connection:
            connection.execute(runs.insert().values(**_row_of(record)))
            connection.execute(anchors.insert(), rows)
        return record

    def insert_run(self, record: RunRecord) -> RunRecord:
        """A run whose folder is there already; secrets in its row are masked."""
        masked = {field: mask_tree(getattr(record, field)) for field in ("note", "tags", "config", "summary")}
        record = dataclasses.replace(record, code=self._free_code(record.name, record.key), **masked)
        with self.engine.begin() as connection:
            connection.execute(runs.insert().values(**_row_of(record)))
        return record

    def _free_code(self, name: str, key: str) -> str:
        with self.engine.begin() as connection:
            for length in range(4, 13):
                code = code_of(key, length)
                taken = sa.select(runs.c.key).where(runs.c.name == name, runs.c.code == code)
                if connection.execute(taken).first() is None:
                    return code
        return key

    def set_status(
        self, key: str, new: RunStatus, fence: int | None = None, only_from: RunStatus | None = None, **fields: Any
    ) -> None:
        """Moves a run along one arrow, with other fields of the row, in one transaction.

        Args:
            key: The run.
            new: Where it goes.
            fence: The attempt for which this is said; None where nobody owns the run.
            only_from: Where it must be, as far as whoever says this knows; None for wherever there is an arrow from.
            fields: Other fields of its row; secrets are masked.

        Raises:
            RunStateError: There is no such arrow.
            FencedError: A later attempt has begun.
            RunNotFoundError: There is no such run.
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
        """Says how a run ended whose writer cannot: what the store does not take is kept beside the run.

        Raises:
            RunStateError: It had ended already.
        """
        now = time.time()
        try:
            self.set_status(record.key, status, attempt, ended_at=now, message=message, **fields)
        except StoreError as err:
            problem = f"{err}; how it ended is kept beside it until the store takes it"
            end = pending_end.AttemptEnd(attempt, status, now, mask(message), problem)
            pending_end.keep(RunFolder(record.folder).lock, end)

    def settle(self, key: str) -> bool:
        """Writes down how a run ended that its owner could only say elsewhere; False where there is no such end.

        Raises:
            StoreError: It still cannot be written.
        """
        with self.reading.connect() as connection:
            row = connection.execute(sa.select(*_RUN).where(runs.c.key == key)).mappings().first()
        record = record_of(dict(row)) if row is not None else None
        if record is None or not record.status.is_live:
            return False
        end = pending_end.kept(RunFolder(record.folder).lock, record.attempt)
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
        """Vouches from now on for files of a run's folder; see `trust.py`.

        Args:
            key: The run.
            new: SHA-256 by path in the folder.
            gone: Paths of files that are there no more.
            fence: The attempt for which this is said.

        Raises:
            FencedError: A later attempt has begun.
        """
        names = [*gone, *new]
        with self.engine.begin() as connection:
            _check_fence(connection, key, fence)
            connection.execute(anchors.delete().where(anchors.c.run == key, anchors.c.name.in_(names)))
            if new:
                connection.execute(anchors.insert(), _anchor_rows(key, new))

    def adopt(self, key: str, found: Mapping[str, str], words: str) -> None:
        """Vouches for a run's folder as it was found, in place of all it vouched for; an event says so."""
        event = {"run": key, "at": time.time(), "step": None, "kind": "trusted", "text": words, "data": {}}
        with self.engine.begin() as connection:
            connection.execute(anchors.delete().where(anchors.c.run == key))
            connection.execute(anchors.insert(), _anchor_rows(key, found))
            connection.execute(events.insert(), [event])

    def begin_attempt(self, seen: RunRecord) -> RunRecord:
        """Makes this process the owner of a run that has none any more: the next attempt, RUNNING.

        The caller holds the owner lock. Whoever still writes for an earlier attempt is refused from now on.

        Args:
            seen: The run as it was when it was found without an owner.

        Raises:
            RunStateError: It has another owner by now, or never began.
        """
        attempt = seen.attempt + 1
        with self.engine.begin() as connection:
            row = connection.execute(sa.select(runs.c.status, runs.c.attempt).where(runs.c.key == seen.key)).first()
            if row is None or row.attempt != seen.attempt:
                raise RunStateError(f"`{seen.ref}` has been taken over by another process in the meantime")
            status = RunStatus(row.status)  # who started it may just have written how it ended
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
        """Removes a run's row, events and folder, and those of its parts; gives which folders were left, and why.

        A folder that is not the one the run was recorded in stays as it is.

        Raises:
            RunStateError: The run is alive, or belongs to somebody else.
        """
        record = self.get(key)
        self.check_owner(record)
        if self.status_of(record).is_live:
            raise RunStateError(f"`{record.ref}` is {record.status}; stop it before you delete it")
        parts = [part for part in self.list_runs(limit=1_000_000, parent=key) if part.kind in PARTS]
        left = [words for part in parts for words in self.delete_run(part.key)]
        with trust.deleting(self, record) as why_not, self.engine.begin() as connection:
            for table, column in ((events, events.c.run), (anchors, anchors.c.run), (runs, runs.c.key)):
                connection.execute(table.delete().where(column == key))
        return [*left, why_not] if why_not else left

    def check_owner(self, record: RunRecord) -> None:
        """Raises unless this user may change the run.

        Raises:
            RunStateError: It is another user's.
        """
        if record.user != user_name():
            raise RunStateError(f"`{record.ref}` belongs to {record.user}; only they can change it")

    @property
    def place(self) -> str:
        """The database, as a person knows it: a path, or a name."""
        return str(self.engine.url.database)

    @functools.cached_property
    def is_foreign(self) -> bool:
        """Whether the database is a file of another user's, whose rows are no reason to believe anything."""
        return self.engine.url.get_backend_name() == "sqlite" and is_foreign_file(Path(self.place))

    @property
    def who_else_writes(self) -> str:
        """`its group` or `everybody` where they could write the database's file; else empty."""
        if self.engine.url.get_backend_name() != "sqlite" or not os.path.exists(self.place):
            return ""
        return who_else_writes(Path(self.place))

    def in_folder(self, folder: Path) -> RunRecord | None:
        """The run whose folder this is; None where the store has none."""
        query = sa.select(*_RUN).where(runs.c.folder == str(folder))
        with self.reading.connect() as connection:
            row = connection.execute(query).mappings().first()
        return _believed_of(dict(row)) if row is not None else None

    def has_others_in(self, home: Path, key: str) -> bool:
        """Whether other runs than this one lie in a folder."""
        query = sa.select(runs.c.key).where(
            runs.c.folder.startswith(f"{home}{os.sep}", autoescape=True), runs.c.key != key
        )
        with self.reading.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def anchors_of(self, key: str) -> dict[str, str]:
        """What the store vouches for of a run's folder, by name; see `trust.py`."""
        query = sa.select(anchors.c.name, anchors.c.value).where(anchors.c.run == key)
        with self.reading.connect() as connection:
            return {name: value for name, value in connection.execute(query)}

    def get(self, key: str) -> RunRecord:
        """The run with this key.

        Raises:
            RunNotFoundError: There is none.
            DamagedError: What is recorded of it cannot be read.
        """
        with self.reading.connect() as connection:
            row = connection.execute(sa.select(*_RUN).where(runs.c.key == key)).mappings().first()
        if row is None:
            raise RunNotFoundError(f"the store has no run `{key}`")
        return _believed_of(dict(row))

    def find(self, word: str) -> RunRecord:
        """The run meant by a short name (`digits-k3f9`), a code, a name or a key; a trial by `digits-k3f9/17`.

        Raises:
            RunNotFoundError: None is meant.
            AmbiguousRunError: Several are.
        """
        word = word.strip()
        study, slash, number = word.rpartition("/")
        if slash:
            return self._trial_of(self.find(study), number)
        name, _, code = word.rpartition("-")
        is_ref = sa.and_(runs.c.name == name, runs.c.code == code)
        wanted = sa.or_(runs.c.key == word, runs.c.code == word, runs.c.name == slug(word), is_ref)
        found = read(self.reading, sa.select(*_RUN).where(wanted).order_by(runs.c.created_at), _believed_of)
        if not found and found.unreadable:
            raise DamagedError(f"`{word}`: {found.words}")
        exact = [record for record in found if word in (record.key, record.ref)]
        wholes = [record for record in found if record.kind not in PARTS]  # a trial is called what its study is
        meant = exact or wholes or list(found)
        if not meant:
            known = [record.ref for record in self.list_runs(limit=500)]
            raise RunNotFoundError(f"no run is called `{word}`.{did_you_mean(word, known)} `%runs` lists them")
        if len(meant) > 1:
            names = ", ".join(f"`{record.ref}`" for record in meant[-8:])
            raise AmbiguousRunError(f"`{word}` could be any of {len(meant)} runs; say which: {names}")
        return meant[0]

    def _trial_of(self, study: RunRecord, number: str) -> RunRecord:
        for record in self.list_runs(limit=100_000, parent=study.key):
            if str(record.config.get("trial")) == number:  # the newest, where it was begun twice
                return record
        raise RunNotFoundError(f"`{study.ref}` has no trial `{number}`")

    def list_runs(
        self, limit: int = 100, kind: str | None = None, parent: str | None = None, has_parts: bool = False
    ) -> ReadableRows[RunRecord]:
        """The newest runs first; those that are damaged are left out and counted.

        Args:
            limit: At most so many.
            kind: Only those of this kind.
            parent: Only those that this one started.
            has_parts: Also runs that are parts of another, such as the trials of a search.
        """
        query = sa.select(*_RUN).order_by(runs.c.created_at.desc()).limit(limit)
        if kind is not None:
            query = query.where(runs.c.kind == kind)
        if parent is not None:
            query = query.where(runs.c.parent == parent)
        if kind is None and parent is None and not has_parts:
            query = query.where(runs.c.kind.not_in(PARTS))
        found = read(self.reading, query, _believed_of)
        found.sort(key=lambda record: record.created_at, reverse=True)  # rows of a damaged file come one by one
        del found[limit:]
        return found

    def events_of(self, key: str) -> list[Event]:
        """All events of a run, oldest first; the last says how many are damaged, where some are."""
        query = sa.select(*columns_of(events)).where(events.c.run == key).order_by(events.c.id)
        found = read(self.reading, query, event_of)
        if found.unreadable:
            text = f"{found.unreadable} events of this run are damaged, and not shown"
            found.append(Event(found[-1].at if found else 0.0, None, "warning", text, {}))
        return found

    def status_of(self, record: RunRecord | RunIndexEntry) -> RunStatus:
        """The status a reader should believe: LOST when the owner of a live run is dead.

        A QUEUED run gets a minute for its owner to come, while the process that is to bring it lives. On another
        host the lock says nothing; the recorded status is given unchanged.
        """
        lock = Path(record.folder, "owner.lock")
        if record.status.is_live and (end := pending_end.kept(lock, record.attempt)) is not None:
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


def _believed_of(row: Mapping[str, Any]) -> RunRecord:
    """A run of its row, with how it ended where its owner could say so only elsewhere.

    Raises:
        DamagedError: The row is not as it was written.
    """
    return pending_end.believed(record_of(row))


def _is_late(record: RunRecord | RunIndexEntry) -> bool:
    """Whether a QUEUED run that nobody holds will not begin any more."""
    waits_since = max(record.created_at, record.heartbeat_at or 0.0)
    return time.time() - waits_since > QUEUED_TIMEOUT_S or not run_lock.is_alive(record.pid)


def _row_of(record: RunRecord) -> dict[str, Any]:
    row = {field: getattr(record, field) for field in FIELDS}
    row["status"] = record.status.value
    return row


def _anchor_rows(key: str, found: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"run": key, "name": name, "value": value} for name, value in found.items()]


def _check_fence(connection: sa.Connection, key: str, fence: int | None) -> None:
    if fence is None:
        return
    row = connection.execute(sa.select(runs.c.attempt).where(runs.c.key == key)).first()
    if row is not None and row.attempt > fence:
        raise FencedError(f"attempt {row.attempt} of this run has begun elsewhere; attempt {fence} records no more")
