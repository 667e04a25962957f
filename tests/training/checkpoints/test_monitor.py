"""What tells the best epoch: what was named, a validation metric, the training loss of one optimizer, or nothing."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from jupyter_train import train
from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import OptionError
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.training.checkpoints.monitor import MonitoredMetric
from jupyter_train.training.checkpoints.monitor_choice import choose_monitor, training_loss
from jupyter_train.training.lightning.validation_schedule import may_validate
from tests.models import DigitsData, LitDigits, digits
from tests.training.trainers import At, fit

#: What Lightning and torch say of these modules is theirs to say.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

ROWS = TensorDataset(torch.arange(24.0).reshape(24, 1) / 24, torch.arange(24.0).reshape(24, 1))


class Overfits(pl.LightningModule):
    """Its training loss falls, its validation loss rises; it logs the latter from an epoch on."""

    def __init__(self, validates_from=0, name="val_loss"):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.validates_from, self.called = validates_from, name

    def training_step(self, batch, batch_idx):
        loss = mse_loss(self.layer(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        if self.current_epoch >= self.validates_from:
            self.log(self.called, 1.0 + self.current_epoch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


class Adversarial(Overfits):
    """Two optimizers, manual optimization."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.other = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        for optimizer, layer, name in zip(
            self.optimizers(), (self.layer, self.other), ("g_loss", "d_loss"), strict=True
        ):
            loss = mse_loss(layer(batch[0]), batch[1])
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.log(name, loss)

    def configure_optimizers(self):
        return [torch.optim.SGD(layer.parameters(), 0.01) for layer in (self.layer, self.other)]


def _loaders():
    return DataLoader(ROWS, 12), DataLoader(ROWS, 12)


def _train(model, **options):
    return train(model, _loaders(), **{"epochs": 4, "seed": 1, "quiet": True, "num_sanity_val_steps": 0, **options})


def _kept(run):
    with MetricReader(RunFolder(run.folder).metrics) as reader:
        return sorted((one.kind, one.step) for one in reader.checkpoints())


def _said(run):
    return [event.text for event in run.events if event.kind == "best"]


@pytest.mark.parametrize("engine", ["lean", "lightning"])
def test_the_training_loss_is_not_taken_where_validation_is_still_to_come(engine) -> None:
    run = _train(Overfits(), check_val_every_n_epoch=2, engine=engine)
    assert (run.best["metric"], run.best["value"], run.best["epoch"]) == ("val_loss", 2.0, 1)
    assert _kept(run) == [("best", 4), ("last", 8)]
    assert _said(run) == []


@pytest.mark.parametrize("engine", ["lean", "lightning"])
@pytest.mark.parametrize("name", ["val_loss", "accuracy"])
def test_a_late_validation_metric_decides_from_then_on(name, engine) -> None:
    """Whatever it is called: it is logged by the validation."""
    run = _train(Overfits(validates_from=2, name=name), engine=engine, keep_best=2)
    best = {"val_loss": 3.0, "accuracy": 4.0}[name]
    assert (run.best["metric"], run.best["value"]) == (name, best)
    text = f"`{name}` selects the best epoch from now on; what was best by `train_loss` no longer counts"
    assert _said(run) == [text]
    assert [step for kind, step in _kept(run) if kind == "best"] == [6, 8]
    assert run.record.summary["trail"] == [3.0, 4.0]
    assert run.checkpoint.name == {"val_loss": "best-step6.ckpt", "accuracy": "best-step8.ckpt"}[name]


def test_what_was_best_before_does_not_count_where_the_late_metric_is_never_a_number() -> None:
    class Nan(Overfits):
        def validation_step(self, batch, batch_idx):
            if self.current_epoch >= 1:
                self.log("val_loss", float("nan"))

    run = _train(Nan(), checkpoint="sync")
    assert run.best is None
    assert _kept(run) == [("last", 8)]
    assert run.checkpoint.name.startswith("last")


def test_a_validation_metric_is_not_looked_at_again_where_nothing_validated() -> None:
    """Else another epoch's weights would be kept for its value."""
    run = _train(Overfits(), check_val_every_n_epoch=2, keep_best=3)
    assert _kept(run) == [("best", 4), ("best", 8), ("last", 8)]
    assert run.record.summary["trail"] == [2.0, 4.0]


def test_without_validation_the_training_loss_tells() -> None:
    run = train(Overfits(), _loaders()[0], epochs=3, seed=1, quiet=True)
    assert (run.best["metric"], run.best["epoch"]) == ("train_loss", 2)


def test_validation_that_never_comes_is_not_waited_for() -> None:
    assert _train(Overfits(), check_val_every_n_epoch=9).best["metric"] == "train_loss"


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 3, "check_val_every_n_epoch": None, "val_check_interval": 1000},
        {"epochs": 3, "max_steps": 3, "check_val_every_n_epoch": 2},
    ],
)
def test_where_a_limit_ends_the_fit_before_it_validates_the_training_loss_tells(options) -> None:
    run = _train(Overfits(), **options)
    assert (run.best["metric"], run.best["epoch"]) == ("train_loss", run.metrics["epoch"].max() // 1)
    assert _said(run) == []


@pytest.mark.parametrize(
    ("options", "awaits"),
    [
        ({"max_epochs": 4, "check_val_every_n_epoch": 4}, True),
        ({"max_epochs": 3, "check_val_every_n_epoch": 4}, False),
        ({"max_epochs": -1, "max_steps": 8, "check_val_every_n_epoch": 4}, True),
        ({"max_epochs": -1, "max_steps": 7, "check_val_every_n_epoch": 4}, False),
        ({"max_epochs": 9, "max_steps": 4, "check_val_every_n_epoch": 4, "accumulate_grad_batches": 2}, True),
        ({"max_epochs": 9, "max_steps": 3, "check_val_every_n_epoch": 4, "accumulate_grad_batches": 2}, False),
        ({"max_epochs": 9, "max_steps": 7, "check_val_every_n_epoch": 4, "val_check_interval": 1}, True),
        ({"max_epochs": 4, "check_val_every_n_epoch": None, "val_check_interval": 8}, True),
        ({"max_epochs": 4, "check_val_every_n_epoch": None, "val_check_interval": 9}, False),
        ({"max_epochs": 9, "max_steps": 7, "check_val_every_n_epoch": None, "val_check_interval": 8}, False),
        ({"max_epochs": 4, "check_val_every_n_epoch": None, "val_check_interval": "00:01:00:00"}, True),
        ({"max_epochs": 4, "check_val_every_n_epoch": 4, "limit_val_batches": 0}, False),
    ],
    ids=str,
)
def test_whether_a_validation_can_still_come_is_what_lightning_does(options, awaits) -> None:
    """Checked at the end of the first epoch; `Validates` notes when a validation came."""
    asked, came = [], []

    class Validates(Overfits):
        def on_train_epoch_end(self):
            if not came:
                asked.append(may_validate(self.trainer))

        def on_validation_epoch_start(self):
            came.append(self.trainer.global_step)

    pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    ).fit(Validates(), *_loaders())
    assert asked[0] is awaits
    assert bool(came) is (awaits and ":" not in str(options.get("val_check_interval")))


def test_batches_of_no_known_number_validate_at_the_end_of_an_epoch() -> None:
    class Endless(IterableDataset):
        def __iter__(self):
            return iter(ROWS)

    data = DataLoader(Endless(), 12), DataLoader(ROWS, 12)
    run = train(Overfits(), data, epochs=4, seed=1, quiet=True, num_sanity_val_steps=0, check_val_every_n_epoch=2)
    assert run.best["metric"] == "val_loss"
    run = train(Overfits(), data, epochs=1, seed=1, quiet=True, num_sanity_val_steps=0, check_val_every_n_epoch=2)
    assert run.best["metric"] == "train_loss"


NONE_CAME = "no epoch is the best: the validation that was awaited did not come; the last weights count"


def test_a_fit_that_ends_while_a_validation_is_awaited_says_that_none_is_the_best() -> None:
    class Stops(Overfits):
        def on_train_epoch_start(self):
            self.trainer.should_stop = self.current_epoch == 1

    run = _train(Stops(), check_val_every_n_epoch=4, min_epochs=1)
    assert run.best is None
    [said] = _said(run)
    assert said.startswith(NONE_CAME)


def test_one_that_breaks_off_says_so_too() -> None:
    class Breaks(Overfits):
        def on_train_epoch_start(self):
            if self.current_epoch == 1:
                raise KeyboardInterrupt

    run = _train(Breaks(), check_val_every_n_epoch=4, on_interrupt="return")
    assert run.best is None
    [said] = _said(run)
    assert said.startswith(NONE_CAME)


def test_two_manual_optimizers_say_so_where_steps_end_before_a_validation() -> None:
    run = _train(Adversarial(), check_val_every_n_epoch=4, max_steps=6)
    assert run.best is None
    [said] = _said(run)
    assert said.startswith(NONE_CAME)


def test_a_metric_that_is_never_a_number_is_named_at_the_end() -> None:
    run = _train(Overfits(name="train_zork"), monitor="nothing_loss", callback=[Puts("nothing_loss", float("nan"))])
    assert run.best is None
    [said] = _said(run)
    assert said.startswith("no epoch is the best: `nothing_loss` was never a number; the last weights count")


class Puts(pl.Callback):
    """A metric of the whole validation that a callback computes."""

    def __init__(self, name, value=1.0):
        self.called, self.value = name, value

    def on_validation_end(self, trainer, pl_module):
        trainer.callback_metrics[self.called] = torch.tensor(self.value - trainer.current_epoch / 10)


class LogsNothing(Overfits):
    def validation_step(self, batch, batch_idx):
        pass


@pytest.mark.parametrize(
    ("monitor", "every", "engine"), [(None, 1, "lean"), (None, 2, "lightning"), ("val_map", 2, "lean")]
)
def test_a_validation_metric_that_a_callback_puts_there_tells(monitor, every, engine) -> None:
    """At validations only: its value stays there."""
    options = {"monitor": monitor} if monitor else {}
    run = _train(LogsNothing(), callback=[Puts("val_map")], check_val_every_n_epoch=every, engine=engine, **options)
    assert (run.best["metric"], run.best["epoch"], run.best["mode"]) == ("val_map", every - 1, "max")
    assert len(run.record.summary["trail"]) == 4 // every
    assert _said(run) == []


def test_a_metric_that_a_callback_puts_there_under_another_name_is_not_taken() -> None:
    assert _train(LogsNothing(), callback=[Puts("map")]).best["metric"] == "train_loss"


@pytest.mark.parametrize(("is_put", "engine"), [(True, "lean"), (False, "lightning")])
def test_a_validation_metric_of_no_known_direction_is_named(is_put, engine) -> None:
    model = LogsNothing() if is_put else Overfits(name="val_quality_index")
    run = _train(model, callback=[Puts("val_quality_index")] if is_put else [], engine=engine)
    assert run.best["metric"] == "train_loss"
    [said] = _said(run)
    assert said.startswith("the validation logs `val_quality_index`, whose name does not say which way is better")
    assert "`--monitor val_quality_index --mode max` or `--mode min`" in said
    run = _train(model, callback=[Puts("val_quality_index")] if is_put else [], monitor="val_quality_index", mode="max")
    assert run.best["metric"] == "val_quality_index"
    assert _said(run) == []


def test_several_of_no_known_direction_are_named_at_once() -> None:
    class Several(Overfits):
        def validation_step(self, batch, batch_idx):
            self.log_dict({f"val_{name}": 1.0 for name in "abcdef"}, on_step=True, on_epoch=True)

    [said] = _said(_train(Several()))
    assert said.startswith("the validation logs `val_a`, `val_b`, `val_c`, `val_d` and 2 more, whose names do not say")


class Parts(Overfits):
    """Logs a loss and its parts."""

    def __init__(self, *names):
        super().__init__()
        self.names = names

    def training_step(self, batch, batch_idx):
        loss = mse_loss(self.layer(batch[0]), batch[1])
        self.log_dict(
            {name: loss * (1 - 2 * name.startswith("kl")) for name in self.names}, on_step=True, on_epoch=True
        )
        return loss


def test_the_whole_loss_selects_and_none_of_its_parts() -> None:
    run = train(Parts("total_loss", "rec_loss", "kl_loss"), _loaders()[0], epochs=3, seed=1, quiet=True)
    assert (run.best["metric"], run.best["epoch"]) == ("total_loss", 2)


def test_of_parts_alone_none_selects_and_the_last_weights_count() -> None:
    run = train(Parts("rec_loss", "kl_loss"), _loaders()[0], epochs=3, seed=1, quiet=True)
    assert run.best is None
    [said] = _said(run)
    assert "none of `kl_loss`, `rec_loss` is clearly the training loss; the last weights count; `--monitor" in said
    assert run.checkpoint.name == "last-step6.ckpt"


def test_a_validation_metric_that_comes_after_the_warning_is_reported() -> None:
    class Late(Overfits):
        def training_step(self, batch, batch_idx):
            return mse_loss(self.layer(batch[0]), batch[1])

    run = _train(Late(validates_from=2))
    assert (run.best["metric"], run.best["epoch"]) == ("val_loss", 2)
    assert _said(run)[1:] == ["`val_loss` selects the best epoch from now on"]


def test_losses_of_several_optimizers_select_nothing_and_the_last_weights_count() -> None:
    model = Adversarial()
    run = train(model, _loaders()[0], epochs=3, seed=1, quiet=True)
    assert run.best is None
    [said] = _said(run)
    assert "2 optimizers have losses of their own; the last weights count; `--monitor METRIC`" in said
    assert _kept(run) == [("last", 12)]
    assert torch.equal(run.model().layer.weight, model.layer.weight)
    assert run.checkpoint.name == "last-step12.ckpt"
    assert run.fork(from_step="best", epochs=4).best is None


def test_a_run_without_a_best_is_shown_everywhere(shell) -> None:
    from jupyter_train import compare, runs
    from jupyter_train.doctor import diagnose

    one, other = (train(Adversarial(), _loaders()[0], epochs=1, seed=1) for _ in range(2))
    assert "best" not in repr(one).splitlines()[0]
    assert "–" in repr(runs())
    assert repr(compare(one, other))
    assert not [finding.message for finding in diagnose() if one.ref in finding.message]


def test_a_named_training_loss_counts_with_several_optimizers() -> None:
    run = train(Adversarial(), _loaders()[0], epochs=2, seed=1, quiet=True, monitor="g_loss")
    assert run.best["metric"] == "g_loss"


@pytest.mark.parametrize("checkpoint", ["async", "sync"])
def test_a_resumed_run_keeps_the_selecting_metric(checkpoint) -> None:
    run = _train(lambda: Overfits(validates_from=1), epochs=2, checkpoint=checkpoint)
    run = _train(lambda: Overfits(validates_from=1), epochs=4, resume=run.ref)
    assert (run.best["metric"], run.best["value"]) == ("val_loss", 2.0)
    assert len(_said(run)) == 1
    assert _kept(run) == [("best", 4), ("last", 8)]


def test_a_metric_named_for_another_attempt_starts_again() -> None:
    run = _train(lambda: Overfits(), epochs=2)
    assert run.best["metric"] == "val_loss"
    run = _train(lambda: Overfits(), epochs=4, resume=run.ref, monitor="train_loss")
    assert (run.best["metric"], run.best["epoch"]) == ("train_loss", 3)
    assert _kept(run) == [("best", 8), ("last", 8)]


@pytest.mark.parametrize(
    ("model", "data", "options", "words"),
    [
        (
            Overfits,
            _loaders,
            {},
            "by the first validation metric that is logged, a loss before others; without one, the training loss",
        ),
        (Overfits, lambda: _loaders()[0], {}, "by the training loss"),
        (Adversarial, lambda: _loaders()[0], {}, "none of the 2 optimizers' losses: the last weights count"),
        (Adversarial, lambda: _loaders()[0], {"monitor": "g_loss"}, "by `g_loss` (min)"),
    ],
)
def test_what_will_select_is_explained_before(model, data, options, words) -> None:
    assert train(model(), data(), epochs=1, explain=True, **options)["best"] == words


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["val_acc", "val_loss"], "val_loss"),
        (["f1", "zork"], "f1"),
        (["zork"], None),
        (["val_loss_step", "val_loss"], "val_loss"),
    ],
)
def test_a_validation_loss_is_chosen_before_others(names, chosen) -> None:
    assert choose_monitor(names) == chosen


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["kl_loss", "recon_loss", "train_loss"], "train_loss"),
        (["train/loss", "train/acc"], "train/loss"),
        (["total_loss", "rec_loss", "kl_loss"], "total_loss"),
        (["rec_loss", "kl_loss"], None),
        (["loss", "total_loss"], "total_loss"),
        (["totalLoss", "aeLoss"], "totalLoss"),
        (["loss_1", "loss_2"], None),
        (["avg_train_loss", "a_loss"], "avg_train_loss"),
        (["nll_step", "nll_epoch"], "nll_epoch"),
        (["train_mse", "train_mae"], None),
        (["train_acc"], None),
        (["mse"], "mse"),
        (["train_loss_step", "train_loss_epoch"], "train_loss_epoch"),
    ],
)
def test_a_training_loss_is_known_by_its_name(names, chosen) -> None:
    assert training_loss(names) == chosen


class Twice(LitDigits):
    """Validates on two loaders."""

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.step(batch, "val")

    def val_dataloader(self):
        rows = TensorDataset(*map(torch.as_tensor, digits(64)))
        return [DataLoader(rows, batch_size=32), DataLoader(rows, batch_size=32)]


FORMS = {
    "val_loss": "each with a value of its own. Name one: `val_loss/dataloader_idx_0`, `val_loss/dataloader_idx_1`",
    "val_loss/dataloader_idx_2": "Name one: `val_loss/dataloader_idx_0`, `val_loss/dataloader_idx_1`",
    "train_loss_epoch": "but `train_loss`; name one of these",
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("option", ["monitor", "early_stop"])
def test_a_metric_that_is_logged_in_other_forms_is_answered_with_them(name: str, option: str) -> None:
    with pytest.raises(OptionError) as caught:
        train(
            Twice(),
            DataLoader(TensorDataset(*map(torch.as_tensor, digits(64))), batch_size=32),
            epochs=1,
            seed=1,
            quiet=True,
            **{option: name},
        )
    assert f"`{name}` was never logged" in str(caught.value)
    assert FORMS[name] in str(caught.value)


def monitored(recording, **options: Any) -> MonitoredMetric:
    return MonitoredMetric(TrainConfig(**options), recording.writer)


def test_which_of_two_values_is_better(recording) -> None:
    nan = float("nan")
    loss = monitored(recording, monitor="val_loss")
    assert [loss.is_better(*pair) for pair in ((1.0, 2.0), (2.0, 2.0), (3.0, 2.0))] == [True, False, False]
    accuracy = monitored(recording, monitor="val_acc")
    assert [accuracy.is_better(*pair) for pair in ((1.0, 2.0), (2.0, 2.0), (3.0, 2.0))] == [False, False, True]
    assert monitored(recording, monitor="val_acc", mode="min").is_better(1.0, 2.0)
    last = monitored(recording, monitor="val_acc", objective="last")
    assert [last.is_better(*pair) for pair in ((1.0, 2.0), (nan, 2.0))] == [True, False]


class Plays(LitDigits):
    """Logs the next of these values at each epoch's validation."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.coming = iter(values)

    def on_validation_epoch_end(self) -> None:
        self.log("val_loss", next(self.coming))


def read(metric: MonitoredMetric, values: list[float]) -> list[float | None]:
    """What a metric reads at the end of each validation of a fit, one step an epoch."""
    seen: list[float | None] = []
    reader = At("on_validation_end", lambda trainer: seen.append(metric.read(trainer)))
    fit(Plays(values), DigitsData(32), reader, max_epochs=len(values), limit_val_batches=1, num_sanity_val_steps=0)
    return seen


def test_each_value_is_read_and_the_best_recorded(recording) -> None:
    metric = monitored(recording)
    nan = float("nan")
    assert read(metric, [3.0, 1.0, nan, 2.0]) == [3.0, 1.0, pytest.approx(nan, nan_ok=True), 2.0]
    assert metric.name == "val_loss"
    assert recording.summary["best"] == {"metric": "val_loss", "value": 1.0, "epoch": 1, "step": 2, "mode": "min"}
    assert recording.summary["trail"] == [3.0, 1.0, 2.0]


def test_the_last_value_counts_where_the_objective_is_the_last(recording) -> None:
    metric = monitored(recording, objective="last")
    read(metric, [1.0, 3.0])
    best = recording.summary["best"]
    assert (best["value"], best["epoch"], best["which"]) == (3.0, 1, "last")
    read(monitored(recording, objective="last"), [1.0, float("nan")])
    assert recording.summary["best"] is None


def test_a_long_trail_is_thinned_and_spans_the_whole_fit(recording) -> None:
    read(monitored(recording), [float(epoch) for epoch in range(33)])
    trail = recording.summary["trail"]
    assert len(trail) <= 32
    assert (trail[:2], trail[-1]) == ([0.0, 2.0], 32.0)


def test_the_state_is_that_of_the_same_metric_in_a_later_attempt(recording) -> None:
    first = monitored(recording)
    read(first, [2.0, 1.0])
    state = first.state_dict()
    recording.writer.summary(best=None, trail=[])
    again = monitored(recording)
    again.load_state_dict(state)
    assert again.state_dict() == state
    assert (recording.summary["best"]["value"], recording.summary["trail"]) == (1.0, [2.0, 1.0])
    assert again.is_comparable(2)


def test_the_state_of_another_metric_or_mode_starts_again(recording) -> None:
    first = monitored(recording)
    read(first, [2.0, 1.0])
    for options in ({"monitor": "val_acc"}, {"monitor": "val_loss", "mode": "max"}):
        other = monitored(recording, **options)
        other.load_state_dict(first.state_dict())
        assert other.state_dict()["best"] == {}
        assert (other.is_comparable(2), other.is_comparable(3)) == (False, True)
