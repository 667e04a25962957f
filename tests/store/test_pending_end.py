"""How a run ended is kept until the store can take it: by its process, and beside the run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jupyter_train import doctor, get_run
from jupyter_train.exceptions import RunStateError
from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter, pending_end, writer
from jupyter_train.store.pending_end import AttemptEnd
from jupyter_train.store.run_index import index_entries
from jupyter_train.store.run_lock import RunLock, is_held
from jupyter_train.store.takeover import take_over
from jupyter_train.store.writer import Row
from tests.waiting import until


def begun(store):
    """A RUNNING run, its folder and its lock, held."""
    record = store.create_run("digits")
    folder = RunFolder(record.folder)
    lock = RunLock(folder.lock)
    lock.acquire()
    store.set_status(record.key, RunStatus.RUNNING, 1, started_at=time.time(), heartbeat_at=time.time())
    return record, folder, lock


def row_status(store, key: str) -> str:
    with store.reading.connect() as connection:
        return connection.exec_driver_sql(f"SELECT status FROM runs WHERE key = '{key}'").scalar_one()


def test_a_run_that_ends_on_a_full_disk_has_ended_and_its_rows_come_later(store, monkeypatch) -> None:
    monkeypatch.setattr(writer, "CLOSE_TIMEOUT_S", 0.3)
    record, folder, lock = begun(store)
    owner = RunWriter(store, record.key, folder)
    owner.add(Row(0, 0.0, 0.0, [("train_loss", 1.0)]))
    assert owner.flush()
    connection = owner._appender._open()
    connection.execute(f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').fetchone()[0]}")
    for step in range(1, 5000):
        owner.add(Row(step, 0.0, 0.0, [("train_loss", float("nan"))]))
    assert not owner.close(RunStatus.FINISHED)
    lock.release()
    run = get_run(record.key)
    assert (run.status, row_status(store, record.key)) == ("finished", "running")
    assert store.status_of(index_entries(store, 1)[0]) is RunStatus.FINISHED
    assert "`train_loss` is NaN from step 1 to the end" in run.record.message
    assert "finished with NaN" in repr(run)
    assert "database or disk is full; how it ended is kept" in run.record.degraded
    assert is_held(folder.lock)  # what this process still has to write is nowhere else
    with pytest.raises(RunStateError, match="another live process"):
        take_over(store, record.key)
    connection.execute("PRAGMA max_page_count=1000000")
    until(lambda: not is_held(folder.lock))
    assert (row_status(store, record.key), run.record.degraded) == ("finished", "")
    with MetricReader(folder.metrics) as reader:
        assert len(reader.points("train_loss")) == 5000


def test_a_process_that_is_gone_before_the_store_took_it_was_not_lost(store, monkeypatch) -> None:
    record, folder, lock = begun(store)
    pending_end.save_pending(
        folder.lock, AttemptEnd(1, RunStatus.STOPPED, time.time(), "stopped at step 7", "a full disk")
    )
    monkeypatch.setattr(pending_end, "_KEPT", {})  # another process knows what is in the file, and no more
    lock.release()
    run = get_run(record.key)
    assert (run.status, run.record.message, run.record.degraded) == ("stopped", "stopped at step 7", "a full disk")
    assert [one.status for one in store.list_runs()] == [RunStatus.STOPPED]
    [found] = [found for found in doctor.diagnose() if run.ref in found.message]
    assert found.message == f"`{run.ref}` is stopped, and the run store does not have its end yet"
    found.fix()
    assert (row_status(store, record.key), run.record.degraded) == ("stopped", "")
    assert not [found for found in doctor.diagnose() if run.ref in found.message]


def test_the_next_attempt_begins_where_the_last_one_ended_and_its_own_end_counts(store) -> None:
    record, folder, lock = begun(store)
    pending_end.save_pending(folder.lock, AttemptEnd(1, RunStatus.FINISHED, time.time()))
    lock.release()
    record, lock = take_over(store, record.key)
    assert (record.attempt, record.status) == (2, RunStatus.RUNNING)
    assert store.status_of(store.get(record.key)) is RunStatus.RUNNING  # what is in the file is of the first
    assert [event.kind for event in store.events_of(record.key)] == []  # not lost
    lock.release()
    assert store.status_of(store.get(record.key)) is RunStatus.LOST


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 2000, b'{"attempt": 1}', b'{"attempt": 1, "status": "well"}', b"[1]"]
)
def test_anything_else_in_the_file_is_no_end(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "owner.lock").write_bytes(content)
    assert pending_end.find(tmp_path / "owner.lock", 1) is None


def test_an_end_has_room_whatever_its_words(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "owner.lock")
    lock.acquire()
    size = lock.path.stat().st_size
    end = AttemptEnd(3, RunStatus.FAILED, 5.0, "\x01🙂" * 900, "\x02" * 900)
    pending_end.save_recorded(lock.path, end)
    assert lock.path.stat().st_size == size
    found = pending_end.find(lock.path, 3)
    assert found is not None
    assert (found.status, found.ended_at) == (RunStatus.FAILED, 5.0)
    lock.release()
