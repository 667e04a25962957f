"""The writer: an unreadable value, a full disk or a locked file costs nothing else."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_train.exceptions import (
    StoreError,
)
from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter, open_store
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.writer import Row


class Lost:
    """As a tensor on a device that has failed."""

    def __float__(self) -> float:
        raise RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")


def begun() -> tuple[RunWriter, RunFolder, Any]:
    store = open_store()
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    folder = RunFolder(record.folder)
    return RunWriter(store, record.key, folder), folder, record


def test_a_value_that_cannot_be_read_takes_nothing_with_it(own_store) -> None:
    writer, folder, record = begun()
    for step in range(4):
        values = [("loss", 0.5 if step != 2 else Lost()), ("other", step), ("gone", Lost())]
        writer.add(Row(step, 0.0, time.time(), values))
    assert writer.close(RunStatus.FAILED)
    with MetricReader(folder.metrics) as reader:
        assert [point.step for point in reader.points("loss")] == [0, 1, 3]
        assert [point.value for point in reader.points("other")] == [0, 1, 2, 3]
        assert "gone" not in reader.last()
    said = [event.text for event in open_store().events_of(record.key)]
    reason = "it cannot be read (CUDA error: device-side assert triggered Compile with TORCH_USE_CUDA_DSA)"
    assert said == [f"`gone` of step 0 is not recorded: {reason}", f"`loss` of step 2 is not recorded: {reason}"]


def test_the_writer_outlives_an_unexpected_error(own_store, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, folder, record = begun()
    theirs = MetricAppender.commit
    broken = iter([True])

    def commit(appender: MetricAppender) -> None:
        if next(broken, False):
            raise KeyError("a slip of ours")
        theirs(appender)

    monkeypatch.setattr(MetricAppender, "commit", commit)
    writer.add(Row(0, 0.0, time.time(), [("loss", 0.5)]))
    assert writer.flush() is False
    assert open_store().get(record.key).degraded == "recording waits: 'a slip of ours'"
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(folder.metrics) as reader:
        assert reader.last() == {"loss": 0.5}


def test_sums_that_are_no_floats_any_more_cost_nothing(own_store) -> None:
    writer, folder, _ = begun()
    for step in range(600):
        writer.add(Row(step, 0.0, time.time(), [("perplexity", 1.5e308), ("loss", step)]))
        if step % 100 == 0:
            assert writer.flush()
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(folder.metrics) as reader:
        assert [point.value for point in reader.points("loss")] == list(range(600))
        assert len(reader.points("perplexity")) == 600
        assert [bucket.mean for bucket in reader.picture("perplexity", 10)] == pytest.approx([1.5e308] * 10)


def test_a_slip_while_a_value_is_entered_costs_that_value_alone(own_store, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, folder, record = begun()
    theirs = MetricAppender.append

    def append(appender: MetricAppender, name: str, point: Any) -> None:
        if (name, point.step) == ("loss", 5):
            raise KeyError("a slip of ours")
        theirs(appender, name, point)

    monkeypatch.setattr(MetricAppender, "append", append)
    for step in range(40):
        writer.add(Row(step, 0.0, time.time(), [("loss", step), ("other", step)]))
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(folder.metrics) as reader:
        assert [point.step for point in reader.points("loss")] == [step for step in range(40) if step != 5]
        assert [point.step for point in reader.points("other")] == list(range(40))
    said = [event.text for event in open_store().events_of(record.key)]
    assert said == ["`loss` of step 5 is not recorded: it cannot be read ('a slip of ours')"]


def test_work_that_fails_at_every_flush_does_not_stop_the_heartbeat(own_store) -> None:
    writer, _, record = begun()

    def fails() -> None:
        raise RuntimeError("nobody there")

    writer.at_every_flush(fails)
    writer._summary_due = 0.0
    assert writer.flush() is False
    found = open_store().get(record.key)
    assert found.degraded == "recording waits: nobody there"
    assert found.heartbeat_at is not None
    assert time.time() - found.heartbeat_at < 5
    assert writer.close(RunStatus.FINISHED), "how a run ended waits for nothing that fails"
    assert open_store().get(record.key).status == "finished"


def test_an_end_that_was_settled_meanwhile_is_no_error(own_store, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, _, record = begun()
    theirs = type(open_store()).set_status
    answers = iter([False])

    def set_status(store: Any, *arguments: Any, **fields: Any) -> Any:
        if not next(answers, True):
            raise StoreError("the run store does not answer")
        return theirs(store, *arguments, **fields)

    def settled(seconds: float) -> None:
        assert open_store().settle(record.key)

    monkeypatch.setattr(type(open_store()), "set_status", set_status)
    monkeypatch.setattr("jupyter_train.store.writer.time.sleep", settled)
    assert writer.close(RunStatus.FINISHED)
    assert open_store().get(record.key).status is RunStatus.FINISHED


def test_a_full_disk_degrades_the_run_and_loses_nothing(store) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    writer.add(Row(0, 0.0, 0.0, [("loss", 0.0)]))
    assert writer.flush()
    connection = writer._appender._open()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own "disk full"
    for step in range(1, 5000):
        writer.add(Row(step, 0.0, 0.0, [("loss", float(step))]))
    assert not writer.flush()
    assert "full" in store.get(record.key).degraded
    connection.execute("PRAGMA max_page_count=1000000")
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(RunFolder(record.folder).metrics) as reader:
        assert [point.step for point in reader.points("loss")] == list(range(5000))
    assert (store.get(record.key).degraded, store.get(record.key).status) == ("", RunStatus.FINISHED)


def test_a_locked_store_degrades_the_run_and_loses_nothing(store, own_store: Path) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    folder = RunFolder(record.folder)
    writer = RunWriter(store, record.key, folder)
    assert writer.flush()
    lock = sqlite3.connect(folder.metrics, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    writer._appender._open().execute("PRAGMA busy_timeout=10")
    for step in range(300):
        writer.add(Row(step, 0.0, 0.0, [("loss", float(step))]))
    assert not writer.flush()
    assert "locked" in writer.degraded
    lock.execute("COMMIT")
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(folder.metrics) as reader:
        assert len(reader.points("loss")) == 300
    kinds = [event.kind for event in store.events_of(record.key)]
    assert kinds == ["recovered"]


def test_nan_is_an_event_with_its_step(store) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    for step in range(10):
        writer.add(Row(step, 0.0, 0.0, [("train_loss", float("nan") if step >= 7 else 1.0)]))
    writer.close(RunStatus.FINISHED)
    assert [(e.kind, e.step, e.text) for e in store.events_of(record.key)] == [
        ("nan", 7, "train_loss became NaN at step 7")
    ]
