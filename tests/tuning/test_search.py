"""A search in this process: every trial a run, bad ones pruned, failures kept, the best three weights, going on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import jsonschema
import psutil
import pytest
import pytorch_lightning as pl
import torch

from jupyter_train import Study, get_run, runs, tune
from jupyter_train.config import TuneConfig
from jupyter_train.exceptions import (
    DataError,
    ModelError,
    OptionError,
    RunStateError,
    SpaceError,
    StudyError,
    TrainingInterrupted,
)
from jupyter_train.execution.workers.fork_server import FORK_SERVER
from jupyter_train.handle import Run
from jupyter_train.panel.bundle import MIME_TYPE, bundle
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.tuning.promote import train_line
from jupyter_train.tuning.search import check_same, create, study_record
from jupyter_train.tuning.search_spec import SearchSpec
from jupyter_train.tuning.trial_spec import ModelFactory, TrialSpec
from tests.models import DigitsData, LitDigits, digits
from tests.panel.test_bundle import SCHEMA
from tests.shares import in_full
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore")]
SPACE = {"lr": "1e-4..1e-1:log", "hidden": [8, 16, 32]}
LOSS = {"epochs": 3, "minimize": "val_loss", "seed": 1, "quiet": True}
USUAL = {"epochs": 3, "maximize": "val_acc", "seed": 1, "quiet": True}


@pytest.fixture(scope="module")
def data():
    return digits(320)


def checkpoints_of(study: Study) -> dict[str, list[str]]:
    kept = {}
    for run in study.children:
        folder = run.folder / "checkpoints"
        kept[run.key] = [path.name for path in folder.iterdir()] if folder.exists() else []
    return {key: names for key, names in kept.items() if names}


def test_every_trial_is_a_run_and_the_best_three_keep_their_weights(data) -> None:
    study = tune(LitDigits, data, space=SPACE, trials=10, **USUAL)
    assert study.status == "finished"
    assert isinstance(study, Study)
    trials = study.trials
    assert len(trials) == 10
    assert set(trials["state"]) == {"complete", "pruned"}
    assert len(study.children) == 10
    for number, row in trials.iterrows():
        run = study.trial(number)
        assert run.key == row["run"]
        assert run.record.parent == study.key
        assert run.record.kind == "trial"
        assert run.config["params"] == {"lr": row["lr"], "hidden": row["hidden"]}
        assert run.status == ("finished" if row["state"] == "complete" else "stopped")
        if row["state"] == "complete":
            assert row["val_acc"] == run.best["value"] == run.metrics["val_acc"].max()
        else:
            assert re.match(r"pruned after \d epochs?: ", run.record.message)
    complete = trials[trials["state"] == "complete"]
    assert set(checkpoints_of(study)) == set(complete["run"][:3])
    best = study.best
    assert best.number == trials.index[0]
    assert study.optuna.best_value == best.value
    model = best.model()
    images, labels = data
    with torch.no_grad():
        found = model(torch.from_numpy(images)).argmax(1)
    assert model.hparams.hidden == best.params["hidden"]
    assert (found == torch.from_numpy(labels)).float().mean() > 0.5
    assert best.run.metrics["val_acc"].max() == pytest.approx(best.value)


def test_a_trial_alone_is_the_same_run(data) -> None:
    """What a trial found, `%train` finds with its line."""
    from jupyter_train import train

    study = tune(LitDigits, data, space={"lr": "1e-3..1e-1:log", "hidden": [8, 16]}, trials=3, prune="none", **USUAL)
    best = study.best
    alone = train(
        lambda: LitDigits(lr=best.params["lr"], hidden=best.params["hidden"]),
        data,
        epochs=3,
        seed=1,
        quiet=True,
        monitor="val_acc",
        mode="max",
    )
    assert alone.metrics.equals(best.run.metrics)
    line = study.promote()
    assert line.startswith(f"%train LitDigits(lr={best.params['lr']!r}, hidden={best.params['hidden']}) data")
    assert "--epochs 3" in line
    assert "--seed 1" in line


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_the_best_trial_keeps_to_the_constraints(sampler: str, data) -> None:
    """The width that is best is not allowed; Optuna says the same."""
    study = tune(
        LitDigits,
        data,
        space={"hidden": [4, 8, 64]},
        constraints=lambda trial: [trial.params["hidden"] - 8.0],
        enqueue=["hidden=64", "hidden=4", "hidden=64", "hidden=8", "hidden=64"],
        trials=5,
        prune="none",
        sampler=sampler,
        confirm=True,
        **USUAL,
    )
    trials = study.trials
    assert trials["state"].tolist() == ["complete", "complete", "infeasible", "infeasible", "infeasible"]
    assert trials["val_acc"].idxmax() in trials.index[2:]
    assert study.best.params["hidden"] in (4, 8)
    assert study.optuna.best_trial.number == trials.index[0]
    assert {run.config["params"]["hidden"] for run in (Run(study._store, key) for key in study.confirmed["run"])} == {
        4,
        8,
    }
    assert "hidden=64" not in study.promote()
    assert study.record.summary["best"]["params"]["hidden"] in (4, 8)
    assert set(trials.index[:2]) <= {
        study._store.get(key).config["trial"]
        for key in checkpoints_of(study)
        if "trial" in study._store.get(key).config
    }
    drawn = snapshot(study._store, study.key)
    assert sorted(drawn["study"]["states"]) == ["c", "c", "i", "i", "i"]
    jsonschema.validate(bundle(drawn)[MIME_TYPE], SCHEMA)
    assert study.metrics["best_val_acc"].dropna().tolist()[-1] == study.optuna.best_trial.value


def test_a_search_in_which_nothing_is_allowed_has_no_best_trial(data) -> None:
    space = {"hidden": [4, 8]}
    study = tune(LitDigits, data, space=space, constraints=lambda _trial: [1.0], trials=2, prune="none", **USUAL)
    assert study.best is None
    assert (study.status, study.record.message) == ("finished", "no trial keeps to the constraints: none is the best")
    assert set(study.trials["state"]) == {"infeasible"}
    with pytest.raises(StudyError, match="keeps to constraints, and none are given; add `constraints=<lambda>`"):
        tune(LitDigits, data, resume=study.ref, trials=3, quiet=True)
    assert study.resume(trials=3).trials["state"].tolist() == ["infeasible"] * 3
    with pytest.raises(StudyError, match="has no complete trial that keeps to the constraints to promote"):
        study.promote()


class TurnsNaN(LitDigits):
    """Its validation loss is NaN from the second epoch on."""

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", float("nan") if self.current_epoch else 1.0)


def test_a_trial_that_becomes_nan_says_so(data) -> None:
    with pytest.raises(StudyError, match="no trial was completed: 2 failed, the last with: `val_loss` is NaN after"):
        tune(lambda: TurnsNaN(), data, space={"batch_size": [16, 64]}, trials=2, **{**LOSS, "epochs": 4})
    study = Study(*_newest())
    assert set(study.trials["message"]) == {"`val_loss` is NaN after 3 epochs"}


class SometimesNaN(LitDigits):
    """Its validation loss is NaN where it is wide."""

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", float("nan") if self.net[0].out_features == 16 else 1.0)


def test_a_trial_of_several_fits_that_are_nan_fails_and_the_search_continues(data) -> None:
    study = tune(
        SometimesNaN,
        data,
        space={"hidden": [8, 16]},
        enqueue=["hidden=8", "hidden=16", "hidden=8"],
        trials=3,
        cv=2,
        prune="none",
        **LOSS | {"epochs": 1},
    )
    trials = study.trials.sort_index()
    assert trials["state"].tolist() == ["complete", "fail", "complete"]
    assert trials["message"].tolist()[1] == "`val_loss` is NaN"


class Leaves(LitDigits):
    """Calls `sys.exit` in its first step."""

    def training_step(self, batch, batch_idx):
        raise SystemExit(0)


def test_trials_that_leave_have_failed_and_were_not_stopped_by_the_user(data) -> None:
    with pytest.raises(StudyError, match="3 trials in a row failed with: `sys"):
        tune(Leaves, data, space={"lr": [1e-3, 1e-2]}, trials=5, **LOSS)


class NoRate(LitDigits):
    """Takes no learning rate, and keeps none."""

    def __init__(self):
        super().__init__()
        self.hparams.clear()
        self.__dict__.pop("lr", None)


UNFIT = {
    "a split of a datamodule": ({"split": ["0.7/0.3", "0.8/0.2"]}, {}, "a LightningDataModule"),
    "the last batch of a datamodule": ({"drop_last": [False, True]}, {}, "a LightningDataModule makes its own batches"),
    "a loss": ({"loss": ["mse", "cross_entropy"]}, {}, "is for a plain nn.Module"),
    "a rate of a model that keeps none": ({"lr": [0.1, 0.2], "model": NoRate}, {}, "keeps no `lr`"),
    "a rate beside an optimizer": ({"lr": [0.1, 0.2]}, {"optimizer": "sgd"}, "`lr` is searched but has no effect"),
    "how many are kept": ({"lr": [0.1, 0.2]}, {"keep_best": 3}, "keeps the weights of its best three trials"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_model_or_data_do_not_take_is_refused_before_anything_is_recorded(kind: str) -> None:
    space, more, words = UNFIT[kind]
    space, before = dict(space), runs()
    with pytest.raises((OptionError, ModelError), match=re.escape(words)):
        tune(space.pop("model", LitDigits), DigitsData(64), space=space, trials=2, **LOSS | more)
    assert list(runs()) == list(before)


def test_what_is_tried_before_a_search_draws_nothing_from_the_kernel(data) -> None:
    state = torch.get_rng_state()
    with pytest.raises(OptionError, match=r"is for a plain nn\.Module"):
        tune(LitDigits, data, space={"loss": ["mse", "cross_entropy"]}, trials=2, **LOSS)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_no_line_can_name_is_said_with_what_to_write(data) -> None:
    usual = {"space": {"lr": [1e-3, 1e-2], "batch_size": [16, 64]}, "trials": 2, "prune": "none", **USUAL}
    study = tune(lambda lr: LitDigits(lr=lr), data, **usual)
    best = study.best.params
    with pytest.raises(StudyError) as caught:
        study.promote()
    assert f"write `model = FUNCTION(lr={best['lr']})`, then `%train model data " in str(caught.value)
    assert f"--batch-size {best['batch_size']} " in str(caught.value)
    assert "<lambda>" not in str(caught.value)

    def build(lr):
        return LitDigits(lr=lr)

    assert tune(build, data, **usual).promote().startswith(f"%train build(lr={best['lr']}) data ")


def test_a_study_recorded_before_its_roles_were_is_promoted_as_it_was() -> None:
    config = {
        "expressions": {"model": "LitDigits", "data": "data"},
        "train": {"epochs": 2},
        "seed": 1,
        "objectives": [["val_loss", "min"]],
    }
    params = {"lr": 0.1, "hidden": 8, "batch_size": 16}
    rest = "data --batch-size 16 --epochs 2 --seed 1 --monitor val_loss --mode min"
    assert train_line(config, params) == f"%train LitDigits(lr=0.1, hidden=8) {rest}"
    config["expressions"]["model"] = "LitDigits(hidden, lr=lr * 2)"
    assert train_line(config, params) == f"%train LitDigits(8, lr=0.1 * 2) {rest}"


def test_options_are_searched_too(data) -> None:
    space = {"batch_size": [16, 64], "trainer.gradient_clip_val": "0.1..1.0", "hidden": [8, 16]}
    study = tune(LitDigits, data, space=space, trials=4, prune="none", **USUAL)
    for run in study.children:
        params = run.config["params"]
        assert run.config.get("batch_size", 32) == params["batch_size"]
        assert run.config["gradient_clip_val"] == params["trainer.gradient_clip_val"]


def test_an_instance_is_copied_and_stays_as_it_was(data) -> None:
    model = LitDigits()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    study = tune(model, data, space={"batch_size": [16, 64]}, sampler="grid", **USUAL)
    assert len(study.trials) == 2
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_space_may_be_a_function_of_the_trial_with_constraints(data) -> None:
    def space(trial):
        layers = trial.suggest_int("layers", 1, 2)
        widths = [trial.suggest_int(f"width{i}", 4, 32) for i in range(layers)]
        trial.set_user_attr("total", sum(widths))
        return {"hidden": sum(widths), "lr": trial.suggest_float("lr", 1e-3, 1e-1, log=True)}

    constraints = lambda trial: (trial.user_attrs["total"] - 40,)  # noqa: E731
    study = tune(LitDigits, data, space=space, constraints=constraints, trials=5, prune="none", **USUAL)
    assert len(study.trials) == 5
    for run in study.children:
        number = run.config["trial"]
        assert run.config["params"]["hidden"] == study.optuna.trials[number].user_attrs["total"]
        assert "constraints" in study.optuna.trials[number].system_attrs


class Breaks(LitDigits):
    """Fails in ways that real models do."""

    def __init__(self, how: str = "", lr: float = 1e-2):
        super().__init__(lr=lr)
        self.how = how
        if how == "cannot be made":
            raise ValueError("no such layer")

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if self.how == "raises" and batch_idx == 3:
            raise RuntimeError("something in the model")
        if self.how == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return loss * float("nan") if self.how == "nan" else loss


def test_a_trial_that_fails_is_kept_with_its_traceback_and_the_study_continues(data) -> None:
    how = ["raises", "fine", "cannot be made", "also fine", "memory", "nan"]
    study = tune(Breaks, data, space={"how": how}, sampler="grid", prune="none", **LOSS)
    assert study.status == "finished"
    rows = {study.trial(n).config["params"]["how"]: row for n, row in study.trials.iterrows()}
    assert {name: row["state"] for name, row in rows.items()} == {
        "raises": "fail",
        "fine": "complete",
        "cannot be made": "fail",
        "also fine": "complete",
        "memory": "fail",
        "nan": "fail",
    }
    assert rows["raises"]["message"] == "RuntimeError: something in the model"
    assert rows["cannot be made"]["message"] == "ValueError: no such layer"
    assert "out of memory" in rows["memory"]["message"]
    assert rows["nan"]["message"] == "`val_loss` is NaN"
    assert get_run(rows["nan"]["run"]).record.message.startswith(("`val_loss` is NaN from", "`train_loss` is NaN from"))
    for name in ("raises", "cannot be made", "memory"):
        run = get_run(rows[name]["run"])
        assert run.status == "failed"
        assert "Traceback (most recent call last)" in run.log


def test_three_failures_of_one_kind_stop_it(data) -> None:
    with pytest.raises(StudyError, match="3 trials in a row failed with: RuntimeError: something in the model"):
        tune(Breaks, data, space={"lr": "1e-3..1e-1:log", "how": "raises"}, trials=10, **USUAL)
    study = Study(*_newest())
    assert study.status == "failed"
    assert len(study.trials) == 3


def _newest():
    from jupyter_train.store import open_store

    store = open_store()
    return store, store.list_runs(1, kind="tune")[0].key


def test_a_metric_that_is_never_logged_stops_it_after_the_first_trial(data) -> None:
    with pytest.raises(StudyError, match=r"`val_f1` was never logged.*Logged are: .*`val_acc`"):
        tune(LitDigits, data, space=SPACE, trials=10, **USUAL | {"maximize": "val_f1"})
    assert len(Study(*_newest()).trials) == 1


class Open(LitDigits):
    """Takes names it does not list."""

    def __init__(self, lr=3e-3, **others):
        super().__init__(others.get("width", 16), lr)
        self.others = others


def test_a_name_the_model_lists_is_its_own_and_options_come_before_what_it_takes_besides(data) -> None:
    space = {"lr": "1e-3..1e-2", "batch_size": [32, 64], "width": [8, 24], "trainer.gradient_clip_val": [0.5, 1.0]}
    study = tune(Open, data, space=space, trials=4, **USUAL | {"prune": "none"})
    for number, row in study.trials.iterrows():
        config = study.trial(number).config
        assert (config.get("batch_size", 32), config["gradient_clip_val"]) == (
            row["batch_size"],
            row["trainer.gradient_clip_val"],
        )
        assert "lr" not in config
    assert set(study.best.model().others) == {"width"}
    with pytest.raises(OptionError, match=r"`trainer.gradient_clip` is searched but.*`trainer.gradient_clip_val`"):
        tune(Open, data, space={"trainer.gradient_clip": "0.1..1"}, trials=1, **USUAL)


def test_how_long_to_train_can_be_searched(data) -> None:
    given = {name: value for name, value in USUAL.items() if name != "epochs"}
    study = tune(LitDigits, data, space={"epochs": "1..4"}, trials=4, **given | {"prune": "none"})
    for trial in study.optuna.trials:
        assert len(trial.intermediate_values) == trial.params["epochs"]
    assert len(set(study.trials["epochs"])) > 1


BAD = {
    "unused name": (
        {"space": {"lr": "1..2", "hiden": [1, 2]}},
        OptionError,
        "`hiden` is searched but not used.*`hidden`",
    ),
    "an option with a range": (
        {"space": SPACE, "batch_size": "8|16"},
        OptionError,
        r"To search it: `space=\{'batch_size': '8\|16'\}`",
    ),
    "empty range": ({"space": {"lr": "1..1"}}, SpaceError, "the range is empty"),
    "inverted range": ({"space": {"lr": "0.1..0.01"}}, SpaceError, "did you mean `lr=0.01..0.1`"),
    "log through zero": ({"space": {"lr": "0..1:log"}}, SpaceError, "begins above zero"),
    "nothing searched": ({"space": {"lr": "0.1"}}, OptionError, "nothing is searched"),
    "no objective": ({"space": SPACE, "maximize": None}, OptionError, "add `--maximize val_acc`"),
    "no end": ({"space": SPACE, "trials": None}, OptionError, "the length of the search is missing"),
    "no epochs": ({"space": SPACE, "epochs": None}, OptionError, "the length of training is missing"),
    "a monitor": ({"space": SPACE, "monitor": "val_loss"}, OptionError, "the objective is the monitored metric"),
    "devices": ({"space": SPACE, "devices": 2}, OptionError, "a trial trains on one device"),
    "bad duration": ({"space": SPACE, "timeout": "soon"}, OptionError, "a duration such as"),
    "enqueued outside": ({"space": SPACE, "enqueue": "lr=5"}, StudyError, "lies outside"),
    "enqueued unknown": ({"space": SPACE, "enqueue": "rl=5"}, StudyError, "`rl` is not searched"),
    "an option's value": ({"space": {"batch_size": "true|false"}}, OptionError, "batch-size"),
    "cmaes, two objectives": (
        {"space": SPACE, "minimize": "val_loss", "sampler": "cmaes"},
        OptionError,
        "one objective",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_slip_is_named_and_nothing_is_recorded(name: str, data, store) -> None:
    given, error, words = BAD[name]
    options = {**USUAL, "trials": 3, **given}
    with pytest.raises(error, match=words):
        tune(LitDigits, data, **{key: value for key, value in options.items() if value is not None})
    assert store.list_runs() == []


def test_models_that_cannot_be_tuned_are_named(data, store) -> None:
    with pytest.raises(ModelError, match="is no model"):
        tune(3, data, space=SPACE, trials=1, **USUAL)

    def needs(width, lr):
        return LitDigits(width, lr)

    with pytest.raises(DataError, match=r"`DigitsData` is a class; write `DigitsData\(...\)`"):
        tune(LitDigits, DigitsData, space=SPACE, trials=1, **USUAL)
    with pytest.raises(OptionError, match="`needs` needs `width`"):
        tune(needs, data, space={"lr": "1e-3..1e-2"}, trials=1, **USUAL)
    assert store.list_runs() == []


def test_data_that_cannot_be_trained_on_fails_the_study_with_its_reason() -> None:
    with pytest.raises((StudyError, DataError), match="rows"):
        tune(LitDigits, (digits(10)[0], digits(9)[1]), space=SPACE, trials=5, **USUAL)


def test_a_resumed_study_is_the_uninterrupted_one(data) -> None:
    unbroken = tune(LitDigits, data, space=SPACE, trials=12, **USUAL)
    study = tune(LitDigits, data, space=SPACE, trials=7, **USUAL)
    again = tune(LitDigits, data, resume=study.ref, trials=12, quiet=True)
    assert again.key == study.key
    assert again.record.attempt == 2
    columns = ["state", "val_acc", "lr", "hidden"]
    assert again.trials[columns].equals(unbroken.trials[columns])


def test_a_study_of_something_else_is_refused_with_the_difference(data) -> None:
    study = tune(LitDigits, data, space=SPACE, trials=1, **USUAL)
    with pytest.raises(StudyError, match=r"hidden: 8\|16\|32 → 8\|16"):
        tune(LitDigits, data, space=SPACE | {"hidden": [8, 16]}, trials=2, resume=study.ref, quiet=True)
    with pytest.raises(StudyError, match="--epochs: 3 → 5"):
        tune(LitDigits, data, epochs=5, trials=2, resume=study.ref, quiet=True)
    with pytest.raises(StudyError, match="objectives"):
        tune(LitDigits, data, minimize="val_loss", trials=2, resume=study.ref, quiet=True)
    with pytest.raises(RunStateError, match="is no study but a run"):
        tune(LitDigits, data, trials=2, resume=study.children[0].ref, quiet=True)


class Slow(LitDigits):
    """Takes its time."""

    def training_step(self, batch, batch_idx):
        time.sleep(0.02)
        return super().training_step(batch, batch_idx)


def test_an_interrupt_ends_it_and_it_resumes(data, store) -> None:
    def interrupt() -> None:
        until(lambda: sum(record.status == "finished" for record in store.list_runs(10, kind="trial")) >= 2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(TrainingInterrupted, match="--resume"):
        tune(Slow, data, space=SPACE, trials=8, **USUAL | {"prune": "none"})
    thread.join()
    study = Study(*_newest())
    assert study.status == "stopped"
    done = len(study.trials[study.trials["state"] == "complete"])
    assert 0 < done < 8
    again = tune(Slow, data, trials=8, resume=study.ref, quiet=True)
    assert list(again.trials["state"]) == ["complete"] * 8
    unbroken = tune(LitDigits, data, space=SPACE, trials=8, **USUAL | {"prune": "none"})
    assert again.trials["val_acc"].to_dict() == unbroken.trials["val_acc"].to_dict()


class VerySlow(LitDigits):
    """Would take minutes."""

    def training_step(self, batch, batch_idx):
        time.sleep(0.05)
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("parallel", [1, 2])
def test_stop_does_not_wait_for_a_long_trial(parallel: int, data, store) -> None:
    def steer() -> None:
        until(lambda: any(run.last.get("val_acc") for run in _trials(store)))
        Study(store, store.list_runs(1, kind="tune")[0].key).stop()

    thread = threading.Thread(target=steer)
    thread.start()
    given = USUAL | {"epochs": 1000, "prune": "none"}
    study = tune(VerySlow, data, space=SPACE, trials=50, parallel=parallel, **given)
    thread.join()
    assert study.status == "stopped"
    assert set(study.trials["state"]) == {"waiting"}  # they begin again when it is resumed
    drawn = snapshot(store, study.key)["study"]
    assert set(drawn["states"]) == {curve["state"] for curve in drawn["curves"]} == {"w"}
    assert {run.status for run in study.children} == {"stopped"}
    for run in study.children:  # at the next validation, or the next batch, whichever comes first
        assert run.record.message.startswith(("the study was stopped", "stopped at step"))


def _trials(store) -> list:
    return [get_run(record.key) for record in store.list_runs(10, kind="trial")]


SCRIPT = """
from jupyter_train import tune
from tests.tuning.test_search import Slow
from tests.models import digits
tune(Slow, digits(320), space={"lr": "1e-4..1e-1:log", "hidden": [8, 16, 32]}, trials=10, epochs=3, maximize="val_acc",
     seed=1, quiet=True, prune="none", parallel=PARALLEL)
"""


@pytest.mark.parametrize("parallel", in_full([1, 2], but=[2]))
def test_a_killed_driver_loses_no_finished_trial(parallel: int, data, store, python: str) -> None:
    root = str(Path(__file__).parents[2])
    script = SCRIPT.replace("PARALLEL", str(parallel))
    environment = os.environ | {"PYTHONPATH": root}
    process = subprocess.Popen([python, "-W", "ignore", "-c", script], env=environment, stdout=subprocess.DEVNULL)
    study = Study(store, until(lambda: store.list_runs(1, kind="tune"), process=process)[0].key)
    until(lambda: (study.folder / "study.journal").exists() and _done(study) >= 3, process=process)
    process.kill()
    process.wait()
    assert study.status == "lost"
    before = study.trials
    assert set(before["state"]) <= {"complete", "waiting"}
    finished = before[before["state"] == "complete"]
    again = tune(Slow, data, trials=10, resume=study.ref, quiet=True, parallel=1)
    after = again.trials
    assert list(after["state"]) == ["complete"] * 10
    assert after.loc[finished.index, "run"].equals(finished["run"])
    assert len(set(after["run"])) == 10
    _wait_for_no_process(again)


def _done(study: Study) -> int:
    try:
        return int((study.trials["state"] == "complete").sum())
    except (KeyError, ValueError, StudyError):  # it has no trial yet
        return 0


def _wait_for_no_process(study: Study) -> None:
    """Workers leave with their driver, and idle ones with their study."""
    left = {run.record.pid for run in study.children} - {os.getpid()}
    for _ in range(100):
        left = {pid for pid in left if psutil.pid_exists(pid)}
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(left)


def test_trials_at_once_are_as_good_and_all_accounted_for(data) -> None:
    study = tune(Slow, data, space=SPACE, trials=24, parallel=2, **USUAL)
    assert study.status == "finished"
    assert len(study.trials) == 24
    processes = {run.record.pid for run in study.children}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert len(checkpoints_of(study)) <= 3
    assert study.best.model() is not None
    _wait_for_no_process(study)


class KillsItself(LitDigits):
    """Dies like a process that the system kills, in some trials."""

    def __init__(self, lr: float = 1e-2, way: str = ""):
        super().__init__(lr=lr)
        self.way = way

    def training_step(self, batch, batch_idx):
        if self.way == "to die" and os.getpid() != int(os.environ["TEST_PROCESS"]):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02)
        return super().training_step(batch, batch_idx)


def test_a_worker_that_dies_costs_one_trial_at_most(data, monkeypatch) -> None:
    monkeypatch.setenv("TEST_PROCESS", str(os.getpid()))
    space = {"lr": "1e-3..1e-1:log", "way": ["to live", "to go on", "to survive", "to die"]}
    study = tune(KillsItself, data, space=space, trials=24, parallel=2, prune="none", sampler="random", **USUAL)
    assert study.status in ("finished", "failed")
    trials = study.trials
    failed = trials[trials["state"] == "fail"]
    assert len(failed) > 0
    assert set(failed["way"]) == {"to die"}
    assert all("killed (SIGKILL)" in message for message in failed["message"])
    assert all(trials[trials["way"] != "to die"]["state"] == "complete")
    assert {run.status for run in study.children} <= {"finished", "failed"}


def test_when_what_they_were_forked_from_dies_others_take_over(data, store) -> None:
    killed = []

    def kill() -> None:
        study = Study(store, until(lambda: store.list_runs(1, kind="tune"))[0].key)
        until(lambda: _done(study) >= 4)
        before = {run.record.pid for run in study.children} - {os.getpid()}
        killed.append(before)
        os.kill(FORK_SERVER.get()._process.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    study = tune(Slow, data, space=SPACE, trials=16, parallel=2, **USUAL | {"prune": "none"})
    thread.join()
    assert study.status == "finished"
    assert list(study.trials["state"]) == ["complete"] * 16
    assert {run.record.pid for run in study.children} - killed[0] - {os.getpid()}  # by others


def test_a_model_that_cannot_travel_is_named(data, store) -> None:
    lock = threading.Lock()

    def make(lr):
        assert lock
        return LitDigits(lr=lr)

    with pytest.raises((StudyError, OptionError, ValueError), match="cannot be taken to another process"):
        tune(make, data, space={"lr": "1e-3..1e-1"}, trials=4, parallel=2, **USUAL)


def test_the_winner_is_confirmed_with_further_seeds(data) -> None:
    study = tune(LitDigits, data, space=SPACE, trials=6, confirm=True, **USUAL | {"prune": "none"})
    best_three = study.trials.index[:3]
    confirmed = study.confirmed
    assert sorted(confirmed.index) == sorted(best_three)
    assert list(confirmed["mean"]) == sorted(confirmed["mean"], reverse=True)
    for number, row in confirmed.iterrows():
        fits = get_run(row["run"]).children
        assert [fit.config["seed"] for fit in fits] == [2, 3, 4]
        assert row["mean"] == pytest.approx(sum(fit.best["value"] for fit in fits) / 3)
        assert get_run(row["run"]).config["confirms"] == number
    assert study.best.number == confirmed.index[0]
    assert any("over further seeds" in event.text for event in study.events)
    assert study.trial(study.best.number).config["trial"] == study.best.number


class Counts(pl.Callback):
    """Remembers the batches it has seen."""

    def __init__(self) -> None:
        self.seen = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen += 1
        pl_module.log("seen", float(self.seen))


def test_callbacks_are_fresh_in_every_trial(data) -> None:
    counts = Counts()
    study = tune(LitDigits, data, space=SPACE, trials=3, callback=counts, **USUAL | {"prune": "none"})
    assert {run.metrics["seen"].max() for run in study.children} == {24.0}  # 8 batches, 3 epochs
    assert counts.seen == 0


def test_a_pruner_without_a_validation_every_epoch_says_so(data) -> None:
    study = tune(LitDigits, data, space=SPACE, trials=2, check_val_every_n_epoch=3, **USUAL)
    (words,) = [event.text for event in study.events if event.kind == "warning"]
    assert words.startswith("a trial has a value every 3 epochs only")
    quiet = tune(LitDigits, data, space=SPACE, trials=2, check_val_every_n_epoch=3, **USUAL | {"prune": "none"})
    assert [event for event in quiet.events if event.kind == "warning"] == []


def spec_of(space: dict[str, str] | None = None, constraints=None, **options) -> SearchSpec:
    given = {"trials": 3, "maximize": "val_acc", "epochs": 1, "seed": 3, **options}
    config = TuneConfig.of(given, space or {"lr": "1e-3..1e-1:log"})
    plan = TrialSpec(config, ModelFactory(LitDigits), None, {}, name="lit-digits", notebook="/a.ipynb")
    return SearchSpec(plan, constraints=constraints)


def keeps_small(_trial) -> list[float]:
    return [0.0]


def test_a_study_is_recorded_with_its_space_its_options_and_what_makes_its_models(store) -> None:
    record = create(store, spec_of(tag=["a"], note="why", notify="https://example.org/s3cret"))
    assert (record.kind, record.status, record.name, record.notebook) == ("tune", "queued", "lit-digits", "/a.ipynb")
    assert (record.tags, record.note) == (["a"], "why")
    assert record.config["space"] == {"lr": "0.001..0.1:log"}
    assert (record.config["is_made"], record.config["searched_options"]) == (True, {})
    assert "constraints" not in record.config
    assert "s3cret" not in str(record.config)
    assert create(store, spec_of(constraints=keeps_small, name="other")).config["constraints"] == "keeps_small"


def test_a_study_is_told_from_a_run(store) -> None:
    record = create(store, spec_of())
    assert study_record(store, record.ref).key == record.key
    run = store.create_run("digits")
    with pytest.raises(RunStateError, match=f"`{run.ref}` is no study but a run; `%train --resume {run.ref}`"):
        study_record(store, run.ref)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"trials": 9, "timeout": "10m", "note": "other", "quiet": True}, ""),
        ({"seed": 4}, "seed"),
        ({"sampler": "random"}, "sampler"),
        ({"maximize": "val_f1"}, "objectives"),
        ({"epochs": 2}, "--epochs"),
        ({"space": {"lr": "1e-3..1:log"}}, "lr"),
        ({"space": {"lr": "1e-3..1e-1:log", "hidden": "8|16"}}, "hidden"),
    ],
)
def test_a_study_is_resumed_with_what_it_searched(store, options, line: str) -> None:
    record = create(store, spec_of())
    if not line:
        check_same(record, spec_of(**options))
        return
    with pytest.raises(StudyError, match=f"`{record.ref}` searched something else") as caught:
        check_same(record, spec_of(**options))
    assert line in str(caught.value)


def test_a_study_with_constraints_is_resumed_with_constraints(store) -> None:
    record = create(store, spec_of(constraints=keeps_small))
    check_same(record, spec_of(constraints=keeps_small))
    with pytest.raises(StudyError, match="keeps to constraints, and none are given; add `constraints=keeps_small`"):
        check_same(record, spec_of())
