"""A search in a process of its own: the same trials, free of the kernel, stopped and gone on with from anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from jupyter_train import Study, get_run, tune
from jupyter_train.config import TuneConfig
from jupyter_train.exceptions import JupyterTrainError, OptionError, StudyError
from jupyter_train.magics.runs_request import run_verb
from jupyter_train.tuning.detached import launch
from jupyter_train.tuning.search_spec import SearchSpec
from jupyter_train.tuning.trial_spec import ModelFactory, TrialSpec
from tests.models import LitDigits, digits
from tests.shares import in_full
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(240)]
SPACE = {"lr": "1e-4..1e-1:log", "hidden": [8, 16, 32]}
USUAL = {"epochs": 3, "maximize": "val_acc", "seed": 1, "quiet": True, "prune": "none"}


class Slow(LitDigits):
    def training_step(self, batch, batch_idx):
        time.sleep(0.01)
        return super().training_step(batch, batch_idx)


class Quick(Slow):
    def on_validation_epoch_end(self):
        self.log("quick", 1.0)


@pytest.fixture(scope="module")
def data():
    return digits(320)


def _done(study: Study) -> int:
    try:
        return int((study.trials["state"] == "complete").sum())
    except (KeyError, ValueError, StudyError):
        return 0


def test_it_is_the_search_that_it_is_here_and_says_when_it_is_over(data, tmp_path: Path) -> None:
    said = tmp_path / "said.json"
    study = tune(LitDigits, data, space=SPACE, trials=6, detach=True, notify=f"cat > {said}", **USUAL).wait(120)
    here = tune(LitDigits, data, space=SPACE, trials=6, **USUAL)
    assert study.status == "finished"
    assert study.record.pid != os.getpid()
    assert study.trials["val_acc"].to_dict() == here.trials["val_acc"].to_dict()
    assert {run.record.pid for run in study.children} == {study.record.pid}
    assert study.best.model() is not None  # this kernel knows the class
    assert not (study.folder / "payload.pickle").exists()
    until(lambda _run: said.exists() and study.ref in said.read_text(), study)
    longer = study.resume(trials=8)
    assert longer.key == study.key
    assert len(longer.wait(120).trials) == 8


SCRIPT = """
from jupyter_train import tune
from tests.tuning.test_detached import Slow, SPACE, USUAL
from tests.models import digits
print(tune(Slow, digits(320), space=SPACE, trials=8, parallel=PARALLEL, detach=True, **USUAL).key, flush=True)
"""


@pytest.mark.parametrize("parallel", in_full([1, 2], but=[2]))
def test_it_outlives_its_kernel_and_a_killed_one_resumes_from_another(parallel: int, store, python: str) -> None:
    root = str(Path(__file__).parents[2])
    starter = subprocess.run(
        [python, "-W", "ignore", "-c", SCRIPT.replace("PARALLEL", str(parallel))],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": root},
        text=True,
    )
    study = get_run(starter.stdout.strip())
    until(lambda study: _done(study) >= 3, study)  # long after its starter has ended
    process = psutil.Process(study.record.pid)
    family = process.children(recursive=True)
    process.kill()
    process.wait(20)
    assert study.status == "lost"
    before = study.trials
    finished = before[before["state"] == "complete"]
    psutil.wait_procs(family, 20)
    with pytest.raises(OptionError, match=r"unknown option `--trial`\. Did you mean `--trials`"):
        run_verb(f"resume {study.ref} trial=10")
    run_verb(f"resume {study.ref} trials=10")
    study.wait(120)
    assert study.status == "finished"
    assert list(study.trials["state"]) == ["complete"] * 10
    assert study.trials.loc[finished.index, "run"].equals(finished["run"])
    assert study.record.attempt == 2
    assert study.record.pid != process.pid


def test_it_stops_on_command_and_its_failure_is_reported(data) -> None:
    study = tune(Slow, data, space=SPACE, trials=50, detach=True, **USUAL)
    until(lambda study: _done(study) >= 1, study)
    study.stop()
    study.wait(60)
    assert study.status == "stopped"
    failing = tune(Failing, data, space=SPACE, trials=50, detach=True, **USUAL).wait(120)
    assert failing.status == "failed"
    assert "3 trials in a row failed with: ValueError: no model" in failing.record.message


class Failing(LitDigits):
    def __init__(self, lr: float, hidden: int):
        raise ValueError("no model")


def test_one_that_resumes_here_takes_what_it_is_given_here(data) -> None:
    """Not what its own process, killed since, was given: with several at once that would be read again."""
    study = tune(Slow, data, space=SPACE, trials=50, detach=True, **USUAL)
    until(lambda study: _done(study) >= 1, study)
    process = psutil.Process(study.record.pid)
    process.kill()
    process.wait(20)
    again = tune(Quick, data, trials=8, resume=study.ref, parallel=2, quiet=True)
    assert again.status == "finished"
    assert len(again.trials) == 8
    assert again.record.payload == ""
    assert not (again.folder / "payload.pickle").exists()
    later = [run for run in again.children if run.record.pid not in (process.pid, os.getpid())]
    assert later  # by processes of this search
    assert all("quick" in run.metrics for run in later)


def test_one_that_is_killed_before_it_begins_is_no_riddle(data) -> None:
    study = tune(Slow, data, space=SPACE, trials=50, detach=True, **USUAL)
    until(lambda study: study.record.pid != os.getpid(), study)
    os.kill(study.record.pid, signal.SIGKILL)
    until(lambda study: study.status == "failed", study)
    assert "killed (SIGKILL)" in study.record.message


def test_what_does_not_fit_is_said_before_anything_is_recorded(data, store) -> None:
    with pytest.raises(StudyError, match="lies outside"):
        tune(LitDigits, data, space=SPACE, trials=5, enqueue=["lr=7"], detach=True, **USUAL)
    with pytest.raises(OptionError, match="needs `nothing`"):
        tune(lambda nothing: LitDigits(nothing), data, space=SPACE, trials=5, detach=True, **USUAL)
    assert store.list_runs(10, has_parts=True) == []
    study = tune(LitDigits, data, space=SPACE, trials=2, detach=True, **USUAL).wait(120)
    with pytest.raises(OptionError, match="only `trials` and `timeout`"):
        study.resume(lr=3)
    with pytest.raises(OptionError, match="expected a whole number of 1 or more"):
        study.resume(trials=0)
    assert len(study.resume(timeout="2m", trials=3).wait(120).trials) == 3
    with pytest.raises(StudyError, match="searched something else"):
        tune(LitDigits, data, space={"lr": "1e-3..1e-1:log"}, trials=5, resume=study.ref, detach=True, **USUAL)


REFUSED = {
    "a trial outside the space": ({"enqueue": "lr=9"}, "lies outside"),
    "a study to learn from that is not there": ({"warm_start": "nothing"}, "no run is called"),
    "a study to resume that is not there": ({"resume": "nothing"}, "no run is called"),
    "a sampler that does not go together": ({"sampler": "tpe:group=true"}, "`group=true` is of `multivariate=true`"),
    "a model that cannot travel": ({}, "cannot be taken to another process"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_recorded_of_a_search_that_cannot_be_started(case: str, store) -> None:
    options, words = REFUSED[case]
    given = {"trials": 1, "maximize": "val_acc", "epochs": 1, "detach": True, **options}
    config = TuneConfig.of(given, {"lr": "1e-3..1e-1:log"})
    guard = threading.Lock()
    plan = TrialSpec(config, ModelFactory(lambda lr: guard), None, {}, name="digits")
    with pytest.raises(JupyterTrainError, match=words):
        launch(store, SearchSpec(plan))
    assert store.list_runs() == []
