"""Targets become what the loss takes: class indices from 0, probabilities or numbers, or one line says why not."""

from __future__ import annotations

import numpy as np
import pytest
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from jupyter_train.exceptions import DataError
from jupyter_train.training.data.targets import check_not_mixed, describe_classes, prepare_targets, to_class_numbers


def prepared(targets, loss, encode: bool = False, width: int | None = None):
    values, labels = prepare_targets(np.array(targets), loss, encode, lambda: width)
    return values.tolist(), labels


@pytest.mark.parametrize(
    ("targets", "loss", "expected"),
    [
        ([0, 1, 2], cross_entropy, ([0, 1, 2], None)),
        ([[0.0], [1.0]], cross_entropy, ([0, 1], None)),
        ([-1, 1, 1], cross_entropy, ([0, 1, 1], ["-1", "1"])),
        (["b", "a"], cross_entropy, ([1, 0], ["a", "b"])),
        ([1.0, 2.0], binary_cross_entropy_with_logits, ([0, 1], ["1", "2"])),
        ([0.5, 1.0], binary_cross_entropy_with_logits, ([0.5, 1.0], None)),
        ([-7.5, 3.0], mse_loss, ([-7.5, 3.0], None)),
        ([5, 9], None, ([5, 9], None)),
    ],
)
def test_targets_of_every_kind(targets, loss, expected) -> None:
    assert prepared(targets, loss, encode=True) == expected


def test_classes_that_the_outputs_have_room_for_stay() -> None:
    assert prepared([1, 3], cross_entropy, width=4) == ([1, 3], None)
    with pytest.raises(DataError, match=r"3 classes .* the model gives 2 outputs"):
        prepared([1, 3, 5], cross_entropy, width=2)


@pytest.mark.parametrize(
    ("targets", "loss", "message"),
    [
        (["a", "b"], mse_loss, "takes numbers"),
        ([0.5, 1.0], cross_entropy, "takes classes"),
        ([-1, 1], cross_entropy, "counts classes from 0"),
        ([0.0, 3.0, 5.0], binary_cross_entropy_with_logits, "takes targets from 0 to 1, and these go from 0 to 5"),
    ],
)
def test_what_the_loss_would_misread_is_refused(targets, loss, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepared(targets, loss)


def test_texts_and_numbers_are_not_mixed() -> None:
    check_not_mixed(np.array(["a", None], dtype=object))
    with pytest.raises(DataError, match="make them all texts"):
        check_not_mixed(np.array(["1", 1], dtype=object))


def test_whole_floats_are_class_numbers_for_a_loss_of_classes_alone() -> None:
    assert to_class_numbers(np.array([[1.0], [0.0]]), cross_entropy).tolist() == [1, 0]
    assert to_class_numbers(np.array([[1.0], [0.0]]), mse_loss).shape == (2, 1)


def test_many_classes_are_described_in_short() -> None:
    assert describe_classes(["no", "yes"]) == "classes: `no` is 0, `yes` is 1"
    assert len(describe_classes([str(label) for label in range(500)])) < 120
