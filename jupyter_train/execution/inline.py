"""Carries a run out in this process, blocking, training the model in place."""

from __future__ import annotations

from jupyter_train.execution.attempt import attempt
from jupyter_train.execution.job import Done, Job, Prepared, create
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.owner import OwnerLock
from jupyter_train.training.interrupt import InterruptWatch


def carry_out(store: Store, job: Job, prepared: Prepared) -> Done:
    """Trains, records, and gives what is left.

    Raises:
        TrainingInterrupted: The user pressed Interrupt twice.
    """
    record = create(store, job, prepared.model)
    lock = OwnerLock(RunFolder(record.folder).lock)
    lock.acquire()
    try:
        with InterruptWatch() as interrupt:
            outcome = attempt(store, job, prepared, record, interrupt)
    finally:
        lock.release()
    return Done(store.get(record.key), prepared.module, prepared.source, outcome.error)
