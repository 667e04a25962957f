"""The lock of a run: exclusive, and free once its process is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from jupyter_train.exceptions import (
    RunStateError,
)
from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.store.run_lock import RunLock, is_held
from tests.waiting import until

_OWNER = textwrap.dedent(
    """
    import os, sys, time
    from jupyter_train.store import *
    from jupyter_train.store.run_lock import RunLock
    from jupyter_train.store.writer import Row
    from jupyter_train.run import RunStatus
    store = open_store()
    record = store.create_run("digits")
    folder = RunFolder(record.folder)
    lock = RunLock(folder.lock); lock.acquire()
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    if "fork" in sys.argv and os.fork() == 0:
        time.sleep(60); os._exit(0)
    writer = RunWriter(store, record.key, folder)
    print(record.key, flush=True)
    step = 0
    while True:
        writer.add(Row(step, 0.0, time.time(), [("loss", float(step))]))
        step += 1
        time.sleep(0.002)
    """
)


@pytest.mark.parametrize("kind", ["plain", "fork"])
def test_a_killed_owner_is_lost_at_once_and_what_it_committed_is_there(store, kind: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER, kind], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        record = store.get(process.stdout.readline().strip())
        folder = RunFolder(record.folder)

        def points() -> int:
            assert store.status_of(record) is RunStatus.RUNNING
            with MetricReader(folder.metrics) as reader:
                return reader.counts().get("loss", 0)

        until(lambda: points() >= 200, process=process)
        acknowledged = points()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert store.status_of(store.get(record.key)) is RunStatus.LOST
        with MetricReader(folder.metrics) as reader:
            recorded = reader.points("loss")
            assert reader._query("PRAGMA integrity_check") == [("ok",)]
        assert len(recorded) >= acknowledged
        assert [point.step for point in recorded] == list(range(len(recorded)))
    finally:
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None or kind == "fork" else None


def test_a_lock_is_exclusive_and_free_after_release(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "owner.lock")
    lock.acquire()
    assert is_held(tmp_path / "owner.lock")
    with pytest.raises(RunStateError, match="another live process"):
        RunLock(tmp_path / "owner.lock").acquire(timeout_s=0.05)
    lock.release()
    assert not is_held(tmp_path / "owner.lock")
