"""Checks a store and its run folders for damage, within a time limit."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator

import sqlalchemy as sa

from jupyter_train.exceptions import DamagedError, StoreError
from jupyter_train.store.metrics.file import has_tables, open_for_reading
from jupyter_train.store.metrics.reader import MetricReader
from jupyter_train.store.metrics.verified_blobs import VerifiedBlobs
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.trust import file_hash
from jupyter_train.store.value_checks import FILE_DAMAGE

#: Instructions of SQLite's virtual machine between two checks of the time limit.
_INSTRUCTIONS_PER_CHECK = 20_000


class TimeBudget:
    """A time limit that a check shares among its parts.

    Args:
        limit_s: Seconds from now; no limit if None.
    """

    def __init__(self, limit_s: float | None) -> None:
        self._deadline = None if limit_s is None else time.monotonic() + limit_s

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self._deadline is not None

    @property
    def is_over(self) -> bool:
        """Whether the limit has passed."""
        return self._deadline is not None and time.monotonic() > self._deadline

    def check(self) -> None:
        """Raises once the limit has passed.

        Raises:
            TimeoutError: It has.
        """
        if self.is_over:
            raise TimeoutError

    def limit(self, connection: sqlite3.Connection) -> None:
        """Interrupts the connection's queries past the limit: they raise `sqlite3.OperationalError`."""
        connection.set_progress_handler(lambda: int(self.is_over), _INSTRUCTIONS_PER_CHECK)


def sqlite_verdict(engine: sa.Engine, budget: TimeBudget) -> str:
    """SQLite's integrity check of a store: `ok`, what is damaged, or empty where the time was not enough.

    Raises:
        StoreError: It cannot be read.
    """
    with engine.connect() as connection:
        budget.limit(connection.connection.driver_connection)  # type: ignore[arg-type]
        try:
            lines = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
        except StoreError:
            if budget.is_over:
                return ""
            raise
    return "; ".join(" ".join(str(line).split()) for line in lines)


def folder_problems(folder: RunFolder, budget: TimeBudget, has_recorded: bool) -> Iterator[str]:
    """Messages about damaged or missing curves and checkpoints of a run.

    Args:
        folder: The run's folder.
        budget: The time limit.
        has_recorded: Whether the run has recorded anything: a run killed before that has an empty file.

    Raises:
        TimeoutError: The time limit has passed.
    """
    missing = ["its curves are gone: `metrics.db` is missing or empty"] if has_recorded else []
    if not folder.metrics.exists():
        yield from missing
        return
    try:
        with contextlib.closing(open_for_reading(folder.metrics)) as connection:
            if not has_tables(connection):
                yield from missing
                return
            yield from _damage(connection, budget)
        with MetricReader(folder.metrics) as reader:
            checkpoints = reader.checkpoints()
            if reader.damage:
                yield f"its record is damaged: {', '.join(reader.damage)}"
    except (DamagedError, *FILE_DAMAGE) as err:
        if budget.is_over:
            raise TimeoutError from err
        yield f"its curves cannot be read ({err})"
        return
    for checkpoint in checkpoints:
        path = folder.path / checkpoint.path
        is_changed = not path.exists() or path.stat().st_size != checkpoint.size
        if is_changed or (not budget.is_limited and file_hash(path) != checkpoint.sha256):
            yield f"`{checkpoint.path}` is not the file that was recorded"


def _damage(connection: sqlite3.Connection, budget: TimeBudget) -> Iterator[str]:
    budget.limit(connection)
    try:
        verdict = str(connection.execute("PRAGMA quick_check(3)").fetchone()[0])
    except FILE_DAMAGE as err:
        verdict = str(err)
    if budget.is_over:
        raise TimeoutError
    if verdict != "ok":
        yield f"its curves are damaged ({' '.join(verdict.split())})"
    blobs = VerifiedBlobs(connection)
    for (name,) in connection.execute("SELECT name FROM series").fetchall():
        blobs.verify_series(str(name), budget.check)
    budget.check()  # an interrupted query looks like lost blocks
    if connection.execute("SELECT 1 FROM series WHERE typeof(count) != 'integer' OR count < 0").fetchone() is not None:
        yield "its curves are damaged: how many values they have is not known"
    lost = [f"{count:,} values of `{name}`" for name, count in blobs.lost.items()]
    if lost:
        yield f"its curves are damaged, and not shown: {', '.join(lost)}"
    elif blobs.rebuilt:
        yield "the overview of its curves is damaged; it is rebuilt from their values wherever it is shown"
