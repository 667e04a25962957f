"""`run.test`, `run.validate` and `run.predict`: whose data they take, and what they give."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from sklearn.utils import Bunch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import train
from jupyter_train.exceptions import DataError, ModelError
from jupyter_train.store import RunFolder
from jupyter_train.training.evaluate import TEST, VALIDATE, concatenate_batches, evaluate, unscale
from tests.models import DigitsData, LitDigits, digits

IMAGES, LABELS = digits(96)


def loader(rows: slice = slice(None)) -> DataLoader:
    return DataLoader(TensorDataset(torch.from_numpy(IMAGES[rows]), torch.from_numpy(LABELS[rows])), 32)


def trained(model: pl.LightningModule, data=None, **more):
    return train(model, data, epochs=1, seed=1, quiet=True, **more)


def loss_of(run, rows: slice) -> float:
    module = run.model().eval()
    with torch.no_grad():
        return float(cross_entropy(module(torch.from_numpy(IMAGES[rows])), torch.from_numpy(LABELS[rows])))


class WithLoaders(LitDigits):
    """Brings loaders of its own."""

    def train_dataloader(self):
        return loader()

    def val_dataloader(self):
        return loader(slice(32))

    def test_dataloader(self):
        return loader(slice(16))


def test_the_modules_own_loaders_are_tested_and_validated() -> None:
    run = trained(WithLoaders())
    assert run.test()["test_loss"] == pytest.approx(loss_of(run, slice(16)), rel=1e-5)
    assert run.validate()["val_loss"] == pytest.approx(loss_of(run, slice(32)), rel=1e-5)
    assert run.validate()["val_loss"] == pytest.approx(run.best["value"], rel=1e-5)


def test_the_modules_test_loader_serves_a_run_that_was_given_its_data() -> None:
    run = trained(WithLoaders(), loader())
    assert run.test()["test_loss"] == pytest.approx(loss_of(run, slice(16)), rel=1e-5)


def test_a_datamodule_is_tested_and_validated() -> None:
    run = trained(LitDigits(), DigitsData(96))
    assert run.test()["test_loss"] == pytest.approx(loss_of(run, slice(None)), rel=1e-5)
    assert run.validate() == pytest.approx({"val_loss": run.last["val_loss"], "val_acc": run.last["val_acc"]}, rel=1e-5)


def test_what_is_not_there_is_one_line() -> None:
    class TrainsOnly(pl.LightningDataModule):
        def train_dataloader(self):
            return loader()

    run = trained(LitDigits(), TrainsOnly())
    with pytest.raises(DataError, match="no test data; give some, or train with `--split"):
        run.test()
    with pytest.raises(DataError, match=r"no validation data; give some: `run.validate\(data\)`"):
        run.validate()
    with pytest.raises(DataError, match="`int` is nothing to evaluate on"):
        run.test(3)


def test_held_out_rows_and_validation_rows_are_those_of_the_split() -> None:
    run = trained(LitDigits(), (IMAGES, LABELS), split=(0.5, 0.25, 0.25))
    assert run.validate()["val_loss"] == pytest.approx(run.last["val_loss"], rel=1e-5)
    assert run.validate(which="last")["val_acc"] == pytest.approx(run.last["val_acc"], rel=1e-5)
    assert run.test() != run.validate()


def test_data_of_every_kind_is_evaluated_alike() -> None:
    frame = pd.DataFrame(IMAGES).assign(label=LABELS)
    run = trained(LitDigits(), frame, target="label")
    expected = run.test(loader())
    assert expected["test_loss"] == pytest.approx(loss_of(run, slice(None)), rel=1e-5)
    for data in (
        frame,
        frame[frame.columns[::-1]],
        (frame.drop(columns="label"), frame.label),
        (IMAGES, LABELS),
        (IMAGES.tolist(), LABELS.tolist()),
        loader().dataset,
        Bunch(data=IMAGES, target=LABELS),
    ):
        assert run.test(data) == pytest.approx(expected, rel=1e-5)
    assert run.test(frame[:1])["test_loss"] == pytest.approx(loss_of(run, slice(1)), rel=1e-5)
    with pytest.raises(DataError, match="lacks the target `label`"):
        run.test(frame.drop(columns="label"))


def test_several_loaders_are_all_evaluated() -> None:
    class Several(LitDigits):
        def test_step(self, batch, batch_idx, dataloader_idx=0):
            self.step(batch, "test")

        def predict_step(self, batch, batch_idx, dataloader_idx=0):
            return self(batch[0])

    run = trained(Several(), loader())
    found = run.test([loader(slice(16)), loader(slice(16, 48))])
    for number, rows in enumerate((slice(16), slice(16, 48))):
        assert found[f"test_loss/dataloader_idx_{number}"] == pytest.approx(loss_of(run, rows), rel=1e-5)
    assert [part.shape for part in run.predict([loader(slice(40)), loader(slice(8))])] == [(40, 10), (8, 10)]


@pytest.mark.parametrize(
    ("give", "kinds"),
    [
        (lambda module, batch, number: torch.ones(len(batch), 3 + number), [(32, 3), (32, 4), (32, 5)]),
        (lambda module, batch, number: module(batch).mean(), [(), (), ()]),
        (lambda module, batch, number: torch.ones(2, number + 1, 4), [(2, 1, 4), (2, 2, 4), (2, 3, 4)]),
    ],
    ids=["of other widths", "one number a batch", "of other lengths"],
)
def test_predictions_that_cannot_be_joined_are_a_list(give, kinds) -> None:
    class Own(LitDigits):
        def predict_step(self, batch, batch_idx):
            return give(self, batch, batch_idx)

    found = trained(Own(), loader()).predict(IMAGES)
    assert isinstance(found, list)
    assert [tuple(part.shape) for part in found] == kinds


def test_inputs_of_every_kind_are_predicted_alike() -> None:
    from scipy import sparse

    frame = pd.DataFrame(IMAGES).assign(label=LABELS)
    run = trained(nn.Linear(64, 10), frame, target="label", loss="cross_entropy")
    expected = run.predict(IMAGES)
    assert expected.shape == (96, 10)
    for data in (
        frame,
        frame.drop(columns="label"),
        frame[frame.columns[::-1]],
        IMAGES.tolist(),
        (IMAGES, LABELS),
        (IMAGES.tolist(), LABELS.tolist()),
        Bunch(data=IMAGES, target=LABELS),
        sparse.csr_matrix(IMAGES),
        torch.from_numpy(IMAGES),
        IMAGES.astype("float64"),
        np.asfortranarray(IMAGES),
        IMAGES[:, ::-1][:, ::-1],
        (IMAGES, LABELS, np.ones(96)),
    ):
        assert torch.allclose(run.predict(data), expected, atol=1e-6)
    assert torch.allclose(run.predict([IMAGES[0], IMAGES[1]]), expected[:2], atol=1e-6), "a list of two rows"
    for data, words in (
        (np.array([["a"] * 64]), "other things than numbers"),
        ({"X": IMAGES}, "cannot predict on `dict`"),
    ):
        with pytest.raises(DataError, match=words):
            run.predict(data)


def test_an_encoded_table_is_encoded_for_prediction_as_array_too() -> None:
    table = np.array([[1.0, "a"], [np.nan, "b"], [3.0, "b"], [5.0, "a"]] * 8, dtype=object)
    run = trained(nn.Linear(3, 1), (table, np.arange(32.0)), loss="mse", encode="auto")
    found = run.predict(table)
    assert torch.equal(found[:4], found[4:8])
    assert not torch.isnan(found).any(), "a gap is filled as in training"


def test_a_module_that_cannot_take_a_whole_batch_says_so() -> None:
    with pytest.raises(ModelError, match="`LitDigits` has no `predict_step`, so that `forward` gets a batch as it is"):
        trained(LitDigits(), loader()).predict(loader())


class Tokens(pl.LightningModule):
    """Looks whole numbers up."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(17, 4)
        self.out = nn.Linear(4, 10)

    def forward(self, tokens):
        return self.out(self.words(tokens).mean(1))

    def training_step(self, batch, batch_idx):
        return cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", cross_entropy(self(batch[0]), batch[1]))

    def test_step(self, batch, batch_idx):
        self.log("test_loss", cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize(
    ("model", "way"),
    [
        *((LitDigits, way) for way in ("array", "list", "frame", "parts")),
        *((Tokens, way) for way in ("array", "list", "parts")),
    ],
)
def test_whole_numbers_are_evaluated_as_they_are_trained(model, way: str) -> None:
    """As numbers, or as what is looked up, whichever the model does."""
    images = np.rint(16 * IMAGES).astype("int64")
    given = {"array": images, "list": images.tolist(), "frame": pd.DataFrame(images), "parts": images}[way]
    run = trained(model(), ((given, LABELS), (given, LABELS)) if way == "parts" else (given, LABELS))
    inputs = torch.from_numpy(images)
    module = run.model().eval()
    with torch.no_grad():
        expected = module(inputs if model is Tokens else inputs.float())
    assert torch.allclose(run.predict(given), expected, atol=1e-5)
    loss = float(cross_entropy(expected, torch.from_numpy(LABELS)))
    assert run.test((given, LABELS))["test_loss"] == pytest.approx(loss, rel=1e-4)


class Slips(LitDigits):
    """Has a slip in its forward that only predicting comes upon."""

    def forward(self, inputs):
        return super().forward(inputs) if torch.is_grad_enabled() else len(3)


def test_an_error_in_forward_is_raised_as_it_is() -> None:
    run = trained(Slips(), (IMAGES, LABELS), limit_val_batches=0)
    with pytest.raises(TypeError, match=r"object of type 'int' has no len\(\)"):
        run.predict(IMAGES)
    with pytest.raises(ModelError, match="`forward` gets a batch as it is"):
        run.predict(loader())


def test_a_module_without_the_step_is_refused_with_its_name(tmp_path) -> None:
    module = pl.LightningModule()
    for stage, step in ((TEST, "test_step"), (VALIDATE, "validation_step")):
        with pytest.raises(ModelError, match=f"`LightningModule` has no `{step}`"):
            evaluate(stage, module, RunFolder(tmp_path), None, loader(), 32)


def test_each_stage_says_which_data_is_missing(tmp_path) -> None:
    for stage in (TEST, VALIDATE):
        with pytest.raises(DataError, match=f"^{re.escape(stage.missing)}$"):
            evaluate(stage, LitDigits(), RunFolder(tmp_path), None, None, 32)


def test_tensors_of_one_row_shape_are_concatenated() -> None:
    joined = concatenate_batches([torch.zeros(4, 3), torch.ones(2, 3)])
    assert isinstance(joined, torch.Tensor)
    assert joined[:, 0].tolist() == [0.0] * 4 + [1.0] * 2


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [torch.zeros(4, 3), torch.zeros(4, 2)],
        [torch.tensor(1.0), torch.tensor(2.0)],
        [torch.zeros(4, 3), (torch.zeros(4), torch.zeros(4))],
    ],
    ids=["none", "other shapes", "scalars", "tuples"],
)
def test_what_cannot_be_concatenated_is_the_list_as_it_is(parts) -> None:
    assert concatenate_batches(parts) is parts


def test_predictions_come_back_in_the_targets_units() -> None:
    assert unscale(torch.tensor([[0.0], [1.0]]), ([10.0], [2.0])).tolist() == [[10.0], [12.0]]
    assert unscale(torch.tensor([0.0, 1.0]), ([10.0], [2.0])).tolist() == [10.0, 12.0]
    two = [torch.tensor([[0.0, 1.0]]), torch.tensor([[-1.0, 0.0]])]
    assert [part.tolist() for part in unscale(two, ([10.0, 100.0], [2.0, 5.0]))] == [[[10.0, 105.0]], [[8.0, 100.0]]]


@pytest.mark.parametrize("prediction", [torch.zeros(4, 3), {"mean": torch.zeros(4, 2)}], ids=["columns", "mapping"])
def test_what_has_other_columns_stays_scaled_with_a_warning(prediction) -> None:
    with pytest.warns(UserWarning, match=f"{type(prediction).__name__}.* is in units of the scaled target"):
        assert unscale(prediction, ([10.0, 100.0], [2.0, 5.0])) is prediction
