"""Several fits that were broken off go on: finished ones are kept, the others end as if nothing had happened."""

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
from jupyter_train.exceptions import ChangedError, OptionError, RunStateError, TrainingInterrupted
from tests.execution.waiting import until
from tests.models import LitDigits, digits, weights

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = {"epochs": 3, "seed": 1, "monitor": "val_acc", "quiet": True}
WAYS = {"folds": {"cv": 3}, "seeds": {"seeds": 3}, "both": {"cv": 2, "seeds": 2}}


def build() -> LitDigits:
    return LitDigits()


class Interrupts(pl.Callback):
    """Presses Interrupt in the middle of an epoch of the second fit."""

    fits = 0

    def on_fit_start(self, trainer, pl_module):
        Interrupts.fits += 1

    def on_train_batch_end(self, trainer, *_):
        if Interrupts.fits == 2 and trainer.global_step == 11:
            os.kill(os.getpid(), signal.SIGINT)


class Slow(LitDigits):
    """Takes its time."""

    def training_step(self, batch, batch_idx):
        time.sleep(0.02)
        return super().training_step(batch, batch_idx)


def assert_same(run, whole) -> None:
    """Every fit, the means and the weights are those of a run that was never broken off."""
    names = [name for name in whole.fits.columns if name != "run"]
    assert run.fits[names].to_dict() == whole.fits[names].to_dict()
    assert (run.mean, run.std, run.mean_last) == (whole.mean, whole.std, whole.mean_last)
    assert run.metrics.drop(columns="time", errors="ignore").equals(whole.metrics.drop(columns="time", errors="ignore"))
    for one, other in zip(run.children, whole.children, strict=True):
        pairs = zip(weights(one.model(build())), weights(other.model(build())), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupted_one_goes_on_inside_the_fit_that_was_broken_off(way: str) -> None:
    Interrupts.fits = 0
    with pytest.raises(TrainingInterrupted):
        train(build, digits(), callback=[Interrupts()], **USUAL | WAYS[way])
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
    assert any("goes on with" in event.text for event in again.events)
    assert_same(again, train(build, digits(), **USUAL | WAYS[way]))


SCRIPT = """
from jupyter_train import train
from tests.execution.test_fits_again import Slow, USUAL
from tests.models import digits
train(lambda: Slow(), digits(), cv=3, **USUAL)
"""


def test_a_killed_one_goes_on(store, python: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([python, "-W", "ignore", "-c", SCRIPT], env=environment, stdout=subprocess.DEVNULL)
    run = None
    while run is None or len(run.children) < 2 or not run.children[1].last.get("val_acc"):
        assert process.poll() is None
        time.sleep(0.05)
        found = store.list_runs(1, kind="cv")
        run = get_run(found[0].key) if found else None
    process.kill()
    process.wait()
    assert [str(one.status) for one in run.children] == ["finished", "lost"]
    again = train(lambda: Slow(), digits(), resume=run.ref, quiet=True)
    assert [one.record.attempt for one in again.children] == [1, 2, 1]
    assert_same(again, train(build, digits(), cv=3, **USUAL))


@pytest.mark.parametrize("given", ["made for every fit", "an object"])
@pytest.mark.parametrize("way", ["folds", "seeds"])
def test_in_a_process_of_their_own_they_are_the_same(way: str, given: str) -> None:
    torch.manual_seed(0)
    model = LitDigits() if given == "an object" else build
    run = train(model, digits(), detach=True, **USUAL | WAYS[way])
    assert run.wait(120).status == "finished"
    assert {one.record.pid for one in run.children} == {run.record.pid}
    assert run.record.pid != os.getpid()
    assert_same(run, train(model, digits(), **USUAL | WAYS[way]))


def test_a_killed_process_of_theirs_is_followed_by_another() -> None:
    run = train(lambda: Slow(), digits(), detach=True, cv=3, **USUAL)
    until(lambda run: len(run.children) > 1 and run.children[1].last.get("val_acc"), run, 120)
    process = psutil.Process(run.record.pid)
    process.kill()
    process.wait(20)
    assert run.status == "lost"
    get_run(run.ref).resume()
    assert run.wait(120).status == "finished"
    assert run.record.pid not in (process.pid, os.getpid())
    assert_same(run, train(build, digits(), cv=3, **USUAL))


def test_what_they_cannot_go_on_with_is_refused_and_longer_ones_are_made_longer() -> None:
    run = train(build, digits(), cv=2, **USUAL)
    with pytest.raises(RunStateError, match="has finished, nothing is left to do; make its fits longer: `--epochs N`"):
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
