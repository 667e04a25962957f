"""Losses of a plain module: what they are given is what people meant, whatever the shape and type of their targets."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import train
from jupyter_train.exceptions import DataError, ModelError, OptionError
from jupyter_train.training.losses import LOSSES, match_shapes, weighted_loss

OUTPUTS = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
CLASSES = torch.arange(12) % 3
NUMBERS = torch.randn(12, generator=torch.Generator().manual_seed(2))


def value(loss, outputs: torch.Tensor, targets: torch.Tensor) -> float:
    return float(loss(*match_shapes(outputs, targets, loss)))


@pytest.mark.parametrize(
    "targets",
    [
        CLASSES.int(),
        CLASSES.byte(),
        CLASSES.double(),
        CLASSES[:, None],
        CLASSES[:, None].float(),
        functional.one_hot(CLASSES, 3),
        functional.one_hot(CLASSES, 3).bool(),
        functional.one_hot(CLASSES, 3).double(),
    ],
    ids=["int32", "uint8", "float64", "column", "float column", "one-hot", "one-hot bool", "one-hot float64"],
)
@pytest.mark.parametrize("loss", [LOSSES["cross_entropy"], nn.CrossEntropyLoss()])
def test_classes_of_any_type_and_shape_give_the_loss_of_their_numbers(loss, targets) -> None:
    assert value(loss, OUTPUTS, targets) == pytest.approx(float(functional.cross_entropy(OUTPUTS, CLASSES)))


def test_soft_labels_give_the_loss_that_torch_gives_for_probabilities() -> None:
    soft = OUTPUTS.flip(1).softmax(1)
    assert value(LOSSES["cross_entropy"], OUTPUTS, soft.double()) == pytest.approx(
        float(functional.cross_entropy(OUTPUTS, soft))
    )


def test_classes_of_every_pixel_may_have_a_channel_of_their_own() -> None:
    outputs, classes = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    expected = float(functional.cross_entropy(outputs, classes))
    assert value(LOSSES["cross_entropy"], outputs, classes) == pytest.approx(expected)
    assert value(LOSSES["cross_entropy"], outputs, classes[:, None].byte()) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["mse", "mae", "l1", "huber", "smooth_l1"])
@pytest.mark.parametrize(
    ("outputs", "targets"), [((12, 1), (12,)), ((12,), (12, 1)), ((12, 1), (12, 1)), ((12,), (12,))]
)
def test_a_column_is_never_broadcast_against_a_row(name, outputs, targets) -> None:
    loss = LOSSES[name]
    found = value(loss, NUMBERS.flip(0).reshape(outputs), NUMBERS.double().reshape(targets))
    assert found == pytest.approx(float(loss(NUMBERS.flip(0), NUMBERS)))


def test_a_function_of_the_users_own_is_not_broadcast_either_and_gets_class_numbers_as_they_are() -> None:
    def squared(outputs, targets):
        return ((outputs - targets) ** 2).mean()

    expected = float(squared(NUMBERS.flip(0), NUMBERS))
    assert value(squared, NUMBERS.flip(0), NUMBERS[:, None]) == pytest.approx(expected)
    own = lambda outputs, targets: functional.cross_entropy(outputs, targets)  # noqa: E731
    assert value(own, OUTPUTS, CLASSES) == pytest.approx(float(functional.cross_entropy(OUTPUTS, CLASSES)))


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "error", "words"),
    [
        (LOSSES["mse"], OUTPUTS[:3], NUMBERS[:3], ModelError, r"outputs of shape \(3, 3\) for targets of shape \(3,\)"),
        (LOSSES["bce_with_logits"], OUTPUTS, CLASSES, ModelError, "make the last layer as wide as the targets"),
        (LOSSES["cross_entropy"], NUMBERS[:, None], CLASSES, ModelError, "needs one for every class"),
        (LOSSES["cross_entropy"], NUMBERS, CLASSES.float(), ModelError, "needs one for every class"),
        (LOSSES["cross_entropy"], NUMBERS[:, None], CLASSES[:, None].float(), ModelError, "--loss bce_with_logits"),
        (
            LOSSES["cross_entropy"],
            torch.ones(3, 6, 5),
            torch.ones(3, 6).long(),
            ModelError,
            r"`outputs.transpose\(1, 2\)`",
        ),
        (LOSSES["cross_entropy"], OUTPUTS, CLASSES[:5], ModelError, "has the classes in the second place"),
        (LOSSES["cross_entropy"], OUTPUTS, NUMBERS, DataError, "take `--loss mse` for numbers"),
        (LOSSES["cross_entropy"], OUTPUTS, torch.ones(12, 3).long(), DataError, "several, in a row"),
    ],
)
def test_what_a_loss_would_take_for_something_else_is_refused_in_one_line(loss, outputs, targets, error, words) -> None:
    with pytest.raises(error, match=words):
        match_shapes(outputs, targets, loss)


REPEATS = torch.arange(12) % 4


@pytest.mark.parametrize(
    "loss",
    [
        LOSSES["cross_entropy"],
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.5])),
        nn.CrossEntropyLoss(ignore_index=1),
        functools.partial(functional.cross_entropy, label_smoothing=0.1),
    ],
)
def test_whole_weights_are_rows_that_often(loss) -> None:
    often = torch.repeat_interleave(torch.arange(12), REPEATS)
    found, _ = weighted_loss(loss, OUTPUTS, CLASSES, REPEATS.float())
    assert float(found) == pytest.approx(float(loss(OUTPUTS[often], CLASSES[often])), rel=1e-5)
    ones, _ = weighted_loss(loss, OUTPUTS, CLASSES, torch.ones(12))
    assert float(ones) == pytest.approx(float(loss(OUTPUTS, CLASSES)), rel=1e-5)


def test_weights_of_numbers_and_of_several_numbers_a_row() -> None:
    often = torch.repeat_interleave(torch.arange(12), REPEATS)
    found, _ = weighted_loss(nn.HuberLoss(), OUTPUTS, OUTPUTS.flip(1), REPEATS.float())
    assert float(found) == pytest.approx(float(nn.HuberLoss()(OUTPUTS[often], OUTPUTS.flip(1)[often])), rel=1e-5)
    nothing, _ = weighted_loss(LOSSES["mse"], NUMBERS, NUMBERS.flip(0), torch.zeros(12))
    assert float(nothing) == 0.0


def test_a_loss_that_has_no_rows_is_refused_for_weights() -> None:
    with pytest.raises(OptionError, match="give a loss with `reduction`"):
        weighted_loss(lambda outputs, targets: (outputs - targets).abs().mean(), NUMBERS, NUMBERS, torch.ones(12))


def loader(*tensors: torch.Tensor) -> DataLoader:
    return DataLoader(TensorDataset(torch.randn(12, 4, generator=torch.Generator().manual_seed(3)), *tensors), 4)


def trained(data, width: int = 3, loss="cross_entropy"):
    torch.manual_seed(5)
    return train(nn.Linear(4, width), data, loss=loss, epochs=1, seed=1, quiet=True)


@pytest.mark.parametrize(
    "targets", [CLASSES.float(), CLASSES[:, None], CLASSES.int(), functional.one_hot(CLASSES, 3)], ids=str
)
def test_a_loader_may_give_classes_of_any_type_and_shape(targets) -> None:
    found, expected = trained(loader(targets)), trained(loader(CLASSES))
    for name in ("train_loss", "train_acc"):
        assert found.metrics[name].dropna().tolist() == pytest.approx(expected.metrics[name].dropna().tolist())


def test_a_loader_may_give_weights_and_the_curves_are_weighted() -> None:
    kept = REPEATS.clamp(max=1).float()
    found = trained((loader(CLASSES, torch.ones(12)), loader(CLASSES, kept)))
    module = found.model(which="last")
    rows = loader(CLASSES).dataset.tensors[0]
    with torch.no_grad():
        outputs = module(rows)[kept > 0]
    classes = CLASSES[kept > 0]
    assert found.last["val_loss"] == pytest.approx(float(functional.cross_entropy(outputs, classes)), rel=1e-5)
    assert found.last["val_acc"] == pytest.approx(float((outputs.argmax(1) == classes).float().mean()))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (loader(2.0 * CLASSES.clamp(max=1) - 1), "takes targets from 0 to 1, and these go from -1 to 1"),
        (loader(CLASSES, torch.ones(12, 2)), "the third part of a batch is taken as weights"),
        ([{"x": torch.ones(4, 4), "y": torch.ones(4)}], "a batch is a dict with `x`, `y`"),
    ],
)
def test_batches_that_are_no_pairs_or_no_shares_are_one_line(data, words) -> None:
    with pytest.raises((DataError, ModelError), match=words):
        trained(data if isinstance(data, DataLoader) else DataLoader(data, batch_size=None), 1, "bce_with_logits")
