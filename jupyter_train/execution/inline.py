"""Carries a run out in this process, blocking, training the model in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_train.execution.attempt import attempt
from jupyter_train.execution.job import Job, create, prepare
from jupyter_train.run import RunRecord
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.owner import OwnerLock
from jupyter_train.training.interrupt import InterruptWatch


@dataclass
class Done:
    """A run that has ended, with what it left in memory."""

    record: RunRecord
    module: Any
    source: Any
    error: BaseException | None


def carry_out(store: Store, job: Job) -> Done:
    """Trains, records, and gives what is left; the error to raise is in the result.

    Raises:
        JupyterTrainError: Model, data or options do not fit; no run was made.
        TrainingInterrupted: The user pressed Interrupt twice.
    """
    from jupyter_train.training import seeds

    kernel_state = seeds.KernelRandomState()
    try:
        prepared = prepare(job)
        record = create(store, job, prepared.model)
        lock = OwnerLock(RunFolder(record.folder).lock)
        lock.acquire()
        try:
            with InterruptWatch() as interrupt:
                outcome = attempt(store, job, prepared, record, interrupt)
        finally:
            lock.release()
        return Done(store.get(record.key), prepared.module, prepared.source, outcome.error)
    finally:
        kernel_state.restore()
