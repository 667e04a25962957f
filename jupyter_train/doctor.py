"""`jupyter train doctor`: checks the machine, the run store and the run folders, and reports what is wrong."""

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
from jupyter_train.store.integrity_check import TimeBudget, folder_problems, sqlite_verdict
from jupyter_train.store.paths import (
    HOME_VARIABLE,
    MIN_BYTES,
    STORE_VARIABLE,
    network_file_system,
    runs_home,
    store_url,
    user_name,
)
from jupyter_train.store.private_files import other_writers
from jupyter_train.store.redaction import mask
from jupyter_train.store.run_index import RunIndexEntry, index_entries
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.takeover import never_began_message
from jupyter_train.store.value_checks import printable

_PACKAGES = ("torch", "pytorch-lightning", "jupyterlab", "ipykernel", "papermill", "wandb")
_TESTED = {"pytorch-lightning": "2.6."}
_MIN_FREE_BYTES = 1024**3
#: Number of newest runs that are read with all their options.
_MAX_ROWS = 2000
#: Default time limit of the checks of the store and the run folders.
TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


class Level(StrEnum):
    """Severity of a finding."""

    FINE = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass
class Finding:
    """One line of the report; `fix` repairs it."""

    level: Level
    message: str
    fix: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        self.message = printable(mask(self.message))


def diagnose(url: str = "", limit_s: float | None = TIMEOUT_S) -> Iterator[Finding]:
    """Yields the findings of all checks, in the order of a report; changes nothing and never raises.

    Args:
        url: The store; `JUPYTER_TRAIN_STORE` if empty.
        limit_s: Time limit for checking the store and the run folders, in seconds; no limit if None.
    """
    budget = TimeBudget(limit_s)
    yield from _with_errors(_check_environment())
    yield from _with_errors(_check_locations(url))
    try:
        store = open_store(url)
    except StoreError as err:
        yield Finding(Level.BAD, str(err))
        return
    yield from _with_errors(_check_database(store, budget))
    yield from _with_errors(_check_runs(store, budget))


def _with_errors(findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings; an exception becomes one of them, so that later checks still run."""
    try:
        yield from findings
    except Exception as err:  # noqa: BLE001  an interrupted report says less than any error in it
        _log.debug("a check failed", exc_info=True)
        message = str(err) if isinstance(err, StoreError) else f"{type(err).__name__}: {err}"
        yield Finding(Level.BAD, f"not everything could be checked: {message}")


def adopt(folder: str, trusts: bool = False) -> RunRecord:
    """Restores the row of a run folder in the run store.

    Args:
        folder: Its path.
        trusts: Whether its files may be unpickled and resumed from; then also for a run that the store has.

    Raises:
        StoreError: The path is no run folder, cannot be read, or is another user's.
        RunStateError: The store has the run.
    """
    store = open_store()
    record = store.in_folder(Path(folder).expanduser().absolute()) if trusts else None
    record = record or adopt_module.adopt(store, Path(folder))
    if trusts:
        trust.trust_folder(store, record)
    return record


def _check_environment() -> Iterator[Finding]:
    yield Finding(Level.FINE, f"Python {platform.python_version()} on {platform.platform(terse=True)}")
    if sys.platform == "win32":
        yield Finding(Level.NOTE, "Windows: runs train in the kernel; --detach and --devices need Linux or macOS")
    for name in _PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(Level.NOTE, f"{name} is not installed: `pip install {name}`")
            continue
        tested = _TESTED.get(name, "")
        if version.startswith(tested):
            yield Finding(Level.FINE, f"{name} {version}")
        else:
            message = f"{name} {version} is not tested (tested: {tested}x): a resumed run may not be exact"
            yield Finding(Level.NOTE, message)
    yield Finding(Level.FINE, _gpus())


def _gpus() -> str:
    if shutil.which("nvidia-smi") is None:
        return "no NVIDIA GPU"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True)
        return "GPU: " + "; ".join(line.partition(" (")[0] for line in listing.stdout.strip().splitlines())
    return "an NVIDIA driver is installed and does not answer"


def _check_locations(url: str) -> Iterator[Finding]:
    import sqlalchemy as sa

    parsed_url = sa.make_url(url or store_url())
    locations = {"run folders": runs_home()}
    if parsed_url.get_backend_name() == "sqlite":
        locations["the run store"] = Path(parsed_url.database or "").parent
    for noun, path in locations.items():
        existing = next(folder for folder in (path, *path.parents) if folder.exists())
        yield _check_location(noun, path, existing)
        if system := network_file_system(existing):
            message = f"`{path}` lies on a network file system ({system}): locks there are not reliable"
            yield Finding(Level.NOTE, message)
        if writers := other_writers(existing):
            yield Finding(Level.NOTE, f"`{existing}` can be changed by {writers}, who could replace files in it")


def _check_location(noun: str, path: Path, existing: Path) -> Finding:
    if not os.access(existing, os.W_OK | os.X_OK):
        name = HOME_VARIABLE if noun == "run folders" else STORE_VARIABLE
        return Finding(Level.BAD, f"{noun}: `{path}` cannot be written; set `{name}` to a folder that can")
    free = shutil.disk_usage(existing).free
    if free < MIN_BYTES:
        return Finding(Level.BAD, f"{noun}: `{path}`, the disk is full ({size_text(free)} free): `%runs gc`")
    level = Level.FINE if free > _MIN_FREE_BYTES else Level.NOTE
    return Finding(level, f"{noun}: `{path}`, {size_text(free)} free")


def _check_database(store: Store, budget: TimeBudget) -> Iterator[Finding]:
    if store.engine.url.get_backend_name() != "sqlite":
        yield Finding(Level.FINE, f"the run store answers ({store.engine.url.get_backend_name()})")
        return
    try:
        verdict = sqlite_verdict(store.reading, budget)
        with store.reading.connect() as connection:
            journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    except StoreError as err:
        yield Finding(Level.BAD, str(err))
        return
    if not verdict:
        yield Finding(Level.NOTE, "there was no time to check all of the run store: `jupyter train doctor --full`")
        return
    level = Level.FINE if verdict == "ok" else Level.BAD
    yield Finding(level, f"the run store's integrity: {verdict}; SQLite {sqlite3.sqlite_version}, journal {journal}")
    if journal == "wal" and not wal_is_safe():
        yield Finding(Level.BAD, "its journal is `wal`, which this SQLite can corrupt when several processes write")


def _check_runs(store: Store, budget: TimeBudget) -> Iterator[Finding]:
    entries = index_entries(store, limit=1_000_000, has_parts=True)
    newest = store.list_runs(limit=_MAX_ROWS if budget.is_limited else 1_000_000, has_parts=True)
    unreadable = max(entries.unreadable, newest.unreadable)
    if unreadable:
        message = "whose rows in the run store are damaged; their folders keep curves and checkpoints"
        yield Finding(
            Level.BAD, f"{unreadable:,} of {len(entries) + entries.unreadable:,} runs cannot be shown, {message}"
        )
    user = user_name()
    records = [record for record in entries if record.user == user]
    yield Finding(Level.FINE, f"{len(records):,} runs of {user}")
    with_folder = []
    for record in records:
        if os.path.isdir(record.folder):
            with_folder.append(record)
            yield from _check_status(store, record)
        else:
            message = f"`{_ref(record)}`: its folder is gone"
            yield Finding(Level.NOTE, message, lambda record=record: store.delete_run(record.key))  # type: ignore[misc]
    yield from _check_folders(store, with_folder, budget)


def _ref(record: RunIndexEntry) -> str:
    return f"{record.name}-{record.code}"


def _check_status(store: Store, record: RunIndexEntry) -> Iterator[Finding]:
    try:
        status, recorded = store.status_of(record), record.status
    except ValueError as err:
        yield Finding(Level.BAD, f"`{_ref(record)}`: what the store says of it is damaged ({err})")
        return
    if recorded.is_live and pending_end.find(RunFolder(record.folder).lock, record.attempt) is not None:
        message = f"`{_ref(record)}` is {status}, and the run store does not have its end yet"
        yield Finding(Level.NOTE, message, lambda record=record: store.settle(record.key))  # type: ignore[misc]
    if status is RunStatus.LOST and recorded is not RunStatus.LOST:
        message = _lost_message(store.get(record.key))
        yield Finding(Level.NOTE, message, lambda record=record: _mark_lost(store, record))  # type: ignore[misc]


def _lost_message(record: RunRecord) -> str:
    if record.status is RunStatus.QUEUED:
        return f"`{record.ref}` is recorded as queued: {never_began_message(record)}"
    return f"`{record.ref}` is recorded as {record.status}, and its process is gone: `%runs resume {record.ref}`"


def _check_folders(store: Store, records: list[RunIndexEntry], budget: TimeBudget) -> Iterator[Finding]:
    """Findings inside the folders, the newest first, within the time limit."""
    for number, record in enumerate(records):
        if budget.is_over:
            message = (
                f"there was time to check {number:,} of {len(records):,} run folders, the newest; all: "
                "`jupyter train doctor --full`"
            )
            yield Finding(Level.NOTE, message)
            return
        yield from _check_folder(store, record, budget)


def _check_folder(store: Store, record: RunIndexEntry, budget: TimeBudget) -> Iterator[Finding]:
    with contextlib.suppress(ValueError):  # its status is damaged, which is reported already
        status = store.status_of(record)
        if not status.is_live and status is not RunStatus.QUEUED:
            yield from _check_leftovers(store, record)
    try:
        for problem in folder_problems(RunFolder(record.folder), budget, record.has_recorded):
            yield Finding(Level.BAD, f"`{_ref(record)}`: {problem}")
    except TimeoutError:
        yield Finding(Level.NOTE, f"`{_ref(record)}`: there was no time to check all of its curves")
    except OSError as err:
        yield Finding(Level.BAD, f"`{_ref(record)}`: its folder cannot be read ({err.strerror or err})")


def _mark_lost(store: Store, entry: RunIndexEntry) -> None:
    lock = RunLock(RunFolder(entry.folder).lock)
    with contextlib.suppress(RunStateError, FencedError):
        lock.acquire(timeout_s=0.1)
        try:
            record = store.get(entry.key)
            message = never_began_message(record) if record.status is RunStatus.QUEUED else record.message
            store.set_status(record.key, RunStatus.LOST, record.attempt, ended_at=time.time(), message=message)
        finally:
            lock.release()


def _check_leftovers(store: Store, entry: RunIndexEntry) -> Iterator[Finding]:
    leftovers = RunFolder(entry.folder).leftovers()
    if leftovers:
        size = sum(path.lstat().st_size for path in leftovers)
        message = f"`{_ref(entry)}`: {len(leftovers)} half-written files ({size_text(size)})"
        record = store.get(entry.key)
        try:
            trust.verify(store, record)
        except UntrustedError as err:
            yield Finding(Level.NOTE, f"{message}. They stay: {err}")
        else:
            yield Finding(Level.NOTE, message, lambda: trust.remove_leftovers(store, record))
