"""What tells the best epoch: what was named, a validation metric, the training loss of one optimizer, or nothing."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import train
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.training.monitored import choose_monitor, training_loss

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
    """Two optimizers by hand."""

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
    assert _said(run) == [f"`{name}` tells the best epoch from now on; what was best by `train_loss` no longer counts"]
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


def test_losses_of_several_optimizers_tell_nothing_and_the_last_weights_count() -> None:
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
    from jupyter_train.doctor import look

    one, other = (train(Adversarial(), _loaders()[0], epochs=1, seed=1) for _ in range(2))
    assert "best" not in repr(one).splitlines()[0]
    assert "–" in repr(runs())
    assert repr(compare(one, other))
    assert not [finding.words for finding in look() if one.ref in finding.words]


def test_a_named_training_loss_counts_with_several_optimizers() -> None:
    run = train(Adversarial(), _loaders()[0], epochs=2, seed=1, quiet=True, monitor="g_loss")
    assert run.best["metric"] == "g_loss"


@pytest.mark.parametrize("checkpoint", ["async", "sync"])
def test_a_resumed_run_goes_on_with_the_metric_that_told(checkpoint) -> None:
    run = _train(lambda: Overfits(validates_from=1), epochs=2, checkpoint=checkpoint)
    run = _train(lambda: Overfits(validates_from=1), epochs=4, resume=run.ref)
    assert (run.best["metric"], run.best["value"]) == ("val_loss", 2.0)
    assert len(_said(run)) == 1
    assert _kept(run) == [("best", 4), ("last", 8)]


def test_a_metric_named_for_another_attempt_begins_anew() -> None:
    run = _train(lambda: Overfits(), epochs=2)
    assert run.best["metric"] == "val_loss"
    run = _train(lambda: Overfits(), epochs=4, resume=run.ref, monitor="train_loss")
    assert (run.best["metric"], run.best["epoch"]) == ("train_loss", 3)
    assert _kept(run) == [("best", 8), ("last", 8)]


@pytest.mark.parametrize(
    ("model", "data", "options", "words"),
    [
        (Overfits, _loaders, {}, "by the first validation metric that is logged, a loss before others; without one, "
                                 "the training loss"),
        (Overfits, lambda: _loaders()[0], {}, "by the training loss"),
        (Adversarial, lambda: _loaders()[0], {}, "none of the 2 optimizers' losses: the last weights count"),
        (Adversarial, lambda: _loaders()[0], {"monitor": "g_loss"}, "by `g_loss` (min)"),
    ],
)  # fmt: skip
def test_what_will_tell_is_explained_before(model, data, options, words) -> None:
    assert train(model(), data(), epochs=1, explain=True, **options)["best"] == words


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["val_acc", "val_loss"], "val_loss"), (["f1", "zork"], "f1"), (["zork"], None),
     (["val_loss_step", "val_loss"], "val_loss")],
)  # fmt: skip
def test_a_validation_loss_is_chosen_before_others(names, chosen) -> None:
    assert choose_monitor(names) == chosen


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["kl_loss", "recon_loss", "train_loss"], "train_loss"), (["train/loss", "train/acc"], "train/loss"),
     (["train_acc"], None), (["mse"], "mse"), (["train_loss_step", "train_loss_epoch"], "train_loss_epoch")],
)  # fmt: skip
def test_a_training_loss_is_told_by_its_name(names, chosen) -> None:
    assert training_loss(names) == chosen
