"""`jupyter train doctor`: looks at the machine, the run store and the run folders, and says what is wrong with them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from jupyter_train.exceptions import FencedError, RunStateError, StoreError, UntrustedError
from jupyter_train.panel.format import size_text
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store, open_store, pending_end, trust
from jupyter_train.store import adopt as adopt_module
from jupyter_train.store.database import wal_is_safe
from jupyter_train.store.integrity_check import TimeBudget, problems_of, verdict_of
from jupyter_train.store.paths import (
    HOME_VARIABLE,
    MIN_BYTES,
    STORE_VARIABLE,
    network_file_system,
    runs_home,
    store_url,
    user_name,
)
from jupyter_train.store.private_files import who_else_writes
from jupyter_train.store.redaction import mask
from jupyter_train.store.run_index import RunIndexEntry, index_entries
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.takeover import never_began_words
from jupyter_train.store.value_checks import printable

_PACKAGES = ("torch", "pytorch-lightning", "jupyterlab", "ipykernel", "papermill", "wandb")
_TESTED = {"pytorch-lightning": "2.6."}
_MIN_FREE_BYTES = 1024**3
#: So many of the newest runs are read with all their options.
_MAX_ROWS = 2000
#: How long the store and the run folders are looked through.
TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


class Level(StrEnum):
    """How bad it is."""

    FINE = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass
class Finding:
    """One line of the report; `fix` puts it right."""

    level: Level
    words: str
    fix: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        self.words = printable(mask(self.words))


def look(url: str = "", patience_s: float | None = TIMEOUT_S) -> Iterator[Finding]:
    """Everything that can be looked at, in the order of a report; nothing is changed, and nothing raised.

    Args:
        url: The store; where `JUPYTER_TRAIN_STORE` says if empty.
        patience_s: How long to look through the store and the run folders, in seconds; without an end if None.
    """
    watch = TimeBudget(patience_s)
    yield from _said(_environment())
    yield from _said(_places(url))
    try:
        store = open_store(url)
    except StoreError as err:
        yield Finding(Level.BAD, str(err))
        return
    yield from _said(_database(store, watch))
    yield from _said(_runs(store, watch))


def _said(findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings; what cannot be looked at is one of them, and the rest is looked at all the same."""
    try:
        yield from findings
    except Exception as err:  # noqa: BLE001  a report that breaks off says less than any error in it
        _log.debug("cannot be looked at", exc_info=True)
        words = str(err) if isinstance(err, StoreError) else f"{type(err).__name__}: {err}"
        yield Finding(Level.BAD, f"not everything could be looked at: {words}")


def adopt(folder: str, trusts: bool = False) -> RunRecord:
    """Takes a run folder whose row is gone into the run store again.

    Args:
        folder: Its path.
        trusts: Whether what lies there may be unpickled and gone on with; also of a run that the store has.

    Raises:
        StoreError: It is no run folder, cannot be read, or is another user's.
        RunStateError: The store has the run.
    """
    store = open_store()
    record = store.in_folder(Path(folder).expanduser().absolute()) if trusts else None
    record = record or adopt_module.adopt(store, Path(folder))
    if trusts:
        trust.believe(store, record)
    return record


def _environment() -> Iterator[Finding]:
    yield Finding(Level.FINE, f"Python {platform.python_version()} on {platform.platform(terse=True)}")
    if sys.platform == "win32":
        yield Finding(Level.NOTE, "Windows: runs train in the kernel; --detach and --devices need Linux or macOS")
    for name in _PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(Level.NOTE, f"{name} is not installed: `pip install {name}`")
            continue
        known = _TESTED.get(name, "")
        if version.startswith(known):
            yield Finding(Level.FINE, f"{name} {version}")
        else:
            words = f"{name} {version} is not known here (tested: {known}x): a resumed run is not known to be exact"
            yield Finding(Level.NOTE, words)
    yield Finding(Level.FINE, _gpus())


def _gpus() -> str:
    if shutil.which("nvidia-smi") is None:
        return "no NVIDIA GPU"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True)
        return "GPU: " + "; ".join(line.partition(" (")[0] for line in done.stdout.strip().splitlines())
    return "there is an NVIDIA driver that does not answer"


def _places(url: str) -> Iterator[Finding]:
    import sqlalchemy as sa

    found = sa.make_url(url or store_url())
    places = {"run folders": runs_home()}
    if found.get_backend_name() == "sqlite":
        places["the run store"] = Path(found.database or "").parent
    for word, place in places.items():
        there = next(folder for folder in (place, *place.parents) if folder.exists())
        yield _place(word, place, there)
        if system := network_file_system(there):
            words = f"`{place}` lies on a network file system ({system}): locks there are not to be relied on"
            yield Finding(Level.NOTE, words)
        if who := who_else_writes(there):
            yield Finding(Level.NOTE, f"`{there}` can be changed by {who}, and so could files in it be put in place")


def _place(word: str, place: Path, there: Path) -> Finding:
    if not os.access(there, os.W_OK | os.X_OK):
        name = HOME_VARIABLE if word == "run folders" else STORE_VARIABLE
        return Finding(Level.BAD, f"{word}: `{place}` cannot be written; set `{name}` to a place that can")
    free = shutil.disk_usage(there).free
    if free < MIN_BYTES:
        return Finding(Level.BAD, f"{word}: `{place}`, the disk is full ({size_text(free)} free): `%runs gc`")
    level = Level.FINE if free > _MIN_FREE_BYTES else Level.NOTE
    return Finding(level, f"{word}: `{place}`, {size_text(free)} free")


def _database(store: Store, watch: TimeBudget) -> Iterator[Finding]:
    if store.engine.url.get_backend_name() != "sqlite":
        yield Finding(Level.FINE, f"the run store answers ({store.engine.url.get_backend_name()})")
        return
    try:
        verdict = verdict_of(store.reading, watch)
        with store.reading.connect() as connection:
            journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    except StoreError as err:
        yield Finding(Level.BAD, str(err))
        return
    if not verdict:
        yield Finding(Level.NOTE, "there was no time to look at all of the run store: `jupyter train doctor --full`")
        return
    level = Level.FINE if verdict == "ok" else Level.BAD
    yield Finding(level, f"the run store's integrity: {verdict}; SQLite {sqlite3.sqlite_version}, journal {journal}")
    if journal == "wal" and not wal_is_safe():
        yield Finding(Level.BAD, "its journal is `wal`, which this SQLite can corrupt when several processes write")


def _runs(store: Store, watch: TimeBudget) -> Iterator[Finding]:
    known = index_entries(store, limit=1_000_000, has_parts=True)
    newest = store.list_runs(limit=_MAX_ROWS if watch.is_limited else 1_000_000, has_parts=True)
    unreadable = max(known.unreadable, newest.unreadable)
    if unreadable:
        words = "whose rows in the run store are damaged; their folders keep curves and checkpoints"
        yield Finding(Level.BAD, f"{unreadable:,} of {len(known) + known.unreadable:,} runs cannot be shown, {words}")
    user = user_name()
    records = [record for record in known if record.user == user]
    yield Finding(Level.FINE, f"{len(records):,} runs of {user}")
    there = []
    for record in records:
        if os.path.isdir(record.folder):
            there.append(record)
            yield from _state(store, record)
        else:
            words = f"`{_ref(record)}`: its folder is gone"
            yield Finding(Level.NOTE, words, lambda record=record: store.delete_run(record.key))  # type: ignore[misc]
    yield from _inside(store, there, watch)


def _ref(record: RunIndexEntry) -> str:
    return f"{record.name}-{record.code}"


def _state(store: Store, record: RunIndexEntry) -> Iterator[Finding]:
    try:
        status, recorded = store.status_of(record), record.status
    except ValueError as err:
        yield Finding(Level.BAD, f"`{_ref(record)}`: what the store says of it is damaged ({err})")
        return
    if recorded.is_live and pending_end.kept(RunFolder(record.folder).lock, record.attempt) is not None:
        words = f"`{_ref(record)}` is {status}, and the run store does not have that yet"
        yield Finding(Level.NOTE, words, lambda record=record: store.settle(record.key))  # type: ignore[misc]
    if status is RunStatus.LOST and recorded is not RunStatus.LOST:
        words = _lost_words(store.get(record.key))
        yield Finding(Level.NOTE, words, lambda record=record: _call_lost(store, record))  # type: ignore[misc]


def _lost_words(record: RunRecord) -> str:
    if record.status is RunStatus.QUEUED:
        return f"`{record.ref}` is recorded as queued: {never_began_words(record)}"
    return f"`{record.ref}` is recorded as {record.status}, and its process is gone: `%runs resume {record.ref}`"


def _inside(store: Store, records: list[RunIndexEntry], watch: TimeBudget) -> Iterator[Finding]:
    """What is wrong inside the folders, the newest first, as far as there is time."""
    for number, record in enumerate(records):
        if watch.is_over:
            words = (
                f"there was time to look into {number:,} of {len(records):,} run folders, the newest; into all: "
                "`jupyter train doctor --full`"
            )
            yield Finding(Level.NOTE, words)
            return
        yield from _folder(store, record, watch)


def _folder(store: Store, record: RunIndexEntry, watch: TimeBudget) -> Iterator[Finding]:
    with contextlib.suppress(ValueError):  # its status is damaged, which is said already
        status = store.status_of(record)
        if not status.is_live and status is not RunStatus.QUEUED:
            yield from _leftovers(store, record)
    try:
        for problem in problems_of(RunFolder(record.folder), watch, record.has_recorded):
            yield Finding(Level.BAD, f"`{_ref(record)}`: {problem}")
    except TimeoutError:
        yield Finding(Level.NOTE, f"`{_ref(record)}`: there was no time to look through all of its curves")
    except OSError as err:
        yield Finding(Level.BAD, f"`{_ref(record)}`: its folder cannot be read ({err.strerror or err})")


def _call_lost(store: Store, outline: RunIndexEntry) -> None:
    lock = RunLock(RunFolder(outline.folder).lock)
    with contextlib.suppress(RunStateError, FencedError):
        lock.acquire(patience_s=0.1)
        try:
            record = store.get(outline.key)
            message = never_began_words(record) if record.status is RunStatus.QUEUED else record.message
            store.set_status(record.key, RunStatus.LOST, record.attempt, ended_at=time.time(), message=message)
        finally:
            lock.release()


def _leftovers(store: Store, outline: RunIndexEntry) -> Iterator[Finding]:
    found = RunFolder(outline.folder).leftovers()
    if found:
        size = sum(path.lstat().st_size for path in found)
        words = f"`{_ref(outline)}`: {len(found)} half-written files ({size_text(size)})"
        record = store.get(outline.key)
        try:
            trust.verify(store, record)
        except UntrustedError as err:
            yield Finding(Level.NOTE, f"{words}. They stay: {err}")
        else:
            yield Finding(Level.NOTE, words, lambda: trust.remove_leftovers(store, record))
