"""What the store holds of a run, as a handle gives it."""

from __future__ import annotations

import math
import time

import pandas as pd
import pytest

from jupyter_train.exceptions import RunStateError
from jupyter_train.handle.recorded_run import RecordedRun
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter
from jupyter_train.store.writer import Row


@pytest.fixture
def run(store) -> RecordedRun:
    record = store.create_run("digits", config={"epochs": 3, "expressions": {"model": "Net()"}}, tags=["nightly"])
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    writer.add(Row(3, 0.5, 1e9, [("val_loss", 0.5), ("lr", 0.1)]))
    writer.add(Row(1, 0.25, 1e9, [("train_loss", 1.0)]))
    writer.add(Row(5, 0.75, 1e9, [("train_loss", math.nan)]))
    writer.summary(best={"metric": "val_loss", "value": 0.5, "epoch": 0, "step": 3, "mode": "min"})
    writer.log("a line")
    assert writer.close(RunStatus.FINISHED)
    return RecordedRun(store, record.key)


def test_its_row_is_read_when_it_is_asked_for(run: RecordedRun, store) -> None:
    assert (run.ref, run.status, run.tags, run.log) == (run.record.ref, "finished", ["nightly"], "a line\n")
    assert run.config == {"epochs": 3, "expressions": {"model": "Net()"}}
    assert run.folder.name.startswith("digits-")
    store.update(run.key, note="changed elsewhere")
    assert run.notes == "changed elsewhere"
    assert run.provenance == {}


def test_metrics_are_a_row_for_each_step_and_a_column_for_each_metric(run: RecordedRun) -> None:
    expected = pd.DataFrame(
        {
            "epoch": [0.25, 0.5, 0.75],
            "val_loss": [math.nan, 0.5, math.nan],
            "lr": [math.nan, 0.1, math.nan],
            "train_loss": [1.0, math.nan, math.nan],
        },
        index=pd.Index([1, 3, 5], name="step"),
    )
    pd.testing.assert_frame_equal(run.metrics, expected)


def test_a_run_that_has_recorded_nothing_has_an_empty_table(store) -> None:
    run = RecordedRun(store, store.create_run("digits").key)
    assert (len(run.metrics), run.best, run.last, run.log, run.events) == (0, None, {}, "", [])


def test_best_and_last_are_copies_and_nan_is_none(run: RecordedRun) -> None:
    assert run.last == {"val_loss": 0.5, "lr": 0.1, "train_loss": None}
    assert run.best is not None
    run.best["value"] = 7
    assert run.best["value"] == 0.5
    run.tags.append("lost")
    assert run.tags == ["nightly"]


def test_notes_are_of_the_user_whose_run_it_is(run: RecordedRun, store) -> None:
    run.notes = "mine"
    assert run.notes == "mine"
    store.update(run.key, user="somebody")
    with pytest.raises(RunStateError, match="belongs to somebody"):
        run.notes = "theirs"
    assert run.notes == "mine"


def test_a_run_whose_process_is_gone_is_lost(store) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    assert RecordedRun(store, record.key).status is RunStatus.LOST


def test_two_handles_of_a_run_are_equal(run: RecordedRun, store) -> None:
    assert run == RecordedRun(store, run.key)
    assert len({run, RecordedRun(store, run.key), RecordedRun(store, "other")}) == 2
    assert run != run.key
