"""Trains a run in this process, blocking, its model in place."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from jupyter_train.exceptions import StoreError
from jupyter_train.execution.preparation import PreparedRun
from jupyter_train.execution.run_attempt import attempt
from jupyter_train.execution.run_spec import RunSpec, create
from jupyter_train.execution.start_point import begin_attempt, begin_fork
from jupyter_train.run import RunRecord, RunRole, RunStatus
from jupyter_train.store import Store
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.takeover import own
from jupyter_train.training.interrupt import InterruptWatch

if TYPE_CHECKING:
    from jupyter_train.training.checkpoints.resume import StartPoint
    from jupyter_train.training.result import RunResult
    from jupyter_train.training.run_observer import RunObserver


def run_inline(store: Store, spec: RunSpec, prepared: PreparedRun, observer: RunObserver) -> RunResult:
    """Trains and records a run; the result holds the error to raise.

    Args:
        store: Where it is recorded.
        spec: What was requested.
        prepared: Its model and data.
        observer: Follows it.

    Raises:
        TrainingInterrupted: The user pressed Interrupt twice.
    """
    record, lock, start = begin(store, spec, prepared)
    try:
        with InterruptWatch(spec.interrupt_timeout_s) as interrupt:
            result = attempt(store, spec, prepared, record, interrupt, start, observer)
    finally:
        lock.release()
    interrupt.pass_on()
    result.record = _row_of(store, record, result.status)
    result.module, result.source = prepared.module, prepared.source
    return result


def _row_of(store: Store, record: RunRecord, status: RunStatus) -> RunRecord:
    """The run's row as it is now.

    Raises:
        StoreError: The store is gone, or does not answer.
    """
    try:
        return store.get(record.key)
    except StoreError as err:
        raise StoreError(
            f"`{record.ref}` has {status}, the model is trained, and the run store is gone ({err}). What was "
            f"recorded is in `{record.folder}`: `jupyter train doctor --adopt {record.folder}` takes it in again"
        ) from err


def begin(
    store: Store, spec: RunSpec, prepared: PreparedRun, owned: tuple[RunRecord, RunLock] | None = None
) -> tuple[RunRecord, RunLock, StartPoint | None]:
    """A run this process owns: a new one, one at another's checkpoint, or the next attempt at an old one.

    Args:
        store: Where it is recorded.
        spec: What was requested.
        prepared: Its model and data.
        owned: The run and its lock, where it has been recorded already and this process owns it.

    Raises:
        JupyterTrainError: It cannot be begun, or cannot be resumed.
    """
    config = spec.config
    if config.resume is not None:
        return begin_attempt(store, spec, prepared, store.find(config.resume).key)
    start = None
    if config.fork is not None:
        parent, start = begin_fork(store, config, prepared)
        spec = dataclasses.replace(spec, parent=parent)
    if owned is not None:
        return *owned, start
    record = create(store, spec, prepared.model, is_begun=spec.role is RunRole.TRIAL)
    return record, own(record), start
