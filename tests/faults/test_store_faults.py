"""The store under pressure: locked, written by many, killed, of an older schema, with a clock that jumps back."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_train import doctor, runs, train
from jupyter_train.run import RunStatus
from jupyter_train.server.rows import row_of
from jupyter_train.store import MetricReader, RunFolder, open_store
from jupyter_train.store.run_index import index_entries
from jupyter_train.store.runs import Event
from tests.faults.children import Child
from tests.faults.counts import share
from tests.faults.training import carry_out, differences, whole
from tests.models import LitDigits, digits
from tests.store.stopping import stop_between_transactions

pytestmark = [pytest.mark.timeout(3600)]


def transact(key: str, count: int) -> int:
    """Adds events to a run, each in a transaction of its own; gives how many failed."""
    store = open_store()
    failed = 0
    for number in range(count):
        try:
            store.add_events(key, [Event(time.time(), number, "note", f"{number}", {})])
        except Exception:  # noqa: BLE001  counted
            failed += 1
    return failed


@pytest.mark.full
def test_many_processes_write_and_none_is_refused(store, tally) -> None:
    each = share(500, 10_000)
    record = store.create_run("shared")
    for _ in tally.trials(f"16 processes writing {each:,} transactions each", 1):
        children = [Child(transact, record.key, each) for _ in range(16)]
        assert [child.result(3000) for child in children] == [0] * 16
        assert len(store.events_of(record.key)) == 16 * each


def write_for_ever() -> None:
    """Owns a run and records as fast as it can."""
    from jupyter_train.store.run_lock import RunLock
    from jupyter_train.store.writer import Row, RunWriter

    store = open_store()
    record = store.create_run("writes")
    RunLock(RunFolder(record.folder).lock).acquire()
    store.set_status(record.key, RunStatus.RUNNING, 1, started_at=time.time())
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    for step in range(10_000_000):
        writer.add(Row(step, 0.0, time.time(), [("loss", float(step)), ("acc", 1.0)]))
        writer.event("note", str(step), step)
        if step % 20 == 19:
            writer.flush()


def test_a_killed_writer_leaves_whole_files(store, tally) -> None:
    dice = random.Random(1)
    for _ in tally.trials("kill -9 of a writer", share(20, 200)):
        known = len(runs(100_000))
        child = Child(write_for_ever)
        while len(runs(100_000)) == known or not _loss(runs()[0]):
            time.sleep(0.005)
        time.sleep(dice.uniform(0.0, 0.1))
        acknowledged = _loss(runs()[0])
        child.kill()
        run = runs()[0]
        assert run.status == "lost"
        kept = _loss(run)
        assert kept[: len(acknowledged)] == acknowledged
        assert kept == list(range(len(kept)))
        for path in (run.folder / "metrics.db", Path(store.engine.url.database or "")):
            with sqlite3.connect(path) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert [one.message for one in doctor.diagnose() if one.level is doctor.Level.BAD] == []


def _loss(run: Any) -> list[float]:
    with MetricReader(RunFolder(run.folder).metrics) as reader:
        return [point.value for point in reader.points("loss")]


def list_runs() -> int:
    return len(open_store().list_runs())


def test_processes_that_open_an_old_store_migrate_it_once(store, own_store, tally) -> None:
    from alembic import command
    from alembic.config import Config

    from jupyter_train.store import database
    from jupyter_train.store.schema import HEAD

    for number in tally.trials("8 processes opening an old schema at once", share(1, 10)):
        path = own_store / f"old-{number}.db"
        engine = database.connect(f"sqlite:///{path}")
        config = Config()
        config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_TRAIN_STORE", str(path))
            children = [Child(list_runs) for _ in range(8)]
            assert [child.result() for child in children] == [0] * 8
        assert database.revision_of(engine) == HEAD


def test_a_store_that_is_locked_for_a_while_delays_the_record_and_loses_nothing(store, tally) -> None:
    released = threading.Event()
    for _ in tally.trials("store locked for a while", 1):

        class Locks(LitDigits):
            """Locks the central store and the run's curves in its fourth step."""

            def training_step(self, batch, batch_idx):
                if self.trainer.global_step == 3:
                    folder = RunFolder(runs()[0].folder)
                    held = [
                        sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                        for path in (store.engine.url.database, folder.metrics)
                    ]
                    for connection in held:
                        connection.execute("BEGIN IMMEDIATE")

                    def release() -> None:
                        for connection in held:
                            connection.execute("ROLLBACK")
                            connection.close()
                        released.set()

                    threading.Timer(share(3, 60), release).start()
                return super().training_step(batch, batch_idx)

        run = train(Locks(), digits, epochs=3, seed=1, quiet=True, enable_checkpointing=False)
        assert released.wait(90)
        deadline = time.monotonic() + 60
        while run.status != "finished" or run.record.degraded:  # how it ended is known before its curves are written
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert run.metrics["train_loss"].notna().sum() == 24
        assert run.metrics.index.is_unique


def with_a_clock_set_back() -> dict[str, Any]:
    """A whole run; in its middle the clock is set back by an hour."""
    began, theirs = time.monotonic(), time.time
    time.time = lambda: theirs() - (3600.0 if time.monotonic() - began > 0.5 else 0.0)
    return carry_out("plain", None, {"slowly": 0.05})


def test_a_clock_set_back_changes_nothing_but_times(tally) -> None:
    expected = whole("plain")
    for _ in tally.trials("clock set back an hour", 1):
        found = Child(with_a_clock_set_back).result()
        assert differences(found, expected) == []
        run = runs()[0]
        assert run.record.ended_at < run.record.started_at  # it was set back indeed
        assert 1.0 < run.record.duration_s < 600
        assert f"duration 0:{round(run.record.duration_s):02d}" in repr(run) or run.record.duration_s > 59
        [row] = [row_of(open_store(), one, "") for one in index_entries(open_store(), 10) if one.key == run.key]
        assert row["duration_s"] == run.record.duration_s


def own_and_record(lease_s: float) -> str:
    """Owns a run and records until another process has taken it over; gives why it stopped."""
    from jupyter_train.store.run_lock import RunLock
    from jupyter_train.store.writer import Row, RunWriter

    store = open_store()
    record = store.create_run("hangs")
    RunLock(RunFolder(record.folder).lock).acquire()
    store.set_status(record.key, RunStatus.RUNNING, 1, started_at=time.time(), heartbeat_at=time.time())
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    step = 0
    while not writer.fenced:
        writer.add(Row(step, 0.0, time.time(), [("loss", float(step))]))
        writer.event("note", str(step), step)
        step += 1
        time.sleep(0.002)
    return writer.fenced


def test_an_owner_that_hung_and_wakes_up_writes_nothing(store, tally) -> None:
    import os
    import signal

    from jupyter_train.store.takeover import take_over

    asleep_s, lease_s = share(4, 60), share(1, 30)
    for _ in tally.trials(f"SIGSTOP for {asleep_s} s, taken over meanwhile, SIGCONT", share(1, 5)):
        known = len(runs(100_000))
        child = Child(own_and_record, lease_s)
        while len(runs(100_000)) == known or not _loss(runs()[0]):
            time.sleep(0.02)
        run = runs()[0]
        stop_between_transactions(child.process.pid, store.engine.url.database, RunFolder(run.folder).metrics)
        time.sleep(asleep_s)
        record, lock = take_over(store, run.key, lease_s)
        before = (_loss(run), len(run.events))
        os.kill(child.process.pid, signal.SIGCONT)
        assert "has begun elsewhere" in child.result()
        assert (_loss(run), len(run.events)) == before
        assert record.attempt == 2
        lock.release()
