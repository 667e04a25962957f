"""Trials that fail alike, never end, or come to nothing: what becomes of them, and of their search."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import torch
from optuna.trial import FrozenTrial, TrialState, create_trial

from jupyter_train import Study, tune
from jupyter_train.events import TrialStatus
from jupyter_train.exceptions import StudyError, TrainingInterrupted
from jupyter_train.tuning import trial, trial_timeout
from jupyter_train.tuning.failures import Failures, no_trial_message
from jupyter_train.tuning.parallel import dispatcher
from jupyter_train.tuning.trial import TrialEnd
from jupyter_train.tuning.trial_records import TrialResult
from tests.models import LitDigits, digits
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = {"epochs": 2, "minimize": "val_loss", "prune": "none", "seed": 1, "quiet": True}


@pytest.fixture(scope="module")
def data():
    return digits(160)


def newest(store) -> Study:
    return Study(store, store.list_runs(1, kind="tune")[0].key)


class Fails(LitDigits):
    """Fails at one place, each time with other words; or at another place; or not at all."""

    def __init__(self, lr: float = 1e-3, way: str = "here"):
        super().__init__(lr=lr)
        self.way = way

    def training_step(self, batch, batch_idx):
        if self.way == "here":
            raise RuntimeError(f"no such value: {self.hparams.lr}")
        if self.way == "there":
            raise RuntimeError("another place")
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("parallel", [1, 2])
def test_failures_are_alike_where_type_and_place_are(parallel: int, data, store) -> None:
    with pytest.raises(StudyError, match="3 trials in a row failed at the same place, the last with: RuntimeError: no"):
        tune(Fails, data, space={"lr": "1e-3..1e-1:log"}, trials=12, parallel=parallel, **USUAL)
    study = newest(store)
    assert study.status == "failed"
    assert 3 <= len(study.trials) <= 4


def test_failures_at_two_places_are_not_alike(data) -> None:
    ways = ["here", "there", "here", "fine"]
    study = tune(
        Fails, data, space={"way": ["here", "there", "fine"]}, trials=4, enqueue=[f"way={way}" for way in ways], **USUAL
    )
    assert study.status == "finished"
    assert study.trials["state"].tolist() == ["complete", "fail", "fail", "fail"]


def test_max_failures_counts_all_of_them(data, store) -> None:
    ways = ["here", "fine", "there", "here", "fine"]
    words = "as many trials have failed as `--max-failures 3` allows, the last with: RuntimeError: no such value"
    with pytest.raises(StudyError, match=words):
        tune(
            Fails,
            data,
            space={"way": ["here", "there", "fine"]},
            trials=5,
            max_failures=3,
            enqueue=[f"way={way}" for way in ways],
            **USUAL,
        )
    assert newest(store).trials["state"].tolist() == ["complete", "fail", "fail", "fail", "waiting"]
    study = tune(
        Fails,
        data,
        space={"way": ["here", "there", "fine"]},
        trials=5,
        max_failures=10,
        enqueue=["way=here"] * 4 + ["way=fine"],
        **USUAL,
    )
    assert study.status == "finished", "more are allowed, and three alike end nothing"


class IsNaN(LitDigits):
    """Its validation loss is NaN from the beginning."""

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", torch.tensor(float("nan")))


@pytest.mark.parametrize("prune", ["none", "asha"])
def test_a_search_in_which_no_trial_is_completed_has_failed(prune: str, data, store) -> None:
    with pytest.raises(StudyError, match=r"no trial was completed: 2 \w+, the last with: `val_loss` is NaN"):
        tune(IsNaN, data, space={"lr": "1e-3..1e-1:log"}, trials=2, **USUAL | {"prune": prune})
    study = newest(store)
    assert study.status == "failed"
    assert study.record.message.startswith("no trial was completed: 2 ")
    assert "better" not in study.record.message


class Hangs(LitDigits):
    """Comes to no batch any more, in some trials; where signals are blocked, no signal helps."""

    def __init__(self, way: str = "fine"):
        super().__init__()
        self.way = way
        while way == "while it is made":
            time.sleep(0.02)

    def training_step(self, batch, batch_idx):
        if self.way == "deaf":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while self.way in ("in a step", "deaf"):
            time.sleep(0.02)
        if self.way == "slow":
            time.sleep(1.0)
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("way", ["in a step", "while it is made", "slow"])
def test_a_trial_that_takes_too_long_has_failed_and_the_search_continues(way: str, data, monkeypatch) -> None:
    monkeypatch.setattr(trial_timeout, "GRACE_S", 5.0 if way == "slow" else 0.3)
    study = tune(
        Hangs,
        data,
        space={"way": ["fine", way]},
        trials=3,
        trial_timeout="1.5s",
        enqueue=["way=fine", f"way={way}", "way=fine"],
        **USUAL,
    )
    assert study.status == "finished"
    rows = study.trials.sort_index()
    assert rows["state"].tolist() == ["complete", "fail", "complete"]
    assert rows["message"][1] == "took longer than 1.5 s (`--trial-timeout`)"
    ended = study.trial(1)
    assert ended.status == ("failed" if way == "while it is made" else "stopped")
    assert ended.record.message == rows["message"][1]


def test_late_trials_one_after_the_other_do_not_end_a_search(data) -> None:
    study = tune(
        Hangs,
        data,
        space={"way": ["fine", "slow"]},
        trials=4,
        trial_timeout="1.5s",
        enqueue=["way=slow"] * 3 + ["way=fine"],
        **USUAL,
    )
    assert study.status == "finished"
    assert study.trials["state"].tolist() == ["complete", "fail", "fail", "fail"]


def test_a_process_that_hears_no_signal_is_ended(data, monkeypatch) -> None:
    monkeypatch.setattr(dispatcher, "_TIMEOUT_S", 1.0)
    study = tune(
        Hangs,
        data,
        space={"way": ["fine", "deaf"]},
        trials=4,
        trial_timeout="2s",
        parallel=2,
        enqueue=["way=fine", "way=deaf", "way=fine", "way=fine"],
        **USUAL,
    )
    assert study.status == "finished"
    rows = study.trials.sort_index()
    assert rows["state"].tolist() == ["complete", "fail", "complete", "complete"]
    assert rows["message"][1] == "took longer than 2 s (`--trial-timeout`)"
    assert study.trial(1).status == "failed"


@pytest.mark.parametrize("parallel", [1, 2])
def test_the_first_interrupt_ends_a_trial_that_hangs(parallel: int, data, store, monkeypatch) -> None:
    monkeypatch.setattr(trial, "GRACE_S", 0.5)
    monkeypatch.setattr(dispatcher, "_TIMEOUT_S", 1.0)

    def interrupt() -> None:
        until(lambda: any(record.summary.get("progress") for record in store.list_runs(5, kind="trial")))
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(TrainingInterrupted, match="every finished trial is kept, and the study can be resumed"):
        tune(
            Hangs,
            data,
            space={"way": ["in a step", "deaf"]},
            trials=4,
            parallel=parallel,
            enqueue=["way=in a step"] * 4,
            **USUAL,
        )
    thread.join()
    study = newest(store)
    assert study.status == "stopped"
    assert set(study.trials["state"]) == {"waiting"}, "it begins again with the study"


class EndsItsProcess(LitDigits):
    """Leaves, as a crash in C does."""

    def __init__(self, way: str = "stays"):
        super().__init__()
        if way == "leaves":
            os._exit(3)


def test_a_trial_that_ends_its_process_never_ends_this_one(data) -> None:
    study = tune(
        EndsItsProcess,
        data,
        space={"way": ["stays", "leaves"]},
        trials=4,
        parallel=2,
        enqueue=["way=leaves", "way=stays", "way=stays", "way=stays"],
        **USUAL,
    )
    assert study.status == "finished"
    assert study.trials["state"].tolist() == ["complete"] * 3 + ["fail"]


def failed(message: str, kind: str = "", **more) -> TrialEnd:
    return TrialEnd(TrialResult(TrialStatus.FAIL, message=message), kind=kind, **more)


def test_three_trials_that_fail_alike_in_a_row_end_a_search() -> None:
    failures = Failures(None)
    assert [failures.add(failed("no memory")) for _ in range(3)] == ["", "", "3 trials in a row failed with: no memory"]
    failures.clear()
    assert failures.add(failed("no memory")) == ""
    same_place = Failures(None)
    said = [same_place.add(failed(f"at {number}", "ValueError in a.py:3")) for number in range(3)]
    assert said[-1] == "3 trials in a row failed at the same place, the last with: at 2"
    mixed = Failures(None)
    assert not any(mixed.add(failed("x", kind)) for kind in ("A", "A", "B", "A", "A"))


def test_late_trials_do_not_end_a_search_and_a_fatal_one_does_at_once() -> None:
    failures = Failures(None)
    assert not any(failures.add(failed("too long", "late", is_late=True)) for _ in range(5))
    assert failures.add(failed("`acc` was never logged", is_fatal=True)) == "`acc` was never logged"


def test_so_many_failures_are_allowed_whatever_they_are() -> None:
    failures = Failures(2)
    assert failures.add(failed("one")) == ""
    failures.clear()
    assert failures.add(failed("two")) == (
        "as many trials have failed as `--max-failures 2` allows, the last with: two"
    )


def test_a_search_without_a_complete_trial_says_what_became_of_them() -> None:
    def ended(state: TrialState, **attributes: str) -> FrozenTrial:
        return create_trial(state=state, user_attrs=attributes)

    assert no_trial_message([]) == "no trial was completed: none began"
    trials = [ended(TrialState.FAIL, message="no"), ended(TrialState.PRUNED), ended(TrialState.PRUNED)]
    assert no_trial_message(trials) == "no trial was completed: 1 failed and 2 pruned, the last with: no"
    assert no_trial_message(trials[1:]) == "no trial was completed: 2 pruned"
