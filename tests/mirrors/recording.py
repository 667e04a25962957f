"""A run that a test records itself, for a mirror to follow."""

from __future__ import annotations

import time
from pathlib import Path

from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter
from jupyter_train.store.run_lock import RunLock


def begun(store):
    """A run that this process records: its row, folder, lock and writer."""
    record = store.create_run("digits")
    folder = RunFolder(record.folder)
    lock = RunLock(folder.lock)
    lock.acquire()
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    return record, folder, lock, RunWriter(store, record.key, folder)


def stored(folder: Path) -> dict[str, list[tuple[int, float]]]:
    with MetricReader(RunFolder(folder).metrics) as reader:
        return {name: [(p.step, p.value) for p in reader.points(name)] for name in reader.counts()}
