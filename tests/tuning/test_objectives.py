"""Several objectives: every value of a trial is that of the epoch whose weights are kept."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from jupyter_train import train, tune
from jupyter_train.exceptions import StudyError
from jupyter_train.handle import Run
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, RunWriter
from jupyter_train.store.writer import Row
from jupyter_train.tuning.objectives import values_of
from tests.models import LitDigits, digits

pytestmark = [pytest.mark.filterwarnings("ignore")]
ACCURACIES, LOSSES, COSTS = [0.2, 0.9, 0.3, 0.4], [5.0, 3.0, 1.0, 2.0], [10.0, 20.0, 30.0, 40.0]


class Says(LitDigits):
    """Logs what it is given, epoch by epoch; the best accuracy comes in the second, the least loss in the third."""

    def validation_step(self, batch, batch_idx):
        self.log_dict({"acc_val": ACCURACIES[self.current_epoch], "loss_val": LOSSES[self.current_epoch]})

    def on_train_epoch_end(self):
        self.log("cost", COSTS[self.current_epoch])


class Twice(Says):
    """Validates twice an epoch, the second time with another loss."""

    def validation_step(self, batch, batch_idx):
        is_second = self.trainer.fit_loop.epoch_loop.batch_idx > 4
        self.log("acc_val", ACCURACIES[self.current_epoch] - 0.1 * is_second)
        self.log("loss_val", LOSSES[self.current_epoch] + 10 * is_second)


@pytest.mark.parametrize(("model", "options"), [(Says, {}), (Twice, {"val_check_interval": 0.5}), (Says, {"cv": 3})])
def test_all_values_of_a_trial_are_of_its_best_epoch(model, options) -> None:
    study = tune(
        model,
        digits(320),
        space={"hidden": [4, 8]},
        trials=2,
        epochs=4,
        maximize="acc_val",
        minimize=["loss_val", "cost"],
        seed=1,
        quiet=True,
        **options,
    )
    for trial in study.optuna.trials:
        assert trial.values == pytest.approx([0.9, 3.0, 20.0])
    assert study.trials[["acc_val", "loss_val", "cost"]].to_numpy() == pytest.approx(
        torch.tensor([[0.9, 3.0, 20.0]] * 2).numpy()
    )
    if "cv" not in options:
        kept = study.best.run
        assert isinstance(kept, Run)
        assert kept.best["epoch"] == 1


class Sometimes(Says):
    """Logs its cost in the first epoch only."""

    def on_train_epoch_end(self):
        if self.current_epoch == 0:
            super().on_train_epoch_end()


def test_what_is_logged_less_often_has_the_value_it_had_by_then() -> None:
    study = tune(
        Sometimes,
        digits(),
        space={"hidden": [4, 8]},
        trials=1,
        epochs=4,
        maximize="acc_val",
        minimize="cost",
        seed=1,
        quiet=True,
    )
    assert study.optuna.trials[0].values == pytest.approx([0.9, 10.0])


class Level(Says):
    """Is as accurate in every epoch."""

    def validation_step(self, batch, batch_idx):
        self.log_dict({"acc_val": 0.5, "loss_val": LOSSES[self.current_epoch]})


@pytest.mark.parametrize(("objective", "values"), [("best", [0.5, 5.0, 10.0]), ("last", [0.5, 2.0, 40.0])])
def test_of_equal_epochs_the_one_that_is_kept_counts(objective, values) -> None:
    study = tune(
        Level,
        digits(),
        space={"hidden": [4, 8]},
        trials=1,
        epochs=4,
        maximize="acc_val",
        minimize=["loss_val", "cost"],
        objective=objective,
        seed=1,
        quiet=True,
    )
    assert study.optuna.trials[0].values == pytest.approx(values)


@pytest.mark.parametrize("options", [{}, {"cv": 3}])
def test_the_last_epoch_counts_where_that_is_requested(options) -> None:
    study = tune(
        Says,
        digits(320),
        space={"hidden": [4, 8]},
        trials=2,
        epochs=4,
        maximize="acc_val",
        minimize=["loss_val", "cost"],
        objective="last",
        seed=1,
        quiet=True,
        **options,
    )
    for trial in study.optuna.trials:
        assert trial.values == pytest.approx([0.4, 2.0, 40.0])
    if "cv" not in options:
        best = study.best
        alone = train(
            lambda: Says(hidden=best.params["hidden"]),
            digits(320),
            epochs=4,
            seed=1,
            quiet=True,
            monitor="acc_val",
            mode="max",
        )
        assert torch.equal(best.model().net[0].weight, alone.model(which="last").net[0].weight)
        assert not torch.equal(best.model().net[0].weight, alone.model(which="best").net[0].weight)
        assert ["last acc_val", "0.400 (epoch 3)", "best"] in snapshot(study._store, best.run.key)["status_line"]
    again = tune(Says, digits(320), resume=study.ref, trials=3, quiet=True)
    assert again.optuna.trials[2].values == pytest.approx([0.4, 2.0, 40.0])
    with pytest.raises(StudyError, match="objective: last → best"):
        tune(Says, digits(320), resume=study.ref, trials=4, objective="best", quiet=True)


def test_several_fits_say_of_which_epochs_their_mean_is() -> None:
    run = train(lambda: Says(), digits(320), cv=3, epochs=4, seed=1, quiet=True, monitor="acc_val", mode="max")
    assert run.mean == pytest.approx(0.9)
    assert run.mean_last == pytest.approx(0.4)
    assert (run.std, run.std_last) == pytest.approx((0.0, 0.0), abs=1e-6)
    line = {label: value for label, value, _ in snapshot(run._store, run.key)["status_line"]}
    assert line["acc_val"].startswith("0.900 ± ")
    assert line["acc_val"].endswith(" of the best epochs")
    assert line["of the last"].startswith("0.400 ± ")


ROWS = [
    (1, 0, {"acc": 0.5, "size": 10.0}),
    (2, 0, {"train": 4.0}),
    (3, 1, {"acc": 0.9, "size": 20.0}),
    (4, 1, {"train": 2.0}),
    (5, 2, {"acc": 0.9, "size": 30.0}),
    (6, 2, {"train": 1.0}),
]


def recorded(store: Any, best: dict[str, Any] | None, rows: list[Any] = ROWS, **fields: Any) -> RunRecord:
    """A finished trial with these rows: step, epoch, values."""
    record = store.create_run("digits", **fields)
    store.set_status(record.key, RunStatus.RUNNING)
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    for step, epoch, values in rows:
        writer.add(Row(step, epoch, 1e9, list(values.items())))
    if best is not None:
        writer.summary(best={"metric": "acc", "value": 0.9, "epoch": 1} | best)
    assert writer.close(RunStatus.FINISHED)
    return store.get(record.key)


@pytest.mark.parametrize(
    ("best", "values"),
    [
        ({}, {"acc": 0.9, "size": 20.0, "train": 2.0}),  # what the epoch's training logs comes later in it
        ({"epoch": 2, "which": "last"}, {"acc": 0.9, "size": 30.0, "train": 1.0}),
        ({"value": 0.5, "epoch": 0}, {"acc": 0.5, "size": 10.0, "train": 4.0}),
        ({"value": 0.7}, {"acc": 0.7}),  # no point of the curve
        (None, {"acc": 0.9, "size": 30.0, "train": 1.0}),  # the last values
    ],
)
def test_every_value_is_of_the_epoch_that_counts(store, best: dict[str, Any] | None, values: dict[str, float]) -> None:
    record = recorded(store, best)
    assert values_of(store, record, ["acc", "size", "train", "nothing"]) == values


@pytest.mark.parametrize(("best", "size"), [({"epoch": 0}, 1.0), ({"epoch": 0, "which": "last"}, 2.0)])
def test_of_equal_validations_of_an_epoch_the_kept_one_counts(store, best: dict[str, Any], size: float) -> None:
    rows = [(1, 0, {"acc": 0.9, "size": 1.0}), (2, 0, {"acc": 0.9, "size": 2.0}), (3, 1, {"acc": 0.9, "size": 3.0})]
    assert values_of(store, recorded(store, best, rows), ["acc", "size"]) == {"acc": 0.9, "size": size}


def test_of_one_objective_the_recorded_best_is_enough(store) -> None:
    assert values_of(store, recorded(store, {"value": 0.7}), ["acc"]) == {"acc": 0.7}
    rows = [(1, 0, {"acc": math.nan})]
    assert math.isnan(values_of(store, recorded(store, None, rows), ["acc"])["acc"])
    assert values_of(store, recorded(store, None, []), ["acc"]) == {}


def test_what_was_logged_before_stands_for_an_epoch_without_it(store) -> None:
    rows = [(1, 0, {"acc": 0.1, "size": 7.0}), (2, 1, {"acc": 0.9})]
    assert values_of(store, recorded(store, {}, rows), ["acc", "size"]) == {"acc": 0.9, "size": 7.0}


def test_of_several_fits_it_is_the_mean_over_those_that_have_it(store) -> None:
    whole = recorded(store, {}, [], config={"cv": 2})
    for value, size in ((0.8, 10.0), (0.6, 20.0)):
        rows = [(1, 1, {"acc": value, "size": size})]
        recorded(store, {"value": value}, rows, parent=whole.key)
    recorded(store, None, [(1, 1, {"acc": 0.1})], parent=whole.key)  # no best epoch: it counts for nothing
    assert values_of(store, whole, ["acc", "size", "nothing"]) == pytest.approx({"acc": 0.7, "size": 15.0})
