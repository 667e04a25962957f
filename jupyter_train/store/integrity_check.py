"""Looks through a store and its run folders for damage, within a time."""

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

#: Steps of SQLite's machine between two looks at the clock.
_STEPS = 20_000


class TimeBudget:
    """How much time is left.

    Args:
        patience_s: In seconds; without an end if None.
    """

    def __init__(self, patience_s: float | None) -> None:
        self._deadline = None if patience_s is None else time.monotonic() + patience_s

    @property
    def is_limited(self) -> bool:
        """Whether there ever is an end to it."""
        return self._deadline is not None

    @property
    def is_over(self) -> bool:
        """Whether there is none."""
        return self._deadline is not None and time.monotonic() > self._deadline

    def check(self) -> None:
        """Raises when there is none.

        Raises:
            TimeoutError: There is none.
        """
        if self.is_over:
            raise TimeoutError

    def limit(self, connection: sqlite3.Connection) -> None:
        """Breaks off what a connection does when there is none: it raises `sqlite3.OperationalError`."""
        connection.set_progress_handler(lambda: int(self.is_over), _STEPS)


def verdict_of(engine: sa.Engine, watch: TimeBudget) -> str:
    """What SQLite says of a store's file: `ok`, what is damaged, or empty where there was no time to look at all of it.

    Raises:
        StoreError: It cannot be read.
    """
    with engine.connect() as connection:
        watch.limit(connection.connection.driver_connection)  # type: ignore[arg-type]
        try:
            found = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
        except StoreError:
            if watch.is_over:
                return ""
            raise
    return "; ".join(" ".join(str(line).split()) for line in found)


def problems_of(folder: RunFolder, watch: TimeBudget, has_recorded: bool) -> Iterator[str]:
    """What is wrong with a run's curves and checkpoints, in words.

    Args:
        folder: The run's folder.
        watch: How much time there is.
        has_recorded: Whether the run came as far as to record anything: one that was killed before has an empty file.

    Raises:
        TimeoutError: There was no time to look at all of it.
    """
    gone = ["its curves are gone: `metrics.db` is missing or empty"] if has_recorded else []
    if not folder.metrics.exists():
        yield from gone
        return
    try:
        with contextlib.closing(open_for_reading(folder.metrics)) as connection:
            if not has_tables(connection):
                yield from gone
                return
            yield from _damage(connection, watch)
        with MetricReader(folder.metrics) as reader:
            checkpoints = reader.checkpoints()
            if reader.damage:
                yield f"its record is damaged: {', '.join(reader.damage)}"
    except (DamagedError, *FILE_DAMAGE) as err:
        if watch.is_over:
            raise TimeoutError from err
        yield f"its curves cannot be read ({err})"
        return
    for one in checkpoints:
        path = folder.path / one.path
        is_other = not path.exists() or path.stat().st_size != one.size
        if is_other or (not watch.is_limited and file_hash(path) != one.sha256):
            yield f"`{one.path}` is not the file that was recorded"


def _damage(connection: sqlite3.Connection, watch: TimeBudget) -> Iterator[str]:
    watch.limit(connection)
    try:
        verdict = str(connection.execute("PRAGMA quick_check(3)").fetchone()[0])
    except FILE_DAMAGE as err:
        verdict = str(err)
    if watch.is_over:
        raise TimeoutError
    if verdict != "ok":
        yield f"its curves are damaged ({' '.join(verdict.split())})"
    checked = VerifiedBlobs(connection)
    for (name,) in connection.execute("SELECT name FROM series").fetchall():
        checked.look_through(str(name), watch.check)
    watch.check()  # a query that was broken off looks like blocks that are lost
    if connection.execute("SELECT 1 FROM series WHERE typeof(count) != 'integer' OR count < 0").fetchone() is not None:
        yield "its curves are damaged: how many values they have is not known"
    lost = [f"{count:,} values of `{name}`" for name, count in checked.lost.items()]
    if lost:
        yield f"its curves are damaged, and not shown: {', '.join(lost)}"
    elif checked.made_anew:
        yield "the overview of its curves is damaged; it is made anew of their values wherever it is shown"
