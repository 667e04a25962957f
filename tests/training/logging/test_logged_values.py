"""What modules log themselves: names of nested metrics, numbers as they are now, steps as integers."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from jupyter_train.training.logging.logged_values import describe_value, flatten, to_number, to_step


class _Broken:
    def __float__(self) -> float:
        raise RuntimeError


def test_nested_metrics_are_named_by_their_path() -> None:
    nested = {"loss": 1, "val": {"acc": 0.5, "by": {3: "x"}}, 7: None}
    assert list(flatten(nested)) == [("loss", 1), ("val/acc", 0.5), ("val/by/3", "x"), ("7", None)]


def test_a_dict_that_holds_itself_ends() -> None:
    nested: dict[str, Any] = {"a": 1}
    nested["again"] = nested
    names = [name for name, _ in flatten(nested)]
    assert names[:2] == ["a", "again/a"]
    assert len(names) < 30


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.array([[2]]), 2.0),
        (torch.tensor(0.25, requires_grad=True), 0.25),
        (torch.tensor([[7]]), 7.0),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        (math.inf, math.inf),
    ],
)
def test_a_number_is_read(value: Any, number: float) -> None:
    assert to_number(value) == number
    assert type(to_number(value)) is float


@pytest.mark.parametrize(
    "value", [None, "3", b"3", torch.zeros(2), torch.tensor(1j), np.zeros(2), 10**400, object(), _Broken(), [1]]
)
def test_what_is_no_number_is_none(value: Any) -> None:
    assert to_number(value) is None


def test_a_number_is_that_of_its_moment() -> None:
    value = torch.tensor(1.0)
    number = to_number(value)
    value += 1
    assert number == 1.0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (10**400, "too large"),
        (torch.zeros(2, 3), "Tensor of shape (2, 3), not a number"),
        ("x", "str, not a number"),
        (None, "NoneType, not a number"),
    ],
)
def test_what_is_no_number_is_described(value: Any, words: str) -> None:
    assert describe_value(value) == words


@pytest.mark.parametrize(("step", "number"), [(3, 3), (3.0, 3), (np.int64(3), 3), (torch.tensor(3), 3), (2**53, 2**53)])
def test_a_step_is_a_whole_number(step: Any, number: int) -> None:
    assert to_step(step) == number


@pytest.mark.parametrize("step", [3.5, "3", None, math.nan, 2**53 + 1, -(2**54)])
def test_what_is_no_step_is_refused(step: Any) -> None:
    with pytest.raises(ValueError, match="a step is"):
        to_step(step)
