"""One owner at a time: a dead or hung one is replaced, and what it writes when it wakes up is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from jupyter_train.exceptions import FencedError, RunStateError
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter
from jupyter_train.store.takeover import take_over
from jupyter_train.store.writer import Row
from tests.store.stopping import stop_between_transactions
from tests.waiting import until

#: Owns a run and records a step every 10 ms; says so once it has begun.
OWNER = """
import sys, time
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter, open_store
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.writer import Row
store = open_store()
record = store.create_run("digits")
folder = RunFolder(record.folder)
RunLock(folder.lock).acquire()
store.set_status(record.key, RunStatus.RUNNING, 1, started_at=time.time(), heartbeat_at=time.time())
writer = RunWriter(store, record.key, folder)
print(record.key, flush=True)
for step in range(100_000):
    writer.add(Row(step, 0.0, time.time(), [("loss", float(step))]))
    writer.event("note", f"step {step}", step)
    if writer.fenced:
        print(writer.fenced, flush=True)
        writer.close(RunStatus.FINISHED)
        break
    time.sleep(0.01)
"""


#: Its run has finished, and it goes down for longer than one waits for a lock that is simply held.
GOES_DOWN = """
import time
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, open_store
from jupyter_train.store.run_lock import RunLock
store = open_store()
record = store.create_run("digits")
RunLock(RunFolder(record.folder).lock).acquire()
store.set_status(record.key, RunStatus.RUNNING, 1, started_at=time.time())
store.set_status(record.key, RunStatus.FINISHED, 1, ended_at=time.time())
print(record.key, flush=True)
time.sleep(4)
"""


@pytest.fixture
def owner(store):
    """A process that owns a run; and the run's key."""
    process = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


def _counted(record) -> int:
    with MetricReader(RunFolder(record.folder).metrics) as reader:
        return reader.counts().get("loss", 0)


def _wait_for_points(store, key: str) -> None:
    until(lambda: _counted(store.get(key)))


def test_a_living_owner_is_not_replaced(store, owner) -> None:
    _, key = owner
    with pytest.raises(RunStateError, match=r"is being trained by process \d+; stop it first"):
        take_over(store, key)
    assert store.get(key).attempt == 1


def test_a_dead_owner_is_replaced_and_its_attempt_called_lost(store, owner) -> None:
    process, key = owner
    _wait_for_points(store, key)
    process.kill()
    process.wait()
    record, lock = take_over(store, key)
    assert (record.status, record.attempt, record.pid) == (RunStatus.RUNNING, 2, os.getpid())
    assert store.status_of(record) is RunStatus.RUNNING
    assert [event.text for event in store.events_of(key) if event.kind == "lost"] == [
        "attempt 1 was lost: its process is gone, or no longer answers"
    ]
    lock.release()
    assert store.status_of(store.get(key)) is RunStatus.LOST


def test_a_hung_owner_is_replaced_after_its_lease_and_writes_nothing_when_it_wakes_up(store, owner) -> None:
    process, key = owner
    _wait_for_points(store, key)
    stop_between_transactions(process.pid, store.engine.url.database, RunFolder(store.get(key).folder).metrics)
    with pytest.raises(RunStateError, match="is being trained"):
        take_over(store, key)
    time.sleep(0.3)
    record, lock = take_over(store, key, lease_s=0.2)
    before, events = _counted(record), len(store.events_of(key))
    writer = RunWriter(store, key, RunFolder(record.folder), attempt=record.attempt)
    writer.add(Row(before, 0.0, time.time(), [("loss", -1.0)]))
    assert writer.flush()
    os.kill(process.pid, signal.SIGCONT)
    assert "attempt 2 of this run has begun elsewhere" in process.stdout.readline()
    assert process.wait(timeout=30) == 0
    assert _counted(record) == before + 1
    assert len(store.events_of(key)) == events
    assert store.get(key).status is RunStatus.RUNNING
    assert writer.close(RunStatus.FINISHED)
    lock.release()
    assert store.status_of(store.get(key)) is RunStatus.FINISHED


def test_only_one_of_many_takes_a_run_over(store, owner) -> None:
    process, key = owner
    process.kill()
    process.wait()
    code = (
        "import sys\nfrom jupyter_train.store import open_store\nfrom jupyter_train.store.takeover import take_over\n"
        "try:\n    record, lock = take_over(open_store(), sys.argv[1])\n    print(record.attempt, flush=True)\n"
        "    sys.stdin.read()\nexcept Exception as err:\n    print(type(err).__name__, flush=True)"
    )
    takers = [
        subprocess.Popen([sys.executable, "-c", code, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = sorted(taker.stdout.readline().strip() for taker in takers)
    for taker in takers:
        taker.communicate()
    assert said == ["2", "RunStateError", "RunStateError", "RunStateError"]


def test_a_run_that_has_ended_is_taken_over_once_its_process_is_gone(store) -> None:
    with subprocess.Popen([sys.executable, "-c", GOES_DOWN], stdout=subprocess.PIPE, text=True) as process:
        key = process.stdout.readline().strip()
        record, lock = take_over(store, key)
        lock.release()
    assert (record.attempt, record.status) == (2, "running")


def test_a_run_that_never_began_or_is_another_users_is_left_alone(store, monkeypatch) -> None:
    record = store.create_run("digits")
    with pytest.raises(RunStateError, match="is queued: it waits for"):
        take_over(store, record.key)
    store.update(record.key, user="somebody else", status="failed")
    with pytest.raises(RunStateError, match="belongs to somebody else"):
        take_over(store, record.key)


def test_every_write_of_an_earlier_attempt_is_refused(store) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING, 1)
    store.set_status(record.key, RunStatus.FAILED, 1)
    _, lock = take_over(store, record.key)
    for write in (
        lambda: store.set_status(record.key, RunStatus.FINISHED, 1),
        lambda: store.update(record.key, 1, note="late"),
        lambda: store.begin_attempt(record),
    ):
        with pytest.raises(RunStateError):
            write()
    with pytest.raises(FencedError):
        store.add_events(record.key, store.events_of(record.key) or [_event()], 1)
    assert store.get(record.key).note == ""
    lock.release()


def test_how_an_attempt_ended_may_be_written_while_it_is_taken_over(store) -> None:
    """By the process that started it, and has checked why that is gone."""
    for status, words in ((RunStatus.FAILED, ""), (RunStatus.FINISHED, "has just finished")):
        record = store.create_run("digits")
        store.set_status(record.key, RunStatus.RUNNING, 1)
        seen = store.get(record.key)
        store.set_status(record.key, status, 1, message="killed (SIGKILL)")
        if words:
            with pytest.raises(RunStateError, match=words):
                store.begin_attempt(seen)
        else:
            again = store.begin_attempt(seen)
            assert (again.attempt, again.status, again.message) == (2, "running", "")


def _event():
    from jupyter_train.store.runs import Event

    return Event(time.time(), 0, "note", "late", {})


def test_a_silent_run_on_another_host_is_called_unreachable(store) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING, 1)
    store.update(record.key, host="far", heartbeat_at=time.time() - 300)
    assert snapshot(store, record.key)["message"].startswith("unreachable: far has not been heard of for 5:0")
    with_lease, lock = take_over(store, record.key)
    assert with_lease.host != "far"
    lock.release()


def test_a_training_that_was_taken_over_ends_and_leaves_the_new_owners_record_alone(store) -> None:
    import pytorch_lightning as pl

    from jupyter_train import runs, train
    from tests.models import LitDigits, digits

    class TakenOver(pl.Callback):
        def on_train_epoch_start(self, trainer, module) -> None:
            if trainer.current_epoch == 2:
                # A lease that is over whenever the run was last heard of: its writer may write at this very moment.
                self.lock = take_over(store, store.list_runs()[0].key, lease_s=-1)[1]

    thief = TakenOver()
    with pytest.raises(FencedError, match="attempt 2 of this run has begun elsewhere"):
        train(LitDigits(), digits(), epochs=1_000_000, seed=1, quiet=True, callback=[thief])
    record = runs()[0].record
    assert (record.status, record.attempt) == (RunStatus.RUNNING, 2)
    thief.lock.release()
