"""The writer thread of a run's owner: commits what training appends every 0.2 to 0.7 s."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from jupyter_train.events import EventKind
from jupyter_train.exceptions import FencedError, RunStateError, StoreError
from jupyter_train.run import RunStatus
from jupyter_train.store import adopt, run_lock
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.redaction import mask, mask_tree
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.store.row_queue import HistoryMarker as HistoryMarker
from jupyter_train.store.row_queue import Row as Row
from jupyter_train.store.run_buffer import RunBuffer
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.runs import Store
from jupyter_train.store.text_columns import storable_tree

PERIOD_S = 0.2
#: On a busy machine the writer pauses longer, so that it takes about 1 % of a processor, but never longer than this.
MAX_PERIOD_S = 0.7
_SHARE = 0.01
SUMMARY_PERIOD_S = 3.0
CLOSE_TIMEOUT_S = 5.0
_FAULTS = (sqlite3.Error, OSError, sa.exc.SQLAlchemyError, StoreError)


class RunWriter(RunBuffer):
    """Commits everything that a live run appends, in a thread of its own.

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
        super().__init__(store, key, folder, to_floats or _to_floats, attempt, verification)
        self.fenced = ""
        self._attempt = attempt
        self._store = store
        self._key = key
        self._obsolete: list[Path] = []
        self._replaced: list[str] = []
        self._appender = MetricAppender(folder.metrics, attempt)
        self._summary_due = 0.0
        self._has_recoverable_fields = False
        self._closing = threading.Event()
        self._flushing = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="jupyter_train writer", daemon=True)
        self._thread.start()

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
        """Moves everything appended to the appender."""
        self._rows.move_to(self._appender)
        if self.verification is not None and self.verification.is_new:
            self._report_verdict(self.verification)
        while self._actions:
            self._actions[0](self._appender)
            self._actions.popleft()
        self._appender.set_meta("progress", storable_tree(self._row.progress) | {"at": time.time()})
        if self._summary_is_new:
            self._summary_is_new = False
            self._appender.set_meta("summary", storable_tree(mask_tree(self._row.summary.copy())))

    def _report_verdict(self, verification: ReplayCheck) -> None:
        verification.is_new = False
        self.summary(
            resume={
                "attempt": verification.attempt,
                "from_step": verification.from_step,
                "verdict": verification.verdict.value,
                "words": verification.message,
            }
        )
        if verification.take_report():
            self._events.append(verification.event())

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
            self._row.write_summary()
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
        with contextlib.suppress(*_FAULTS, FencedError):
            self._row.mark_degraded(f"recording waits: {mask(str(getattr(err, 'orig', None) or err))}")

    def _clear_degraded(self) -> None:
        if self.degraded:
            self._row.clear_degraded()
            self.event(EventKind.RECOVERED, "recording caught up; nothing was lost")

    def close(self, status: RunStatus, message: str = "") -> bool:
        """Writes the rest and the final status; True when all of it is on disk.

        Where that fails for a few seconds, a background thread keeps trying.
        """
        self._end_now()
        self._thread.join(timeout=30)
        self._summary_due = math.inf  # it is written with the status
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while not self._finish(status, message):
            self._row.save_pending_end(status, message)
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
        self._row.stop_clock()

    def _finish(self, status: RunStatus, message: str) -> bool:
        if not self.flush():
            return False
        if self.fenced:
            self._appender.close()
            return True
        try:
            if self._events:
                self.flush()
            self._row.write_end(status, message)
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
        self._row.save_recorded_end(status, message)
        self._appender.close()
        self.folder.make_private()
        return True

    def _finish_later(self, status: RunStatus, message: str, lock: run_lock.RunLock | None) -> None:
        try:
            with contextlib.suppress(RunStateError):  # an interrupted `close` had already written the end
                while not self._finish(status, message):
                    self._row.save_pending_end(status, message)
                    time.sleep(5 * PERIOD_S)
        finally:
            if lock is not None:
                lock.allow_release()


def _exception_of(work: Callable[[], None]) -> Exception | None:
    """The exception that `work` raises, or None: later work and the heartbeat continue."""
    try:
        work()
    except Exception as err:  # noqa: BLE001  raised once the other work is done
        return err
    return None


def _to_floats(values: list[Any]) -> list[float]:
    return [float(value) for value in values]
