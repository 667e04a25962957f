"""Resuming a run: from Python, the magic, `%runs` and a shell; what is refused, and forks."""

from __future__ import annotations

import enum
import os
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from jupyter_train import get_run, runs, train
from jupyter_train.exceptions import ChangedError, OptionError, RunStateError
from jupyter_train.execution.resume import attempts_of, fork_here, resume_here
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.store.metrics import rewind
from jupyter_train.store.run_folder import write_atomically
from jupyter_train.store.runs import Event
from jupyter_train.training.checkpoints import schedule
from tests.models import LitDigits, are_equal, digits, weights
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(240)]


class Colour(enum.Enum):
    """A hyperparameter."""

    RED = 1


class Fails(pl.Callback):
    """Ends the first attempt at a step."""

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise ValueError("the power went out")


@pytest.fixture
def often(monkeypatch):
    """A checkpoint whenever one can be taken."""
    monkeypatch.setattr(schedule, "MIN_PERIOD_S", 0.0)
    monkeypatch.setattr(schedule, "WRITING_SHARE", 100.0)


def failed(step: int = 11, **options):
    """A run that failed at a step."""
    with pytest.raises(ValueError, match="the power went out"):
        train(lambda: LitDigits(), digits, epochs=3, seed=1, quiet=True, callback=[Fails(step)], **options)
    return runs()[0]


class Unsaid(LitDigits):
    """Keeps no hyperparameters."""

    def __init__(self, hidden: int = 16):
        super().__init__(hidden)
        self._hparams_initial = type(self._hparams)()


OTHERS = {
    "another size": (
        lambda: LitDigits(hidden=32),
        {"epochs": 3},
        ChangedError,
        "has weights of another model: `net.0.weight` was",
    ),
    "an unsaid size": (
        lambda: Unsaid(hidden=32),
        {"epochs": 3},
        ChangedError,
        r"has weights of another model: `net.0.weight` was \(16, 64\) and is \(32, 64\), `net.0.bias`",
    ),
    "shorter": (None, {"epochs": 1}, RunStateError, "has trained 2 epochs: give `--epochs 2` or more"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_a_run_cannot_resume_with_is_refused_and_the_run_stays_what_it_was(case: str) -> None:
    make, options, error, words = OTHERS[case]
    kind = Unsaid if case == "an unsaid size" else LitDigits
    run = train(lambda: kind(), digits, epochs=2, seed=1, quiet=True)
    before = (run.status, run.record.attempt, run.metrics.to_csv())
    with pytest.raises(error, match=words):
        train(make or (lambda: kind()), digits, resume=run.ref, quiet=True, **options)
    assert (run.status, run.record.attempt, run.metrics.to_csv()) == before
    assert train(lambda: kind(), digits, resume=run.ref, quiet=True, epochs=3).status == "finished"


class Described(LitDigits):
    """Has a hyperparameter whose text is another one in every process."""

    def __init__(self, tags):
        super().__init__()
        self.save_hyperparameters({"tags": tags, "count": 1})


def test_another_hyperparameter_is_said_with_what_it_does_not_change() -> None:
    run = train(lambda: LitDigits(), digits, epochs=2, seed=1, quiet=True)
    again = train(lambda: LitDigits(lr=2e-3), digits, resume=run.ref, quiet=True, epochs=3)
    said = [event.text for event in again.events if "hyperparameters have changed" in event.text]
    assert said == [
        "hyperparameters have changed: `lr` was `0.003` and is `0.002`; weights and the optimizer's state, its "
        "learning rate with them, are those of the checkpoint"
    ]
    forked = train(lambda: LitDigits(lr=5e-3), digits, fork=run.ref, quiet=True, epochs=4)
    assert any("`lr` was `0.002` and is `0.005`" in event.text for event in forked.events)
    same = train(lambda: LitDigits(lr=2e-3), digits, fork=run.ref, quiet=True, epochs=4)
    assert not [event for event in same.events if "hyperparameters" in event.text]


def test_objects_among_hyperparameters_are_not_compared_by_their_text() -> None:
    run = train(lambda: Described({"a", "b"}), digits, epochs=1, seed=1, quiet=True)
    assert train(lambda: Described(object()), digits, resume=run.ref, epochs=2, quiet=True).status == "finished"


def test_a_fork_with_another_model_is_refused_before_it_begins() -> None:
    run = train(lambda: LitDigits(), digits, epochs=2, seed=1, quiet=True)
    with pytest.raises(ChangedError, match="has weights of another model"):
        train(lambda: LitDigits(hidden=32), digits, fork=run.ref, epochs=3, quiet=True)
    assert len(runs()) == 1


def test_a_failed_run_resumes_and_ends_as_an_uninterrupted_one() -> None:
    whole = train(lambda: LitDigits(), digits, epochs=3, seed=1, quiet=True)
    run = failed()
    again = train(lambda: LitDigits(), digits, resume=run.ref, quiet=True)
    assert again.key == run.key
    assert again.status == "finished"
    assert again.record.attempt == 2
    assert are_equal(weights(again._module), weights(whole._module))
    assert again.metrics["train_loss"].tolist() == whole.metrics["train_loss"].tolist()
    assert [one["attempt"] for one in again.attempts] == [1, 2]
    assert again.attempts[1]["from_step"] == 8
    said = [event.text for event in again.events if "repeats" in event.text]
    assert said == [
        "no checkpoint of step 11, in whose middle the run failed: a resume continues from step 8 and repeats 3 steps",
        "attempt 2 resumes from step 8 (best checkpoint) and repeats 3 steps",
    ]


def test_a_fork_that_ended_before_its_first_checkpoint_is_not_begun_at_step_0() -> None:
    run = train(lambda: LitDigits(), digits, epochs=1, seed=1, quiet=True)
    with pytest.raises(ValueError, match="power"):
        train(lambda: LitDigits(), digits, fork=run.ref, epochs=3, quiet=True, callback=[Fails(8)])
    fork = runs()[0]
    with pytest.raises(RunStateError, match=f"begin it again where it began: `--fork {run.ref} --from 8`"):
        train(lambda: LitDigits(), digits, resume=fork.ref, quiet=True)
    assert (fork.status, fork.record.attempt) == ("failed", 1)


def test_a_fork_has_a_checkpoint_of_its_own_after_its_first_batch() -> None:
    whole = train(lambda: LitDigits(), digits, epochs=3, seed=1, quiet=True)
    run = train(lambda: LitDigits(), digits, epochs=1, seed=1, quiet=True)
    with pytest.raises(ValueError, match="power"):
        train(lambda: LitDigits(), digits, fork=run.ref, epochs=3, quiet=True, callback=[Fails(10)])
    again = train(lambda: LitDigits(), digits, resume=runs()[0].ref, quiet=True)
    assert again.attempts[1]["from_step"] in (9, 10)  # as soon as writing allows
    assert are_equal(weights(again._module), weights(whole._module))


def test_options_that_are_not_given_are_those_of_the_run() -> None:
    run = failed(batch_size=64, gradient_clip_val=0.5, step=5)
    again = train(lambda: LitDigits(), digits, resume=run.ref, quiet=True)
    assert again.config["batch_size"] == 64
    assert again.config["gradient_clip_val"] == 0.5
    assert again.metrics["train_loss"].notna().sum() == 12


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"batch_size": 16}, "`--batch-size` was not given and is `16`"),
        ({"seed": 2}, "`--seed` was `1` and is `2`"),
        ({"gradient_clip_val": 1.0}, "`--gradient-clip-val` was not given and is `1.0`"),
    ],
)
def test_options_that_change_the_result_are_refused_with_the_difference(changed, words) -> None:
    run = failed()
    with pytest.raises(ChangedError, match="cannot be resumed as the same run") as caught:
        train(lambda: LitDigits(), digits, resume=run.ref, quiet=True, **changed)
    assert words in str(caught.value)
    assert run.record.attempt == 1
    assert run.status == "failed"


def test_other_data_is_refused_and_can_be_forced() -> None:
    run = failed()
    with pytest.raises(ChangedError, match="256 train / 64 validation, stratified then, 200 train"):
        train(lambda: LitDigits(), lambda: digits(250), resume=run.ref, quiet=True)
    forced = train(lambda: LitDigits(), lambda: digits(250), resume=run.ref, quiet=True, force=True)
    assert forced.status == "finished"
    assert [event.text for event in forced.events if event.text.startswith("forced although the data has changed")]


def test_another_source_of_the_model_is_refused_line_by_line(tmp_path, monkeypatch) -> None:
    import importlib

    monkeypatch.syspath_prepend(str(tmp_path))
    source = "from tests.models import LitDigits\nclass Mine(LitDigits):\n    factor = 1\n"
    (tmp_path / "mine.py").write_text(source)
    mine = importlib.import_module("mine")
    with pytest.raises(ValueError, match="power"):
        train(mine.Mine(), digits, epochs=3, seed=1, quiet=True, callback=[Fails(9)])
    (tmp_path / "mine.py").write_text(source.replace("factor = 1", "factor = 20"))
    import linecache

    linecache.clearcache()
    changed = importlib.reload(mine)
    with pytest.raises(ChangedError) as caught:
        train(changed.Mine(), digits, resume=runs()[0].ref, quiet=True)
    assert "the source of the model `Mine` has changed" in str(caught.value)
    assert "-    factor = 1\n" in str(caught.value)
    assert "+    factor = 20" in str(caught.value)


def test_epochs_patience_and_callbacks_may_change_and_are_recorded() -> None:
    run = failed(early_stop="val_loss:5")
    again = train(lambda: LitDigits(), digits, resume=run.ref, quiet=True, epochs=5, early_stop="val_loss:9")
    assert again.config["epochs"] == 5
    assert again.config["early_stop"] == "val_loss:9"
    assert again.metrics["train_loss"].notna().sum() == 40


def test_a_finished_run_is_made_longer_in_the_same_kernel() -> None:
    whole = train(lambda: LitDigits(), digits, epochs=4, seed=1, quiet=True)
    run = train(lambda: LitDigits(), digits, epochs=2, seed=1, quiet=True)
    longer = run.resume(epochs=4)
    assert longer.key == run.key
    assert are_equal(weights(longer._module), weights(whole._module))
    assert longer.metrics["val_loss"].dropna().tolist() == whole.metrics["val_loss"].dropna().tolist()


def test_a_finished_run_with_nothing_left_to_do_says_so() -> None:
    run = train(lambda: LitDigits(), digits, epochs=1, seed=1, quiet=True)
    with pytest.raises(RunStateError, match="has finished, there is nothing left to do; make it longer with"):
        run.resume()
    assert run.record.attempt == 1


def test_a_checkpoint_can_be_named(often) -> None:
    run = failed(step=20)
    best = [one for one in _checkpoints(run) if one.kind == "best"][-1]
    again = train(lambda: LitDigits(), digits, resume=run.ref, from_="best", quiet=True)
    assert again.attempts[1]["from_step"] == best.step
    assert again.attempts[1]["verified"].startswith("verified exact")
    with pytest.raises(RunStateError, match=r"no checkpoint of step 7; there are: "):
        train(lambda: LitDigits(), digits, resume=run.ref, from_="7", epochs=9, quiet=True)


def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used(often) -> None:
    run = failed(step=20)
    newest = max(_checkpoints(run), key=lambda one: one.step)
    path = run.folder / newest.path
    path.write_bytes(path.read_bytes()[:-100])
    whole = train(lambda: LitDigits(), digits, epochs=3, seed=1, quiet=True)
    again = train(lambda: LitDigits(), digits, resume=run.ref, quiet=True)
    assert again.attempts[1]["from_step"] < newest.step
    assert are_equal(weights(again._module), weights(whole._module))
    assert any(f"checkpoint of step {newest.step} refused" in event.text for event in again.events)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"from_": "best"}, "name its run too"),
        ({"resume": "x", "fork": "y"}, "give one"),
        ({"resume": "x", "reinit": True}, "give one"),
        ({"resume": "x", "from_": "newest"}, "expected `best`, `last` or a step"),
    ],
)
def test_slips_are_explained(options, words, own_store) -> None:
    from jupyter_train.config import TrainConfig

    with pytest.raises(OptionError, match=words):
        TrainConfig.of({"epochs": 1, **options})


def test_a_run_that_this_process_cannot_resume_names_notebook_cell_and_line(shell) -> None:
    shell.user_ns.update(LitDigits=LitDigits, digits=digits, Fails=Fails)
    shell.run_cell("%train LitDigits() digits() --epochs 3 --seed 1 --quiet --callback Fails(5)")
    run = runs()[0]
    with pytest.raises(RunStateError) as caught:
        run.resume()
    assert f"`%train LitDigits() digits() --resume {run.ref}`" in str(caught.value)
    shell.run_cell(f"again = %train LitDigits() digits() --resume {run.ref} --quiet")
    assert shell.user_ns["again"].status == "finished"
    assert shell.user_ns["again"].record.attempt == 2


def test_a_fork_begins_at_a_checkpoint_and_leaves_the_old_run_alone(often) -> None:
    run = train(lambda: LitDigits(), digits, epochs=2, seed=1, quiet=True)
    before = run.metrics
    forked = run.fork(epochs=4, lr=1e-4, name="lower")
    assert forked.ref.startswith("lower-")
    assert forked.record.parent == run.key
    assert forked.metrics.index.min() == 16
    assert forked.metrics["lr"].dropna().tolist()[0] == pytest.approx(1e-4)
    assert forked.metrics["train_loss"].notna().sum() == 16
    assert any(event.text == f"forked from {run.ref} at step 16" for event in forked.events)
    assert run.metrics.equals(before)
    shown = snapshot(forked._store, forked.key)
    loss = next(family for family in shown["families"] if family["name"] == "loss")
    names = [one["name"] for one in loss["series"]]
    assert names == ["train_loss", "val_loss", f"train_loss of {run.ref}", f"val_loss of {run.ref}"]
    assert loss["series"][2]["steps"][-1] == 15
    assert {"step": 16, "label": "forked"} in shown["marks"]


def test_a_fork_resumes_and_is_forked_again() -> None:
    run = train(lambda: LitDigits(), digits, epochs=1, seed=1, quiet=True)
    forked = run.fork(epochs=2)
    longer = forked.resume(epochs=3)
    assert (longer.key, longer.record.attempt) == (forked.key, 2)
    assert longer.fork(epochs=4).record.parent == forked.key
    assert run.record.attempt == 1


def test_an_unchanged_fork_is_the_longer_run() -> None:
    whole = train(lambda: LitDigits(), digits, epochs=4, seed=1, quiet=True)
    run = train(lambda: LitDigits(), digits, epochs=2, seed=1, quiet=True)
    assert are_equal(weights(run.fork(epochs=4)._module), weights(whole._module))


@pytest.mark.full
def test_a_killed_detached_run_resumes_from_what_was_kept(ended) -> None:
    """By `run.resume()`, by `%runs resume` and by the shell's command, twice."""
    whole = train(lambda: LitDigits(), digits(64), epochs=300, seed=1, quiet=True)
    run = ended(train(lambda: LitDigits(), digits(64), epochs=300, seed=1, quiet=True, detach=True))
    for attempt in (2, 3):
        until(lambda run, attempt=attempt: run.record.attempt == attempt - 1 and _newest_step(run) > 40 * attempt, run)
        until(_checkpoints, run)
        _kill(run)
        until(lambda run: run.status in ("lost", "failed"), run)
        if attempt == 2:
            assert get_run(run.ref).resume().key == run.key
        else:
            done = subprocess.run(
                [sys.executable, "-m", "jupyter_train.cli", "runs", "resume", run.ref], capture_output=True, text=True
            )
            assert done.stdout == f"{run.ref} resumes in its own process (attempt 3)\n", done.stderr
    run.wait(120)
    assert run.status == "finished"
    model = run.load_into(LitDigits())
    assert are_equal(weights(model), weights(whole._module))
    assert run.metrics["train_loss"].tolist() == whole.metrics["train_loss"].tolist()
    assert all(not one["verified"].startswith("diverged") for one in run.attempts)
    with pytest.raises(RunStateError, match="neither model nor data"):
        get_run(run.ref).resume()


def test_a_detached_run_that_must_not_resume_says_why(ended) -> None:
    run = ended(train(lambda: LitDigits(), digits(64), epochs=100000, seed=1, quiet=True, detach=True))
    until(_checkpoints, run)
    with pytest.raises(RunStateError, match="is being trained by process"):
        run.resume(epochs=5)
    _kill(run)
    until(lambda run: run.status in ("lost", "failed"), run)
    with pytest.raises(RunStateError, match="`--batch-size` was not given and is `8`"):
        get_run(run.ref).resume(batch_size=8)


@pytest.fixture
def ended():
    """Ends the process of a detached run when the test is over, however it went."""
    made = []

    def remember(run):
        made.append(run)
        return run

    yield remember
    for run in made:
        if run.status.is_live:
            _kill(run)


def _kill(run) -> None:
    """Its process may have stood by before: it is found by its number."""
    os.kill(run.record.pid, signal.SIGKILL)


def _newest_step(run) -> int:
    with MetricReader(run.folder / "metrics.db") as reader:
        return reader.counts().get("train_loss", 0)


def _checkpoints(run):
    with MetricReader(run.folder / "metrics.db") as reader:
        return reader.checkpoints()


def test_a_model_is_exported_for_other_tools(tmp_path) -> None:
    import json

    from safetensors.torch import load_file

    run = train(lambda: LitDigits(), digits, epochs=1, seed=1, quiet=True)
    folder = run.export(tmp_path / "out")
    assert all(torch.equal(load_file(folder / "model.safetensors")[k], v) for k, v in run.model().state_dict().items())
    config = json.loads((folder / "config.json").read_text())
    assert config["run"] == run.ref
    assert config["hyperparameters"] == {"hidden": 16, "lr": 0.003}
    stock = LitDigits.load_from_checkpoint(run.export(tmp_path / "stock.ckpt", "lightning"), weights_only=True)
    assert are_equal(weights(stock), weights(run.model()))
    with pytest.raises(Exception, match="`onx`: no such format"):
        run.export(tmp_path / "x", "onx")


def test_a_model_is_exported_as_onnx_for_any_batch(tmp_path) -> None:
    import onnx

    run = train(lambda: LitDigits(), digits, epochs=1, seed=1, quiet=True)
    graph = onnx.load(run.export(tmp_path / "model.onnx", "onnx")).graph
    batch, features = graph.input[0].type.tensor_type.shape.dim
    assert features.dim_value == 64
    assert not batch.dim_value


def test_a_runs_own_checkpoint_is_readable_for_lightning() -> None:
    run = train(lambda: LitDigits(hidden=24), digits, epochs=1, seed=1, quiet=True)
    loaded = LitDigits.load_from_checkpoint(run.checkpoint, weights_only=True)
    assert loaded.hparams.hidden == 24
    assert are_equal(weights(loaded), weights(run.model()))


def test_hyperparameters_of_any_kind_come_back(tmp_path) -> None:
    import argparse
    import datetime
    import functools

    given = {
        "scalar": np.float32(0.5),
        "array": np.arange(3),
        "path": tmp_path,
        "colour": Colour.RED,
        "date": datetime.date(2026, 1, 2),
        "cls": LitDigits,
        "module": torch.nn.Linear(2, 2),
        "partial": functools.partial(int, base=2),
        "space": argparse.Namespace(a=1),
    }

    class Odd(LitDigits):
        def __init__(self, **odd):
            super(LitDigits, self).__init__()
            self.save_hyperparameters()
            self.net = torch.nn.Linear(64, 10)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    with pytest.raises(ValueError, match="power"):
        train(lambda: Odd(**given), digits, epochs=3, seed=1, quiet=True, callback=[Fails(11)])
    run = runs()[0]
    assert train(lambda: Odd(**given), digits, resume=run.ref, quiet=True).status == "finished"
    from jupyter_train.training.checkpoints.format import read

    newest = _checkpoints(run)[-1]
    found = read(run.folder / newest.path, newest.sha256)["hyper_parameters"]
    assert [event.text for event in run.events if "cannot be kept" in event.text] == []
    assert found["scalar"] == given["scalar"]
    assert found["array"].tolist() == [0, 1, 2]
    assert [found[name] for name in ("path", "colour", "date", "cls", "space")] == [
        given[name] for name in ("path", "colour", "date", "cls", "space")
    ]
    assert found["partial"]("101") == 5
    assert torch.equal(found["module"].weight, given["module"].weight)


def test_what_cannot_be_stored_is_named_at_the_first_checkpoint(often) -> None:
    class Source:
        def __reduce__(self):
            raise TypeError("a connection cannot be pickled")

    class Keeps(pl.Callback):
        def state_dict(self):
            return {"source": Source(), "count": 3}

    run = train(LitDigits(), digits, epochs=1, seed=1, quiet=True, callback=[Keeps()])
    [text] = [event.text for event in run.events if "cannot be kept in a checkpoint" in event.text]
    assert text.startswith("`callbacks.test_what")
    assert "Keeps.source` cannot be kept in a checkpoint (a connection cannot be pickled)" in text


class Relaunches:
    """What a handle is given to train with again; notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def relaunch(self, changes: dict[str, Any]) -> str:
        self.asked.append(changes)
        return "the next attempt"


def failed_record(store, **fields: Any) -> RunRecord:
    record = store.create_run("digits", **fields)
    store.set_status(record.key, RunStatus.FAILED)
    return store.get(record.key)


def test_the_model_of_this_kernel_is_trained_again(store) -> None:
    record, launcher = failed_record(store), Relaunches()
    assert resume_here(store, record, launcher, {"epochs": 9}) == "the next attempt"
    assert fork_here(record, launcher, None, {"lr": 0.1}) == "the next attempt"
    fork_here(record, launcher, 1200, {})
    assert launcher.asked == [
        {"epochs": 9, "resume": record.key},
        {"lr": 0.1, "fork": record.key},
        {"from_": "1200", "fork": record.key},
    ]


def test_another_kernel_is_told_where_to_go(store) -> None:
    record = failed_record(
        store, notebook="/a/nightly.ipynb", config={"expressions": {"model": "Net()", "data": "rows"}}
    )
    with pytest.raises(RunStateError) as caught:
        resume_here(store, record, None, {})
    assert str(caught.value) == (
        f"this process has neither model nor data of `{record.ref}`: in `/a/nightly.ipynb`, then type "
        f"`%train Net() rows --resume {record.ref}`"
    )
    cells = b'{"cells": [{"source": "a = 1"}, {"source": "%train Net() rows\\n--epochs 3"}, {"source": " "}]}'
    write_atomically(RunFolder(record.folder).provenance, cells)
    with pytest.raises(RunStateError) as caught:
        fork_here(record, None, None, {})
    assert "run the cells before the one that begins with `%train Net() rows`, then type" in str(caught.value)
    assert str(caught.value).endswith(f"--fork {record.ref}`")


def test_a_run_that_is_trained_is_not_resumed_as_well(store) -> None:
    launcher = Relaunches()
    with pytest.raises(RunStateError):
        resume_here(store, store.create_run("digits"), launcher, {})
    assert launcher.asked == []


def test_attempts_have_the_verdict_that_was_reported_of_each(store) -> None:
    record = failed_record(store)
    for number in (2, 3, 4):
        rewind.begin_attempt(RunFolder(record.folder).metrics, number, is_restart=True)
    store.add_events(
        record.key,
        [
            Event(1.0, 7, "verified", "attempt 2 ...", {"attempt": 2, "verdict": "verified exact", "words": "it is"}),
            Event(2.0, 7, "diverged", "attempt 3 diverged at step 7: `loss` differs", {}),  # as release 0.1.0 did
        ],
    )
    found = attempts_of(store, record)
    assert [(one["attempt"], one["verdict"], one["verified"]) for one in found] == [
        (1, None, ""),
        (2, "verified exact", "it is"),
        (3, "diverged", "diverged at step 7: `loss` differs"),
        (4, "not verified", "not verified"),
    ]
    assert [one["from_step"] for one in found] == [0, 0, 0, 0]
