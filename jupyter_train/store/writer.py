"""The writer thread of a run's owner: commits what training appends every 0.2 to 0.7 s."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from jupyter_train.exceptions import FencedError, RunStateError, StoreError
from jupyter_train.run import RunStatus
from jupyter_train.store import adopt, pending_end, run_lock
from jupyter_train.store.log_file import LogFile
from jupyter_train.store.metric_values import MetricValues
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import WEIGHTS, Checkpoint, HistoryPosition, Medium
from jupyter_train.store.non_finite import NonFinite
from jupyter_train.store.redaction import mask, mask_tree
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.runs import Event, Store
from jupyter_train.store.text_columns import storable, storable_tree

PERIOD_S = 0.2
#: On a busy machine the writer pauses longer, so that it takes about 1 % of a processor, but never longer than this.
MAX_PERIOD_S = 0.7
_SHARE = 0.01
SUMMARY_PERIOD_S = 3.0
CLOSE_TIMEOUT_S = 5.0
_FAULTS = (sqlite3.Error, OSError, sa.exc.SQLAlchemyError, StoreError)


class Row(NamedTuple):
    """Values logged at one step, as (name, value) pairs."""

    step: int
    epoch: float
    time: float
    values: Sequence[tuple[str, Any]]


class HistoryMarker:
    """Marks a position in the queue of rows; `position` is set once the writer has taken all rows before it."""

    def __init__(self) -> None:
        self.position: HistoryPosition | None = None


class HistoryRestart:
    """From here on the series restart at step 0."""


class HistorySettled(NamedTuple):
    """From here on no expected value comes any more: the run has ended at `last_step`, or passed all of them."""

    last_step: int | None


class _Complete(NamedTuple):
    """A checkpoint that is on disk and not announced yet, and the paths of those it replaces."""

    checkpoint: Checkpoint
    instead_of: Sequence[str]


class RunWriter:
    """Writes everything that a live run records; appending never waits for the disk.

    Where a commit fails (disk full, file locked), rows stay in memory, the run is marked `degraded`, and the
    next successful commit writes them. Once a later attempt has begun, nothing is written any more and `fenced`
    holds the reason.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        folder: RunFolder,
        to_floats: Callable[[list[Any]], list[float]] | None = None,
        attempt: int = 1,
        verification: ReplayCheck | None = None,
    ) -> None:
        self.folder = folder
        self.verification = verification
        self.degraded = ""
        self.fenced = ""
        self._attempt = attempt
        self.last: dict[str, float] = {}
        self._store = store
        self._key = key
        self._metric_values = MetricValues(
            to_floats or _to_floats, lambda step, words: self.event("warning", words, step)
        )
        self._rows: deque[Row | HistoryMarker | HistoryRestart | HistorySettled] = deque()
        self._actions: deque[Callable[[MetricAppender], None]] = deque()
        self._events: deque[Event] = deque()
        self._complete: deque[_Complete] = deque()
        self._obsolete: list[Path] = []
        self._replaced: list[str] = []
        self._flush_work: list[Callable[[], None]] = []
        self._progress: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._summary_is_new = False
        self.non_finite = NonFinite(lambda name, words, step: self.event("nan", words, step, metric=name))
        self._log = LogFile(folder)
        self._appender = MetricAppender(folder.metrics, attempt)
        self._summary_due = 0.0
        self._has_recoverable_fields = False
        self._began = time.monotonic()
        self._ended: tuple[float, float] | None = None
        self._closing = threading.Event()
        self._flushing = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="jupyter_train writer", daemon=True)
        self._thread.start()

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
        """Tells the replay check that only every `stride`-th step of frequent series is recorded."""
        if self.verification is not None and stride > 1:
            self.verification.changes.strides |= {stride}

    def event(self, kind: str, text: str, step: int | None = None, **data: Any) -> None:
        """Appends an event."""
        self._events.append(Event(time.time(), step, kind, text, data))

    def log(self, text: str) -> None:
        """Appends a line to the run's log."""
        self._log.append(text)

    def progress(self, **values: Any) -> None:
        """Sets the run's progress; the newest values win."""
        self._progress = values

    def summary(self, **values: Any) -> None:
        """Adds to the summary in the run's row, such as the best value."""
        self._summary.update(values)
        self._summary_is_new = True

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
            self._complete.append(_Complete(checkpoint._replace(place=position.to_text()), instead_of))

        self._actions.append(announce)

    def _loop(self) -> None:
        pause = PERIOD_S
        while not self._closing.wait(pause):
            began = time.thread_time()
            self.flush()
            pause = min(MAX_PERIOD_S, max(PERIOD_S, (time.thread_time() - began) / _SHARE))

    def flush(self) -> bool:
        """Writes everything appended so far; returns whether all of it is on disk. Never raises."""
        with self._flushing:
            if self.fenced:
                return True
            try:
                self._keep_recoverable_fields()
                self._take_rows()
                self._commit()
                self._clear_degraded()
            except FencedError as err:
                self._stop_fenced(err)
                return True
            except Exception as err:  # noqa: BLE001  an ended thread would stop recording silently
                self._set_degraded(err)
                return False
            return True

    def _keep_recoverable_fields(self) -> None:
        """Once: copies the recoverable fields of the run's row to `metrics.db`, for `adopt`."""
        if not self._has_recoverable_fields:
            with contextlib.suppress(*_FAULTS):  # curves are written although the store does not answer
                self._appender.set_meta(adopt.META, adopt.recoverable_fields(self._store.get(self._key)))
                self._has_recoverable_fields = True

    def _take_rows(self) -> None:
        """Moves appended rows to the appender; their values are copied to the host in one batch."""
        taken = [self._rows.popleft() for _ in range(len(self._rows))]
        rows = [row for row in taken if type(row) is Row]
        names = {name: storable(name) for name in dict.fromkeys(name for row in rows for name, _ in row.values)}
        try:
            self._appender.prepare(names.values())
        except BaseException:
            self._rows.extendleft(reversed(taken))
            raise
        places = ((row.step, name) for row in rows for name, _ in row.values)
        numbers = self._metric_values.of([value for row in rows for _, value in row.values], places)
        for row in taken:
            self._process_row(row, numbers, names)  # must not raise: the rows after it would be lost
        if self.verification is not None and self.verification.is_new:
            self._report_verdict(self.verification)
        while self._actions:
            self._actions[0](self._appender)
            self._actions.popleft()
        self._appender.set_meta("progress", storable_tree(self._progress) | {"at": time.time()})
        if self._summary_is_new:
            self._summary_is_new = False
            self._appender.set_meta("summary", storable_tree(mask_tree(self._summary.copy())))

    def _process_row(
        self,
        row: Row | HistoryMarker | HistoryRestart | HistorySettled,
        numbers: Iterator[float | None],
        names: Mapping[str, str],
    ) -> None:
        if isinstance(row, Row):
            for (name, _), value in zip(row.values, numbers, strict=False):
                if value is None:
                    continue
                try:
                    self._append(names[name], Point(row.step, row.epoch, value, row.time))
                except Exception as err:  # noqa: BLE001  a sum that overflows, or a bug of the package
                    self._metric_values.leave_out(row.step, name, err)
        elif isinstance(row, HistoryMarker):
            row.position = self._appender.position()
        elif isinstance(row, HistoryRestart):
            self._appender.restart_history()
        elif self.verification is not None:
            self.verification.settle(row.last_step)

    def _append(self, name: str, point: Point) -> None:
        self._appender.append(name, point)
        if name != WEIGHTS:
            if not math.isfinite(point.value):
                self.non_finite.see(name, point.value, point.step, name not in self.last)
            elif self.non_finite.now:
                self.non_finite.back(name)
            self.last[name] = point.value
        if self.verification is not None:
            self.verification.see(name, point)

    def _report_verdict(self, verification: ReplayCheck) -> None:
        verification.is_new = False
        message = verification.words
        self.summary(
            resume={
                "attempt": verification.attempt,
                "from_step": verification.from_step,
                "verdict": verification.verdict,
                "words": message,
            }
        )
        if kind := verification.kind_to_report():
            self.event(kind, f"attempt {verification.attempt} {message}", verification.step)

    def _commit(self) -> None:
        self._commit_rows()
        self._log.flush()
        if self._events:
            taken = [self._events.popleft() for _ in range(len(self._events))]
            try:
                self._store.add_events(self._key, taken, self._attempt)
            except BaseException:
                self._events.extendleft(reversed(taken))
                raise
        if self._complete:
            self._announce_checkpoints()
            self._commit_rows()
        failed = [err for err in map(_exception_of, self._flush_work) if err is not None]
        if time.monotonic() >= self._summary_due:
            self._write_summary()
            self._summary_due = time.monotonic() + SUMMARY_PERIOD_S
        if failed and not self._closing.is_set():  # the run's end does not wait for it
            raise failed[0]

    def _commit_rows(self) -> None:
        self._appender.commit()
        while self._obsolete:
            self._obsolete.pop().unlink(missing_ok=True)

    def _announce_checkpoints(self) -> None:
        """Announces the complete checkpoints, once the store has their hashes.

        A checkpoint without a hash in the store would not be read.
        """
        complete = list(self._complete)
        hashes = {checkpoint.path: checkpoint.sha256 for checkpoint, _ in complete}
        self._store.anchor(self._key, hashes, self._replaced, self._attempt)
        self._replaced = [path for _, replaced in complete for path in replaced]
        for checkpoint, replaced in complete:
            self._complete.popleft()
            self._appender.add_checkpoint(checkpoint)
            for path in replaced:
                self._appender.remove_checkpoint(path)
                self._obsolete.append(self.folder.path / path)

    def summary_now(self) -> dict[str, Any]:
        """The present summary."""
        last = {name: value if math.isfinite(value) else None for name, value in self.last.copy().items()}
        return {"progress": self._progress, "last": last, "elapsed_s": self._end_time()[1], **self._summary}

    def _end_time(self) -> tuple[float, float]:
        """Unix time now, or when the run ended, and the seconds since it began on a monotonic clock."""
        return self._ended or (time.time(), round(time.monotonic() - self._began, 3))

    def _write_summary(self) -> None:
        self._store.update(
            self._key,
            self._attempt,
            summary=self.summary_now(),
            heartbeat_at=time.time(),
            size_bytes=self.folder.size_bytes(),
        )

    def _stop_fenced(self, err: FencedError) -> None:
        """Drops what is queued: another process owns the run now, and this is not its history."""
        self.fenced = str(err)
        self._closing.set()
        self._rows.clear()
        self._actions.clear()
        self._events.clear()
        self._obsolete.clear()
        self._complete.clear()

    def _set_degraded(self, err: Exception) -> None:
        text = f"recording waits: {mask(str(getattr(err, 'orig', None) or err))}"
        if self.degraded != text:
            self.degraded = text
            with contextlib.suppress(*_FAULTS, FencedError):
                self._store.update(self._key, self._attempt, degraded=text)

    def _clear_degraded(self) -> None:
        if self.degraded:
            self._store.update(self._key, self._attempt, degraded="")
            self.degraded = ""
            self.event("recovered", "recording caught up; nothing was lost")

    def close(self, status: RunStatus, message: str = "") -> bool:
        """Writes the rest and the final status; True when all of it is on disk.

        Where that fails for a few seconds, a background thread keeps trying.
        """
        self._end_now()
        self._thread.join(timeout=30)
        self._summary_due = math.inf  # it is written with the status
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while not self._finish(status, message):
            self._keep_pending_end(status, message)
            if time.monotonic() > deadline:
                self.close_later(status, message)
                return False
            time.sleep(PERIOD_S)
        return True

    def close_later(self, status: RunStatus, message: str = "") -> None:
        """Closes in a background thread, which tries until it succeeds; the run's lock is held until then."""
        self._end_now()
        lock = run_lock.lock_of(self.folder.lock)
        if lock is not None:
            lock.defer_release()
        threading.Thread(target=self._finish_later, args=(status, message, lock), daemon=True).start()

    def _end_now(self) -> None:
        self._closing.set()
        self._ended = self._end_time()

    def _finish(self, status: RunStatus, message: str) -> bool:
        if not self.flush():
            return False
        if self.fenced:
            self._appender.close()
            return True
        try:
            if self._events:
                self.flush()
            message = self._final_message(status, message)
            self._store.set_status(
                self._key,
                status,
                self._attempt,
                ended_at=self._end_time()[0],
                heartbeat_at=time.time(),
                message=message,
                summary=self.summary_now(),
                size_bytes=self.folder.size_bytes(),
            )
        except FencedError as err:
            self._stop_fenced(err)
            self._appender.close()
            return True
        except RunStateError:
            if self._store.get(self._key).status is not status:  # else another process has applied the pending end
                raise
        except _FAULTS as err:
            self._set_degraded(err)
            return False
        pending_end.save_recorded(self.folder.lock, self._attempt_end(status, message))
        self._appender.close()
        self.folder.make_private()
        return True

    def _final_message(self, status: RunStatus, message: str) -> str:
        """The message of the run's end; where its loss was not finite, a message about that."""
        if status not in (RunStatus.FINISHED, RunStatus.STOPPED) or not self.non_finite.ended_with:
            return message
        self._summary["ended_with"] = self.non_finite.ended_with
        return message or self.non_finite.words

    def _keep_pending_end(self, status: RunStatus, message: str) -> None:
        """Keeps the run's end in its lock file: the store does not accept it yet."""
        problem = f"{self.degraded}; how it ended is kept in its folder until the store accepts it"
        pending_end.save_pending(self.folder.lock, self._attempt_end(status, message, problem))

    def _attempt_end(self, status: RunStatus, message: str, problem: str = "") -> pending_end.AttemptEnd:
        message = mask(self._final_message(status, message))
        summary = {name: value for name, value in self.summary_now().items() if name in ("elapsed_s", "ended_with")}
        return pending_end.AttemptEnd(self._attempt, status, self._end_time()[0], message, problem, summary)

    def _finish_later(self, status: RunStatus, message: str, lock: run_lock.RunLock | None) -> None:
        try:
            with contextlib.suppress(RunStateError):  # an interrupted `close` had already written the end
                while not self._finish(status, message):
                    self._keep_pending_end(status, message)
                    time.sleep(5 * PERIOD_S)
        finally:
            if lock is not None:
                lock.allow_release()


def _exception_of(work: Callable[[], None]) -> Exception | None:
    """The exception that `work` raises, or None: later work and the heartbeat go on."""
    try:
        work()
    except Exception as err:  # noqa: BLE001  raised once the other work is done
        return err
    return None


def _to_floats(values: list[Any]) -> list[float]:
    return [float(value) for value in values]
