"""A Jupyter server with our extension, and a run that lives."""

from __future__ import annotations

import pytest

from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, open_store
from jupyter_train.store.run_lock import RunLock


@pytest.fixture
def jp_server_config():
    return {"ServerApp": {"jpserver_extensions": {"jupyter_train": True}}}


@pytest.fixture
def live_run(own_store):
    """A run whose owner is this process, as a fit would be."""
    store = open_store()
    record = store.create_run("digits")
    lock = RunLock(RunFolder(record.folder).lock)
    lock.acquire()
    store.set_status(record.key, RunStatus.RUNNING)
    yield record
    lock.release()
