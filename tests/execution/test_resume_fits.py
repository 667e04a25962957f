"""Several fits that were interrupted resume: finished ones are kept, the others end as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytorch_lightning as pl
import torch

from jupyter_train import get_run, train
from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import ChangedError, OptionError, RunStateError, TrainingInterrupted
from jupyter_train.execution.fit_specs import fit_specs_of
from jupyter_train.execution.resume_fits import is_over
from jupyter_train.run import RunRecord, RunStatus
from tests.models import LitDigits, digits, weights
from tests.shares import in_full
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = {"epochs": 3, "seed": 1, "monitor": "val_acc", "quiet": True}
WAYS = {"folds": {"cv": 3}, "seeds": {"seeds": 3}, "both": {"cv": 2, "seeds": 2}}


def build() -> LitDigits:
    return LitDigits()


class Signals(pl.Callback):
    """Sends its process a signal in the middle of an epoch of the second fit."""

    fits = 0

    def __init__(self, number: int, step: int = 11):
        self.number = number
        self.step = step

    def on_fit_start(self, trainer, pl_module):
        Signals.fits += 1

    def on_train_batch_end(self, trainer, *_):
        if Signals.fits == 2 and trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


class Waits(pl.Callback):
    """Says in a file that it is in the middle of an epoch of the second fit, and stays there while the file stands."""

    fits = 0

    def __init__(self, file: Path):
        self.file = file

    def on_fit_start(self, trainer, pl_module):
        Waits.fits += 1

    def on_train_batch_end(self, trainer, *_):
        while Waits.fits == 2 and trainer.global_step == 11 and self.file.exists():
            self.file.write_text("there")
            time.sleep(0.02)


def assert_same(run, whole) -> None:
    """Every fit, the means and the weights are those of a run that was never interrupted."""
    names = [name for name in whole.fits.columns if name != "run"]
    assert run.fits[names].to_dict() == whole.fits[names].to_dict()
    assert (run.mean, run.std, run.mean_last) == (whole.mean, whole.std, whole.mean_last)
    assert run.metrics.drop(columns="time", errors="ignore").equals(whole.metrics.drop(columns="time", errors="ignore"))
    for one, other in zip(run.children, whole.children, strict=True):
        pairs = zip(weights(one.model(build())), weights(other.model(build())), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("way", in_full(WAYS, but=["both"]))
def test_an_interrupted_one_resumes_inside_the_interrupted_fit(way: str) -> None:
    Signals.fits = 0
    with pytest.raises(TrainingInterrupted):
        train(build, digits(), callback=[Signals(signal.SIGINT)], **USUAL | WAYS[way])
    from jupyter_train import runs

    run = runs()[0]
    before = [(one.key, str(one.status), one.record.attempt) for one in run.children]
    assert [status for _, status, _ in before] == ["finished", "stopped"]
    again = train(build, digits(), resume=run.ref, quiet=True)
    assert (again.key, again.record.attempt, again.status) == (run.key, 2, "finished")
    after = [(one.key, str(one.status), one.record.attempt) for one in again.children]
    assert after[:2] == [before[0], (before[1][0], "finished", 2)]
    assert len(after) == len(again.fits) == (4 if way == "both" else 3)
    assert again.children[1].attempts[1]["from_step"] == 11
    assert any("resumes" in event.text for event in again.events)
    assert_same(again, train(build, digits(), **USUAL | WAYS[way]))


SCRIPT = """
import signal
from jupyter_train import train
from tests.execution.test_resume_fits import Signals, USUAL, build
from tests.models import digits
train(build, digits(), cv=3, callback=[Signals(signal.SIGKILL)], **USUAL)
"""


def test_a_killed_one_resumes(store, python: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.run([python, "-W", "ignore", "-c", SCRIPT], env=environment, stdout=subprocess.DEVNULL)
    assert process.returncode == -signal.SIGKILL
    run = get_run(store.list_runs(1, kind="cv")[0].key)
    assert [str(one.status) for one in run.children] == ["finished", "lost"]
    again = train(build, digits(), resume=run.ref, quiet=True)
    assert [one.record.attempt for one in again.children] == [1, 2, 1]
    assert_same(again, train(build, digits(), cv=3, **USUAL))


@pytest.mark.parametrize("given", ["made for every fit", "an object"])
@pytest.mark.parametrize("way", in_full(["folds", "seeds"], but=["folds"]))
def test_in_a_process_of_their_own_they_are_the_same(way: str, given: str) -> None:
    torch.manual_seed(0)
    model = LitDigits() if given == "an object" else build
    run = train(model, digits(), detach=True, **USUAL | WAYS[way])
    assert run.wait(120).status == "finished"
    assert {one.record.pid for one in run.children} == {run.record.pid}
    assert run.record.pid != os.getpid()
    assert_same(run, train(model, digits(), **USUAL | WAYS[way]))


@pytest.mark.full
def test_a_killed_process_of_several_fits_is_followed_by_another(tmp_path) -> None:
    waits = tmp_path / "waits"
    waits.touch()
    run = train(build, digits(), detach=True, cv=3, callback=[Waits(waits)], **USUAL)
    until(lambda _: waits.read_text() == "there", run)
    process = psutil.Process(run.record.pid)
    process.kill()
    process.wait(20)
    waits.unlink()
    assert run.status == "lost"
    get_run(run.ref).resume()
    assert run.wait(120).status == "finished"
    assert run.record.pid not in (process.pid, os.getpid())
    assert_same(run, train(build, digits(), cv=3, **USUAL))


def test_what_they_cannot_resume_with_is_refused_and_longer_ones_are_made_longer() -> None:
    run = train(build, digits(), cv=2, **USUAL)
    with pytest.raises(RunStateError, match="there is nothing left to do; make its fits longer: `--epochs N`"):
        train(build, digits(), resume=run.ref, quiet=True)
    with pytest.raises(ChangedError, match="`--batch-size` was not given and is `8`"):
        train(build, digits(), resume=run.ref, batch_size=8, epochs=4, quiet=True)
    with pytest.raises(ChangedError, match="the data has changed"):
        train(build, digits(200), resume=run.ref, epochs=4, quiet=True)
    with pytest.raises(OptionError, match="`--from` is for one fit"):
        train(build, digits(), resume=run.ref, epochs=4, from_="best", quiet=True)
    alone = train(build, digits(), **USUAL)
    with pytest.raises(RunStateError, match="is one fit, not several"):
        train(build, digits(), resume=alone.ref, cv=3, epochs=4, quiet=True)
    assert run.record.attempt == 1
    longer = run.resume(epochs=4)
    whole = train(build, digits(), cv=2, **USUAL | {"epochs": 4})
    assert np.array_equal(longer.fits["val_acc"], whole.fits["val_acc"])
    assert longer.mean_last == whole.mean_last


@pytest.mark.full
def test_longer_fits_that_are_interrupted_resume_as_long() -> None:
    run = train(build, digits(), cv=2, **USUAL)
    Signals.fits = 0
    signals = [Signals(signal.SIGINT, run.children[1].record.summary["progress"]["step"] + 2)]
    with pytest.raises(TrainingInterrupted):
        train(build, digits(), resume=run.ref, epochs=5, callback=signals, quiet=True)
    assert run.config["epochs"] == 5
    again = train(build, digits(), resume=run.ref, quiet=True)
    assert again.status == "finished"
    whole = train(build, digits(), cv=2, **USUAL | {"epochs": 5})
    assert np.array_equal(again.fits["val_acc"], whole.fits["val_acc"])
    forced = train(build, digits(), resume=run.ref, epochs=6, gradient_clip_val=0.5, force=True, quiet=True)
    said = [event.text for event in forced.events if event.kind == "warning"]
    assert said == ["forced although `--gradient-clip-val` was not given and is `0.5`"]


def test_a_detached_one_that_cannot_resume_is_refused_before_anything_is_written_over() -> None:
    alone = train(build(), digits(), epochs=1, detach=True, quiet=True)
    alone.wait(60)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in alone.folder.iterdir())
    with pytest.raises(RunStateError, match="is one fit, not several"):
        train(build, digits(), resume=alone.ref, cv=2, epochs=2, detach=True, quiet=True)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in alone.folder.iterdir()) == before
    run = train(build, digits(), cv=2, **USUAL)
    with pytest.raises(ChangedError, match="the data has changed"):
        train(build, digits(200), resume=run.ref, epochs=4, detach=True, quiet=True)


@pytest.mark.parametrize(
    ("status", "epochs", "expected"),
    [
        (RunStatus.FINISHED, 3, True),
        (RunStatus.FINISHED, 2, False),  # it is made longer
        (RunStatus.STOPPED, 3, False),
        (RunStatus.LOST, 3, False),
    ],
)
def test_a_finished_fit_is_kept_unless_it_is_made_longer(status: RunStatus, epochs: int, expected: bool) -> None:
    part = fit_specs_of(TrainConfig.of({"epochs": 3, "cv": 2, "seed": 1}))[1]
    recorded = {"epochs": epochs, "fold": 1, "seed": 1}
    assert is_over(RunRecord(key="k", name="digits", code="k3f9", status=status, config=recorded), part) is expected
    assert not is_over(None, part)
