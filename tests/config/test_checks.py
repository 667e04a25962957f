"""Values of options: what each check gives back, and what it says was expected."""

from __future__ import annotations

import math
from typing import Any

import pytest

from jupyter_train.config import checks


@pytest.mark.parametrize(
    ("value", "shares"),
    [
        ("0.8/0.2", (0.8, 0.2, 0.0)),
        ("0.7/0.15/0.15", (0.7, 0.15, 0.15)),
        ("0.2", (0.8, 0.2, 0.0)),
        (0.5, (0.5, 0.5, 0.0)),
        ((0.6, 0.4), (0.6, 0.4, 0.0)),
        ([0.5, 0.0, 0.5], (0.5, 0.0, 0.5)),
    ],
)
def test_shares_are_of_training_validation_and_test(value: Any, shares: tuple[float, float, float]) -> None:
    assert checks.fractions(value) == pytest.approx(shares)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0.8", "both shares, `0.8/0.2` or `0.2/0.8`"),
        ("0.5/0.2", "add up to 1"),
        ("1.2/-0.2", "add up to 1"),
        ("0/1", "add up to 1"),
        ("0.4/0.2/0.2/0.2", "add up to 1"),
        ("half", "shares such as"),
        ([None, 1], "shares such as"),
        ([10**400, 1], "shares such as"),
        (float("nan"), "add up to 1"),
    ],
)
def test_shares_that_are_none_are_refused(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checks.fractions(value)


@pytest.mark.parametrize("value", ["val_loss", "val_loss:3", "val/f1:100", "loss of step:1"])
def test_early_stopping_names_a_metric_and_perhaps_its_patience(value: str) -> None:
    assert checks.early_stop(value) == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("3", "a metric and its patience: `val_loss:3`"),
        ("val_loss:0", "`METRIC:PATIENCE`"),
        ("val_loss:x", "`METRIC:PATIENCE`"),
        ("val_loss:1234567890", "`METRIC:PATIENCE`"),
        (":3", "`METRIC:PATIENCE`"),
        ("true", "`METRIC:PATIENCE`"),
    ],
)
def test_early_stopping_without_a_metric_is_refused(value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checks.early_stop(value)


CHECKS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "positive": (checks.positive, [1e-9, 3], [0, -1.0, math.nan, math.inf]),
    "at_least_one": (checks.at_least_one, [1, 7], [0, -3]),
    "seed": (checks.seed, [0, 2**32 - 1], [-1, 2**32]),
    "metric": (checks.metric, ["val_loss", "val/f1"], ["", "  ", "3", "1e-3", "true", "None"]),
    "run_name": (checks.run_name, ["digits", "x" * 80, "größer"], ["", " ", "x" * 81, "two\nlines"]),
    "checkpoint_choice": (
        checks.checkpoint_choice,
        ["best", "last", "0", "1200"],
        ["first", "-1", "1.5", "1" * 16, ""],
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_gives_a_legal_value_back_and_refuses_the_others(name: str) -> None:
    check, legal, illegal = CHECKS[name]
    assert [check(value) for value in legal] == legal
    for value in illegal:
        with pytest.raises(ValueError, match=r"\w"):
            check(value)


def test_a_number_may_be_left_to_the_finder() -> None:
    check = checks.number_or_auto(checks.positive, "a number above zero")
    assert (check("auto"), check(0.1)) == ("auto", 0.1)
    with pytest.raises(ValueError, match="a number above zero, or auto"):
        check("automatic")
    with pytest.raises(ValueError, match=r"^a number above zero$"):
        check(-1.0)
