"""The row of a live run: its summary in numbers that JSON has, its `degraded` mark, and its end."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from jupyter_train.exceptions import FencedError
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, pending_end
from jupyter_train.store.non_finite import NonFinite
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.run_row import RunRow
from tests.waiting import until

SECRET = "ghp_canary000000000000000000000000000003"


class Recorded:
    """A running run and its row."""

    def __init__(self, store: Any, attempt: int = 1) -> None:
        self.store = store
        self.record = store.create_run("digits")
        store.set_status(self.record.key, RunStatus.RUNNING, started_at=time.time())
        self.folder = RunFolder(self.record.folder)
        self.last: dict[str, float] = {}
        self.non_finite = NonFinite(lambda *_: None)
        self.row = RunRow(store, self.record.key, attempt, self.folder, self.last, self.non_finite)

    @property
    def now(self) -> Any:
        return self.store.get(self.record.key)


@pytest.fixture
def run(store) -> Recorded:
    return Recorded(store)


def test_a_summary_has_numbers_alone(run: Recorded) -> None:
    run.last.update(loss=math.nan, acc=0.5, perplexity=math.inf)
    run.row.progress = {"step": 3}
    run.row.summary["best"] = {"metric": "acc", "value": 0.5}
    run.row.write_summary()
    found = run.now
    assert found.summary["last"] == {"loss": None, "acc": 0.5, "perplexity": None}
    assert found.summary["progress"] == {"step": 3}
    assert found.summary["best"]["value"] == 0.5
    assert 0 <= found.summary["elapsed_s"] < 60
    assert found.heartbeat_at is not None
    assert found.size_bytes == run.folder.size_bytes()


def test_why_recording_is_behind_is_written_once_for_each_reason(run: Recorded) -> None:
    run.row.mark_degraded("the disk is full")
    assert (run.now.degraded, run.row.degraded) == ("the disk is full", "the disk is full")
    run.store.update(run.record.key, degraded="changed by others")
    run.row.mark_degraded("the disk is full")
    assert run.now.degraded == "changed by others"
    run.row.mark_degraded("locked")
    assert run.now.degraded == "locked"
    run.row.clear_degraded()
    assert (run.now.degraded, run.row.degraded) == ("", "")


def test_an_end_is_of_the_moment_the_clock_was_stopped(run: Recorded) -> None:
    run.row.stop_clock()
    before = run.row.current_summary()["elapsed_s"]
    ended = time.time()
    until(lambda: time.time() > ended + 0.01)
    run.row.stop_clock()
    run.row.write_end(RunStatus.FINISHED, "done")
    found = run.now
    assert (found.status, found.message) == (RunStatus.FINISHED, "done")
    assert found.ended_at <= ended
    assert found.summary["elapsed_s"] == before


@pytest.mark.parametrize(
    ("status", "message", "starts", "ended_with"),
    [
        (RunStatus.FINISHED, "", "`train_loss` is NaN from step 7 to the end", "NaN"),
        (RunStatus.STOPPED, "stopped by hand", "stopped by hand", "NaN"),
        (RunStatus.FAILED, "ValueError: x", "ValueError: x", None),
    ],
)
def test_a_run_that_ends_without_a_finite_loss_says_so(
    run: Recorded, status: RunStatus, message: str, starts: str, ended_with: str | None
) -> None:
    run.non_finite.see("train_loss", math.nan, 7, False)
    run.row.write_end(status, message)
    assert run.now.message.startswith(starts)
    assert run.now.summary.get("ended_with") == ended_with


def test_an_end_that_the_store_does_not_take_is_kept_with_its_reason_and_without_secrets(run: Recorded) -> None:
    lock = RunLock(run.folder.lock)
    lock.acquire()
    run.row.degraded = "recording waits: the disk is full"
    run.row.save_pending_end(RunStatus.FAILED, f"it said {SECRET}")
    kept = pending_end.find(run.folder.lock, 1)
    assert kept is not None
    assert (kept.status, kept.problem[:33]) == (RunStatus.FAILED, "recording waits: the disk is full")
    assert kept.message == "it said ••••••"
    assert set(kept.summary) == {"elapsed_s"}
    assert run.store.settle(run.record.key)
    assert run.now.status is RunStatus.FAILED
    run.row.save_recorded_end(RunStatus.FAILED, "it said nothing")
    recorded = pending_end.find(run.folder.lock, 1)
    assert recorded is not None
    assert (recorded.message, recorded.problem) == ("it said nothing", "")
    lock.release()


def test_an_earlier_attempt_writes_no_more(run: Recorded) -> None:
    run.store.set_status(run.record.key, RunStatus.LOST)
    run.store.begin_attempt(run.now)
    for write in (run.row.write_summary, lambda: run.row.mark_degraded("x"), run.row.clear_degraded):
        with pytest.raises(FencedError):
            write()
    with pytest.raises(FencedError):
        run.row.write_end(RunStatus.FINISHED, "")
    assert run.now.status is RunStatus.RUNNING
