"""Batches: several loaders at once, a last one of a single row, runs of few batches."""

from __future__ import annotations

import sys

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import get_run, runs, train
from jupyter_train.exceptions import DataError, OptionError
from tests.models import DigitsData, LitDigits, are_equal, digits, weights

IMAGES, LABELS = digits(41)


def dataset(rows: int = 41) -> TensorDataset:
    return TensorDataset(torch.from_numpy(IMAGES[:rows]), torch.from_numpy(LABELS[:rows]))


def trained(model, data, **more):
    return train(model, data, **{"epochs": 1, "seed": 1, "quiet": True} | more)


class Together(LitDigits):
    """Learns from a batch of each loader at once."""

    def training_step(self, batch, batch_idx):
        parts = batch.values() if isinstance(batch, dict) else batch
        return sum(self.step(part, "train") for part in parts)


@pytest.mark.parametrize("form", [list, lambda loaders: dict(zip("ab", loaders, strict=True))])
def test_a_list_or_a_dict_of_loaders_is_what_lightning_takes_it_for(form) -> None:
    def loaders() -> list[DataLoader]:
        return [DataLoader(dataset(40), 8), DataLoader(dataset(16), 8)]

    pl.seed_everything(1, workers=True, verbose=False)
    stock = Together()
    pl.seed_everything(1, workers=True, verbose=False)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=1, devices=1, enable_model_summary=False, **quiet)
    trainer.fit(stock, form(loaders()))
    run = trained(lambda: Together(), form(loaders()))
    assert are_equal(weights(stock), weights(run._module))
    also = "" if form is not list else "; a tuple would be `(train, validation)`"
    assert run.record.summary["data"] == f"2 loaders, a batch of each at once{also}"
    assert "val_loss" not in run.last


def test_a_tuple_is_training_and_validation_and_the_error_of_a_plain_module_says_so() -> None:
    loaders = DataLoader(dataset(40), 8), DataLoader(dataset(16), 8)
    assert "val_loss" in trained(LitDigits(), loaders).last
    with pytest.raises(DataError, match=r"write a tuple, `\(train, validation\)`"):
        trained(nn.Linear(64, 10), list(loaders), loss="cross_entropy")


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))


class LitFlat(LitDigits):
    """Normalises every pixel over its batch."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(64)

    def forward(self, images):
        return self.net(self.norm(images))

    def train_dataloader(self):
        return DataLoader(dataset(), batch_size=8)


class LitPixels(LitFlat):
    """Normalises over the batch and all its pixels."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, images):
        return self.net(self.norm(images.reshape(-1, 1, 8, 8)).reshape(-1, 64))


SINGLE = {
    "arrays": (normed, (IMAGES, LABELS), {"split": (1.0, 0.0)}, "add `--drop-last`, or take another `--batch-size`"),
    "a Dataset": (normed, dataset(), {}, "add `--drop-last`, or take another `--batch-size`"),
    "a loader": (normed, DataLoader(dataset(), 8), {}, "give the DataLoader `drop_last=True`"),
    "the module's loader": (LitFlat, None, {}, "give the DataLoader `drop_last=True`"),
}


@pytest.mark.parametrize("engine", ["lean", "lightning"])
@pytest.mark.parametrize("kind", SINGLE)
def test_a_last_batch_of_one_row_is_said_before_anything_is_learnt(kind: str, engine: str) -> None:
    make, data, more, fix = SINGLE[kind]
    model = make()
    before = weights(model)
    loss = {} if isinstance(model, pl.LightningModule) else {"loss": "cross_entropy"}
    with pytest.raises(DataError, match=r"one row \(41 rows in batches of 8\), and `BatchNorm1d`") as caught:
        trained(model, data, **more, **loss, batch_size=8, engine=engine)
    assert fix in str(caught.value)
    assert get_run(runs()[0].ref).metrics.get("train_loss") is None, "no step was trained"
    learnt = [part for part in before if part.is_floating_point()]
    assert are_equal([part for part in weights(model) if part.is_floating_point()], learnt)
    assert not any(part._forward_pre_hooks for part in model.modules()), "the module is left as it was"


def test_drop_last_leaves_the_short_batch_out() -> None:
    options = {"loss": "cross_entropy", "split": (1.0, 0.0), "batch_size": 8}
    run = trained(normed(), (IMAGES, LABELS), **options, drop_last=True)
    assert run.metrics["train_loss"].notna().sum() == 5
    assert trained(normed(), dataset(), loss="cross_entropy", batch_size=8, drop_last=True).status == "finished"
    validated = trained(
        normed(), (IMAGES, LABELS), loss="cross_entropy", batch_size=8, drop_last=True, split=(0.6, 0.4)
    )
    assert validated.validate()["val_loss"] == pytest.approx(validated.last["val_loss"], rel=1e-5)
    assert validated._source.loaders["val_dataloaders"].drop_last is False


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((IMAGES, LABELS), "`--drop-last` leaves nothing: there are 32 rows for a batch of 64"),
        (DataLoader(dataset(), 8), "a DataLoader makes its own batches"),
        (DigitsData(41), "a LightningDataModule makes its own batches"),
    ],
)
def test_drop_last_that_cannot_be_is_refused(data, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        trained(LitDigits(), data, drop_last=True, batch_size=64)


@pytest.mark.parametrize(
    ("model", "more"), [(LitPixels, {}), (LitFlat, {"limit_train_batches": 5}), (LitFlat, {"max_steps": 3})]
)
def test_norms_with_many_values_a_row_and_batches_never_reached_are_no_trouble(model, more) -> None:
    assert trained(model(), None, **more).status == "finished"


@pytest.mark.parametrize("batches", [True, 3])
def test_fast_dev_run_records_what_validation_gives(batches) -> None:
    run = trained(LitDigits(), DigitsData(96), epochs=None, fast_dev_run=batches)
    assert run.status == "finished"
    assert run.metrics["train_loss"].notna().sum() == int(batches)
    assert run.metrics["val_loss"].notna().sum() == 1
    assert run.best["value"] == pytest.approx(run.last["val_loss"])


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [(0, "stopped", "`sys.exit` at step 2"), (None, "stopped", "`sys.exit` at step 2"), (3, "failed", "SystemExit: 3")],
)
def test_sys_exit_ends_a_run_as_its_code_says(code, status: str, words: str) -> None:
    class Leaving(LitDigits):
        def training_step(self, batch, batch_idx):
            if self.global_step == 2:
                sys.exit(code)
            return super().training_step(batch, batch_idx)

    with pytest.raises(SystemExit) as caught:
        trained(Leaving(), DigitsData(96), epochs=3)
    assert caught.value.code == code
    run = get_run(runs()[0].ref)
    assert run.status == status
    assert run.record.message.startswith(words)
    assert run.metrics["train_loss"].notna().sum() == 2
