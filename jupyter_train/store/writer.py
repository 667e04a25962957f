"""The owner's writer thread: takes what training appends and commits it every 0.2 to 0.7 s."""

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
#: On a busy machine the writer waits longer, so that it takes about 1 % of a processor; never past 1 s in all.
MAX_PERIOD_S = 0.7
_SHARE = 0.01
SUMMARY_PERIOD_S = 3.0
CLOSE_TIMEOUT_S = 5.0
_FAULTS = (sqlite3.Error, OSError, sa.exc.SQLAlchemyError, StoreError)


class Row(NamedTuple):
    """Values of one moment: (name, value) pairs sharing a step."""

    step: int
    epoch: float
    time: float
    values: Sequence[tuple[str, Any]]


class HistoryMarker:
    """A moment of the history: once all rows before it are with the writer, it knows how many those are."""

    def __init__(self) -> None:
        self.place: HistoryPosition | None = None


class HistoryRestart:
    """From here on the series begin anew."""


class HistorySettled(NamedTuple):
    """From here on nothing that was recorded before comes again: the run has ended at a step, or went past it all."""

    last_step: int | None


class _Complete(NamedTuple):
    """A checkpoint that is on disk and not announced, and the paths of those it replaces."""

    checkpoint: Checkpoint
    instead_of: Sequence[str]


class RunWriter:
    """Everything a live run writes goes through here; appending never waits for a disk.

    What cannot be written (disk full, file locked) waits in memory, the run is marked `degraded`, and the
    next successful commit writes it all. Once a later attempt has begun elsewhere, nothing is written any more:
    `fenced` says so.
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
        self._numbers = MetricValues(to_floats or _to_floats, lambda step, words: self.event("warning", words, step))
        self._rows: deque[Row | HistoryMarker | HistoryRestart | HistorySettled] = deque()
        self._actions: deque[Callable[[MetricAppender], None]] = deque()
        self._events: deque[Event] = deque()
        self._complete: deque[_Complete] = deque()
        self._obsolete: list[Path] = []
        self._gone: list[str] = []
        self._also: list[Callable[[], None]] = []
        self._progress: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._summary_is_new = False
        self.non_finite = NonFinite(lambda name, words, step: self.event("nan", words, step, metric=name))
        self._log = LogFile(folder)
        self._appender = MetricAppender(folder.metrics, attempt)
        self._summary_due = 0.0
        self._is_described = False
        self._began = time.monotonic()
        self._ended: tuple[float, float] | None = None
        self._closing = threading.Event()
        self._flushing = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="jupyter_train writer", daemon=True)
        self._thread.start()

    def add(self, row: Row) -> None:
        """Appends metric values; they may be detached tensors."""
        self._rows.append(row)

    def begin_anew(self) -> None:
        """Rows appended from now on take the place of those before."""
        self._rows.append(HistoryRestart())

    def mark(self) -> HistoryMarker:
        """Marks this moment: everything appended so far lies before it."""
        marker = HistoryMarker()
        self._rows.append(marker)
        return marker

    def settle(self, last_step: int | None = None) -> None:
        """Says that what has not come again of an earlier attempt's values never will; see `Verification.settle`."""
        if self.verification is not None:
            self.verification.is_settled = True
            self._rows.append(HistorySettled(last_step))

    def thin(self, stride: int) -> None:
        """Says that of frequent series only every `stride`-th step is recorded."""
        if self.verification is not None and stride > 1:
            self.verification.changes.strides |= {stride}

    def event(self, kind: str, text: str, step: int | None = None, **data: Any) -> None:
        """Appends an event."""
        self._events.append(Event(time.time(), step, kind, text, data))

    def log(self, text: str) -> None:
        """Appends a line to the run's log."""
        self._log.append(text)

    def progress(self, **values: Any) -> None:
        """Says where the run is; the newest values win."""
        self._progress = values

    def summary(self, **values: Any) -> None:
        """Adds to the summary in the run's row, such as the best value."""
        self._summary.update(values)
        self._summary_is_new = True

    def medium(self, medium: Medium) -> None:
        """Records a file already written to the run folder."""
        kept = medium._replace(name=storable(medium.name), caption=storable(medium.caption))
        self._actions.append(lambda appender: appender.add_medium(kept))

    def at_every_flush(self, work: Callable[[], None]) -> None:
        """Does this too whenever it writes; what fails in the store is tried again."""
        self._also.append(work)

    def checkpoint(
        self, checkpoint: Checkpoint, instead_of: Sequence[str] = (), at: HistoryMarker | None = None
    ) -> None:
        """Announces a checkpoint already complete on disk.

        The files it replaces are deleted once that is committed: whenever the process is killed, the store names
        files that are there.

        Args:
            checkpoint: The checkpoint.
            instead_of: Paths, in the run's folder, of those it replaces.
            at: The moment of the history at which it was taken.
        """

        def announce(appender: MetricAppender) -> None:
            place = at.place if at is not None and at.place is not None else appender.place()
            self._complete.append(_Complete(checkpoint._replace(place=place.to_text()), instead_of))

        self._actions.append(announce)

    def _loop(self) -> None:
        pause = PERIOD_S
        while not self._closing.wait(pause):
            began = time.thread_time()
            self.flush()
            pause = min(MAX_PERIOD_S, max(PERIOD_S, (time.thread_time() - began) / _SHARE))

    def flush(self) -> bool:
        """Writes what waits; True when nothing is left to be written. Never raises."""
        with self._flushing:
            if self.fenced:
                return True
            try:
                self._describe()
                self._take()
                self._commit()
                self._clear_degraded()
            except FencedError as err:
                self._shut_out(err)
                return True
            except Exception as err:  # noqa: BLE001  a thread that has ended would record nothing, and say nothing
                self._set_degraded(err)
                return False
            return True

    def _describe(self) -> None:
        """Once: what the run's row says, beside its curves, so that the row can be made again."""
        if not self._is_described:
            with contextlib.suppress(*_FAULTS):  # a store that does not answer keeps no curves from being written
                self._appender.set_meta(adopt.META, adopt.described(self._store.get(self._key)))
                self._is_described = True

    def _take(self) -> None:
        """Moves appended rows into the appender; values are brought to the host in one batch."""
        taken = [self._rows.popleft() for _ in range(len(self._rows))]
        rows = [row for row in taken if type(row) is Row]
        names = {name: storable(name) for name in dict.fromkeys(name for row in rows for name, _ in row.values)}
        try:
            self._appender.prepare(names.values())
        except BaseException:
            self._rows.extendleft(reversed(taken))
            raise
        places = ((row.step, name) for row in rows for name, _ in row.values)
        numbers = self._numbers.of([value for row in rows for _, value in row.values], places)
        for row in taken:
            self._enter(row, numbers, names)  # raises nothing: the rows after it would be lost
        if self.verification is not None and self.verification.is_new:
            self._tell_verification(self.verification)
        while self._actions:
            self._actions[0](self._appender)
            self._actions.popleft()
        self._appender.set_meta("progress", storable_tree(self._progress) | {"at": time.time()})
        if self._summary_is_new:
            self._summary_is_new = False
            self._appender.set_meta("summary", storable_tree(mask_tree(self._summary.copy())))

    def _enter(
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
                except Exception as err:  # noqa: BLE001  a sum beyond a float, or a slip of ours
                    self._numbers.leave_out(row.step, name, err)
        elif isinstance(row, HistoryMarker):
            row.place = self._appender.place()
        elif isinstance(row, HistoryRestart):
            self._appender.begin_anew()
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

    def _tell_verification(self, verification: ReplayCheck) -> None:
        verification.is_new = False
        words = verification.words
        self.summary(
            resume={
                "attempt": verification.attempt,
                "from_step": verification.from_step,
                "verdict": verification.verdict,
                "words": words,
            }
        )
        if kind := verification.kind_to_tell():
            self.event(kind, f"attempt {verification.attempt} {words}", verification.step)

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
            self._vouch()
            self._commit_rows()
        failed = [err for err in map(_failure_of, self._also) if err is not None]
        if time.monotonic() >= self._summary_due:
            self._write_summary()
            self._summary_due = time.monotonic() + SUMMARY_PERIOD_S
        if failed and not self._closing.is_set():  # nothing of how a run ended waits for it
            raise failed[0]

    def _commit_rows(self) -> None:
        self._appender.commit()
        while self._obsolete:
            self._obsolete.pop().unlink(missing_ok=True)

    def _vouch(self) -> None:
        """Hands the checkpoints that are complete to the appender, once the store has their hashes.

        A checkpoint that the store does not vouch for would not be read.
        """
        complete = list(self._complete)
        hashes = {one.checkpoint.path: one.checkpoint.sha256 for one in complete}
        self._store.anchor(self._key, hashes, self._gone, self._attempt)
        self._gone = [path for one in complete for path in one.instead_of]
        for one in complete:
            self._complete.popleft()
            self._appender.add_checkpoint(one.checkpoint)
            for path in one.instead_of:
                self._appender.remove_checkpoint(path)
                self._obsolete.append(self.folder.path / path)

    def summary_now(self) -> dict[str, Any]:
        """The summary as it would be written now."""
        last = {name: value if math.isfinite(value) else None for name, value in self.last.copy().items()}
        return {"progress": self._progress, "last": last, "elapsed_s": self._moment()[1], **self._summary}

    def _moment(self) -> tuple[float, float]:
        """Now, or when the run ended, as Unix time, and the seconds since it began, whatever the clock was set to."""
        return self._ended or (time.time(), round(time.monotonic() - self._began, 3))

    def _write_summary(self) -> None:
        self._store.update(
            self._key,
            self._attempt,
            summary=self.summary_now(),
            heartbeat_at=time.time(),
            size_bytes=self.folder.size_bytes(),
        )

    def _shut_out(self, err: FencedError) -> None:
        """Another process owns the run now: what waits here is not its history."""
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

        When the disk still refuses after a few seconds, a background thread goes on trying until it does.
        """
        self._end_now()
        self._thread.join(timeout=30)
        self._summary_due = math.inf  # it is written with the status
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while not self._finish(status, message):
            self._keep_end(status, message)
            if time.monotonic() > deadline:
                self.close_later(status, message)
                return False
            time.sleep(PERIOD_S)
        return True

    def close_later(self, status: RunStatus, message: str = "") -> None:
        """Closes in a thread of its own, which tries until the disk lets it; the run's lock is held until then."""
        self._end_now()
        lock = run_lock.lock_of(self.folder.lock)
        if lock is not None:
            lock.hold()
        threading.Thread(target=self._finish_later, args=(status, message, lock), daemon=True).start()

    def _end_now(self) -> None:
        self._closing.set()
        self._ended = self._moment()

    def _finish(self, status: RunStatus, message: str) -> bool:
        if not self.flush():
            return False
        if self.fenced:
            self._appender.close()
            return True
        try:
            if self._events:
                self.flush()
            message = self._judged(status, message)
            self._store.set_status(
                self._key,
                status,
                self._attempt,
                ended_at=self._moment()[0],
                heartbeat_at=time.time(),
                message=message,
                summary=self.summary_now(),
                size_bytes=self.folder.size_bytes(),
            )
        except FencedError as err:
            self._shut_out(err)
            self._appender.close()
            return True
        except RunStateError:
            if self._store.get(self._key).status is not status:  # else it was settled from what is kept beside it
                raise
        except _FAULTS as err:
            self._set_degraded(err)
            return False
        pending_end.note(self.folder.lock, self._end(status, message))
        self._appender.close()
        self.folder.make_private()
        return True

    def _judged(self, status: RunStatus, message: str) -> str:
        """The message; of a run that ended well and with no finite loss, the reason why it did not."""
        if status not in (RunStatus.FINISHED, RunStatus.STOPPED) or not self.non_finite.ended_with:
            return message
        self._summary["ended_with"] = self.non_finite.ended_with
        return message or self.non_finite.words

    def _keep_end(self, status: RunStatus, message: str) -> None:
        """Says how the run ended where it can be said: the store does not take it yet."""
        problem = f"{self.degraded}; how it ended is kept beside it until the store takes it"
        pending_end.keep(self.folder.lock, self._end(status, message, problem))

    def _end(self, status: RunStatus, message: str, problem: str = "") -> pending_end.AttemptEnd:
        message = mask(self._judged(status, message))
        summary = {name: value for name, value in self.summary_now().items() if name in ("elapsed_s", "ended_with")}
        return pending_end.AttemptEnd(self._attempt, status, self._moment()[0], message, problem, summary)

    def _finish_later(self, status: RunStatus, message: str, lock: run_lock.RunLock | None) -> None:
        try:
            with contextlib.suppress(RunStateError):  # a close that was cut short had already said how the run ended
                while not self._finish(status, message):
                    self._keep_end(status, message)
                    time.sleep(5 * PERIOD_S)
        finally:
            if lock is not None:
                lock.let_go()


def _failure_of(work: Callable[[], None]) -> Exception | None:
    """What a piece of work raises: the next one, and the heartbeat, do not wait for it."""
    try:
        work()
    except Exception as err:  # noqa: BLE001  raised again once the rest is done
        return err
    return None


def _to_floats(values: list[Any]) -> list[float]:
    return [float(value) for value in values]
