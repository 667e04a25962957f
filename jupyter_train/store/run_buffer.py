"""What a live run has appended and its writer has not committed yet."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jupyter_train.events import EventKind
from jupyter_train.store.log_file import LogFile
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.reader import Checkpoint, Medium
from jupyter_train.store.non_finite import NonFinite
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.store.row_queue import HistoryMarker, HistoryRestart, HistorySettled, Row, RowQueue
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.run_row import RunRow
from jupyter_train.store.runs import Event, Store
from jupyter_train.store.text_columns import storable


class CompleteCheckpoint(NamedTuple):
    """A checkpoint that is on disk and not announced yet, and the paths of those it replaces."""

    checkpoint: Checkpoint
    instead_of: Sequence[str]


class RunBuffer:
    """Takes rows, events, log lines and checkpoints from the training thread; never waits for the disk.

    Attributes:
        folder: The run's folder.
        verification: Compares what is recorded with earlier attempts; None in a first attempt.
        non_finite: The metrics whose newest value is NaN or infinite.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        folder: RunFolder,
        to_floats: Callable[[list[Any]], list[float]],
        attempt: int,
        verification: ReplayCheck | None,
    ) -> None:
        self.folder = folder
        self.verification = verification
        self.non_finite = NonFinite(lambda name, text, step: self.event(EventKind.NON_FINITE, text, step, metric=name))
        self._rows = RowQueue(to_floats, self._warn, self.non_finite, verification)
        self._row = RunRow(store, key, attempt, folder, self._rows.last, self.non_finite)
        self._summary_is_new = False
        self._actions: deque[Callable[[MetricAppender], None]] = deque()
        self._events: deque[Event] = deque()
        self._complete: deque[CompleteCheckpoint] = deque()
        self._flush_work: list[Callable[[], None]] = []
        self._log = LogFile(folder)

    @property
    def last(self) -> dict[str, float]:
        """The newest value of every visible series."""
        return self._rows.last

    @property
    def degraded(self) -> str:
        """Why recording is behind; empty where it is not."""
        return self._row.degraded

    def _warn(self, step: int, text: str) -> None:
        self.event(EventKind.WARNING, text, step)

    def add(self, row: Row) -> None:
        """Appends metric values; they may be detached tensors."""
        self._rows.append(row)

    def restart_history(self) -> None:
        """Replaces the history by the rows appended from now on."""
        self._rows.append(HistoryRestart())

    def mark(self) -> HistoryMarker:
        """A marker after everything appended so far."""
        marker = HistoryMarker()
        self._rows.append(marker)
        return marker

    def settle(self, last_step: int | None = None) -> None:
        """Ends the comparison with earlier attempts; see `ReplayCheck.settle`."""
        if self.verification is not None:
            self.verification.is_settled = True
            self._rows.append(HistorySettled(last_step))

    def thin(self, stride: int) -> None:
        """Notifies the replay check that only every `stride`-th step of frequent series is recorded."""
        if self.verification is not None and stride > 1:
            self.verification.changes.strides |= {stride}

    def event(self, kind: EventKind, text: str, step: int | None = None, **data: object) -> None:
        """Appends an event."""
        self._events.append(Event(time.time(), step, kind, text, data))

    def log(self, text: str) -> None:
        """Appends a line to the run's log."""
        self._log.append(text)

    def progress(self, **values: object) -> None:
        """Sets the run's progress; the newest values win."""
        self._row.progress = values

    def summary(self, **values: object) -> None:
        """Adds to the summary in the run's row, such as the best value."""
        self._row.summary.update(values)
        self._summary_is_new = True

    def current_summary(self) -> dict[str, Any]:
        """The whole summary; see `RunRow.current_summary`."""
        return self._row.current_summary()

    def medium(self, medium: Medium) -> None:
        """Records a file already written to the run folder."""
        stored = medium._replace(name=storable(medium.name), caption=storable(medium.caption))
        self._actions.append(lambda appender: appender.add_medium(stored))

    def at_every_flush(self, work: Callable[[], None]) -> None:
        """Calls `work` with every flush; what fails in the store is tried again."""
        self._flush_work.append(work)

    def checkpoint(
        self, checkpoint: Checkpoint, instead_of: Sequence[str] = (), at: HistoryMarker | None = None
    ) -> None:
        """Announces a checkpoint already complete on disk.

        The files it replaces are deleted after the commit: whenever the process is killed, the store names only
        existing files.

        Args:
            checkpoint: The checkpoint.
            instead_of: Paths, in the run's folder, of the checkpoints it replaces.
            at: The marker at which its state was copied; the present end of the history without it.
        """

        def announce(appender: MetricAppender) -> None:
            position = at.position if at is not None and at.position is not None else appender.position()
            self._complete.append(CompleteCheckpoint(checkpoint._replace(place=position.to_text()), instead_of))

        self._actions.append(announce)
