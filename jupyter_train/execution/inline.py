"""Carries a run out in this process, blocking, training the model in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_train.exceptions import StoreError
from jupyter_train.execution.job import Job, PreparedRun, RunResult, create
from jupyter_train.execution.run_attempt import attempt
from jupyter_train.execution.start_point import StartPoint, begin_fork, go_on
from jupyter_train.run import RunRecord
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.run_lock import RunLock
from jupyter_train.training.interrupt import InterruptWatch

if TYPE_CHECKING:
    from jupyter_train.training.fit import FitResult


def run_inline(store: Store, job: Job, prepared: PreparedRun) -> RunResult:
    """Trains, records, and gives what is left.

    Raises:
        TrainingInterrupted: The user pressed Interrupt twice.
    """
    record, lock, again = begin(store, job, prepared)
    try:
        with InterruptWatch(job.patience_s) as interrupt:
            outcome = attempt(store, job, prepared, record, interrupt, again)
    finally:
        lock.release()
    interrupt.pass_on()
    return RunResult(_row_of(store, record, outcome), prepared.module, prepared.source, outcome.error)


def _row_of(store: Store, record: RunRecord, outcome: FitResult) -> RunRecord:
    """The run's row as it is now.

    Raises:
        StoreError: The store is gone, or does not answer.
    """
    try:
        return store.get(record.key)
    except StoreError as err:
        raise StoreError(
            f"`{record.ref}` has {outcome.status}, the model is trained, and the run store is gone ({err}). What was "
            f"recorded is in `{record.folder}`: `jupyter train doctor --adopt {record.folder}` takes it in again"
        ) from err


def begin(
    store: Store, job: Job, prepared: PreparedRun, made: tuple[RunRecord, RunLock] | None = None
) -> tuple[RunRecord, RunLock, StartPoint | None]:
    """A run this process owns: a new one, one at another's checkpoint, or the next attempt at an old one.

    Args:
        store: Where it is recorded.
        job: What is to be done.
        prepared: Its model and data.
        made: The run and its lock, where it has been recorded already and this process owns it.

    Raises:
        JupyterTrainError: It cannot be begun, or cannot go on.
    """
    config = job.config
    if config.resume is not None:
        return go_on(store, job, prepared, store.find(config.resume).key)
    again = None
    if config.fork is not None:
        job.parent, again = begin_fork(store, config, prepared)
    if made is not None:
        return *made, again
    record = create(store, job, prepared.model)
    lock = RunLock(RunFolder(record.folder).lock)
    lock.acquire()
    return record, lock, again
