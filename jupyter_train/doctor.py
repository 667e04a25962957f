"""`jupyter train doctor`: looks at the machine, the run store and the run folders, and says what is wrong with them."""

from __future__ import annotations

import contextlib
import importlib.metadata
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
from jupyter_train.panel.numbers import size_text
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store, adopting, last_words, open_store, trust
from jupyter_train.store.database import wal_is_safe
from jupyter_train.store.locations import (
    HOME_VARIABLE,
    LEAST_BYTES,
    STORE_VARIABLE,
    network_file_system,
    runs_home,
    store_url,
    user_name,
)
from jupyter_train.store.metrics.file import open_for_reading
from jupyter_train.store.metrics.reader import MetricReader
from jupyter_train.store.owner import OwnerLock
from jupyter_train.store.private_files import who_else_writes
from jupyter_train.store.takeover import never_began_words

_PACKAGES = ("torch", "pytorch-lightning", "jupyterlab", "ipykernel", "papermill", "wandb")
_TESTED = {"pytorch-lightning": "2.6."}
_LEAST_FREE_BYTES = 1024**3
#: Curves of so many of the newest runs are looked through.
_MOST_RUNS = 500


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


def look(url: str = "") -> Iterator[Finding]:
    """Everything that can be looked at, in the order of a report; nothing is changed."""
    yield from _environment()
    yield from _places(url)
    try:
        store = open_store(url)
    except StoreError as err:
        yield Finding(Level.BAD, str(err))
        return
    yield from _database(store)
    yield from _runs(store)


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
    record = record or adopting.adopt(store, Path(folder))
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
    if free < LEAST_BYTES:
        return Finding(Level.BAD, f"{word}: `{place}`, the disk is full ({size_text(free)} free): `%runs gc`")
    level = Level.FINE if free > _LEAST_FREE_BYTES else Level.NOTE
    return Finding(level, f"{word}: `{place}`, {size_text(free)} free")


def _database(store: Store) -> Iterator[Finding]:
    if store.engine.url.get_backend_name() != "sqlite":
        yield Finding(Level.FINE, f"the run store answers ({store.engine.url.get_backend_name()})")
        return
    try:
        with store.reading.connect() as connection:
            verdict = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
            journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    except StoreError as err:
        yield Finding(Level.BAD, str(err))
        return
    level = Level.FINE if verdict == "ok" else Level.BAD
    yield Finding(level, f"the run store's integrity: {verdict}; SQLite {sqlite3.sqlite_version}, journal {journal}")
    if journal == "wal" and not wal_is_safe():
        yield Finding(Level.BAD, "its journal is `wal`, which this SQLite can corrupt when several processes write")


def _runs(store: Store) -> Iterator[Finding]:
    records = [record for record in store.list_runs(limit=1_000_000, has_parts=True) if record.user == user_name()]
    yield Finding(Level.FINE, f"{len(records):,} runs of {user_name()}")
    for number, record in enumerate(records):
        if not Path(record.folder).is_dir():
            words = f"`{record.ref}`: its folder is gone"
            yield Finding(Level.NOTE, words, lambda record=record: store.delete_run(record.key))  # type: ignore[misc]
            continue
        status = store.status_of(record)
        if record.degraded and last_words.kept(RunFolder(record.folder).lock, record.attempt) is not None:
            words = f"`{record.ref}` is {record.status}, and the run store does not have that yet"
            yield Finding(Level.NOTE, words, lambda record=record: store.settle(record.key))  # type: ignore[misc]
        if status is RunStatus.LOST and record.status is not RunStatus.LOST:
            yield Finding(Level.NOTE, _lost_words(record), lambda record=record: _call_lost(store, record))  # type: ignore[misc]
        if not status.is_live and status is not RunStatus.QUEUED:
            yield from _leftovers(store, record)
        if number < _MOST_RUNS:
            yield from _curves(record)


def _lost_words(record: RunRecord) -> str:
    if record.status is RunStatus.QUEUED:
        return f"`{record.ref}` is recorded as queued: {never_began_words(record)}"
    return f"`{record.ref}` is recorded as {record.status}, and its process is gone: `%runs resume {record.ref}`"


def _call_lost(store: Store, record: RunRecord) -> None:
    lock = OwnerLock(RunFolder(record.folder).lock)
    with contextlib.suppress(RunStateError, FencedError):
        lock.acquire(patience_s=0.1)
        try:
            message = never_began_words(record) if record.status is RunStatus.QUEUED else record.message
            store.set_status(record.key, RunStatus.LOST, record.attempt, ended_at=time.time(), message=message)
        finally:
            lock.release()


def _leftovers(store: Store, record: RunRecord) -> Iterator[Finding]:
    found = RunFolder(record.folder).leftovers()
    if found:
        size = sum(path.lstat().st_size for path in found)
        words = f"`{record.ref}`: {len(found)} half-written files ({size_text(size)})"
        try:
            trust.verify(store, record)
        except UntrustedError as err:
            yield Finding(Level.NOTE, f"{words}. They stay: {err}")
        else:
            yield Finding(Level.NOTE, words, lambda: trust.remove_leftovers(store, record))


def _curves(record: RunRecord) -> Iterator[Finding]:
    folder = RunFolder(record.folder)
    if not folder.metrics.exists():
        return
    try:
        connection = open_for_reading(folder.metrics)
        try:
            verdict = connection.execute("PRAGMA quick_check").fetchone()[0]
        finally:
            connection.close()
        with MetricReader(folder.metrics) as reader:
            checkpoints = reader.checkpoints()
    except sqlite3.Error as err:
        yield Finding(Level.BAD, f"`{record.ref}`: its curves cannot be read ({err})")
        return
    if verdict != "ok":
        yield Finding(Level.BAD, f"`{record.ref}`: its curves are damaged ({verdict})")
    for one in checkpoints:
        path = folder.path / one.path
        if not path.exists() or path.stat().st_size != one.size:
            yield Finding(Level.BAD, f"`{record.ref}`: `{one.path}` is not the file that was recorded")
