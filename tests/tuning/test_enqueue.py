"""Values of an enqueued trial and parts of a range, as they are typed."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train.config import TuneConfig
from jupyter_train.config.search_space import Range
from jupyter_train.exceptions import SpaceError, StudyError
from jupyter_train.tuning.enqueue import check_enqueued, checked, enqueued, narrowed

SPACE = {
    "lr": "1e-4..1e-1:log",
    "hidden": "8..64:8",
    "drop": "0..0.5:0.1",
    "layers": "1..4",
    "act": "relu|gelu|3",
    "dims": [(16,), (32, 16), None],
    "fixed": "7",
}


def config(space: dict[str, Any] = SPACE, is_open: bool = False, **options: Any) -> TuneConfig:
    return TuneConfig.of({"trials": 1, "maximize": "val_acc", **options}, space, is_open=is_open)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("lr=1e-3,hidden=64", {"lr": 1e-3, "hidden": 64}),
        ("lr=1e-3", {"lr": 1e-3}),
        (" hidden = 8 , layers=4 ", {"hidden": 8, "layers": 4}),
        ("act=gelu", {"act": "gelu"}),
        ("act=3", {"act": 3}),
        ("dims=(32, 16),lr=0.1", {"dims": (32, 16), "lr": 0.1}),
        ("dims=[16]", {"dims": (16,)}),
        ("dims=none", {"dims": None}),
        ("drop=0.3", {"drop": 0.3}),
    ],
)
def test_a_trial_is_typed_by_its_values(text: str, values: dict[str, Any]) -> None:
    assert enqueued(text, config()) == values
    assert check_enqueued(config(enqueue=[text, "lr=0.01"])) == [values, {"lr": 0.01}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr=1", "`--enqueue lr=1`: `lr=1` lies outside `lr=0.0001..0.1:log`"),
        ("hidden=9", "lies outside `hidden=8..64:8`"),
        ("layers=1.5", "lies outside `layers=1..4`"),
        ("act=tanh", "lies outside `act=relu|gelu|3`"),
        ("lr=fast", "lies outside"),
        ("hiden=8", "`hiden` is not searched. Did you mean `hidden`? Searched are: `lr`, `hidden`"),
        ("fixed=7", "`fixed` is not searched."),
        ("hidden", "expected `hidden=VALUE`"),
        ("hidden=", "expected `hidden=VALUE`"),
    ],
)
def test_what_lies_outside_is_refused(text: str, words: str) -> None:
    with pytest.raises(StudyError) as caught:
        enqueued(text, config())
    assert words in str(caught.value)


def test_values_that_are_given_from_python_are_checked_alike() -> None:
    assert checked({"lr": 0.1, "act": "relu"}, config(), "add-trial") == {"lr": 0.1, "act": "relu"}
    with pytest.raises(StudyError, match="`add-trial`: `lr=None` lies outside"):
        checked({"lr": None}, config(), "add-trial")
    with pytest.raises(StudyError, match="is said by a function of the trial, which decides by itself"):
        checked({"lr": 0.1}, config({}, is_open=True), "add-trial")


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("lr", "1e-3..1e-2", Range(1e-3, 1e-2, None, is_log=True)),
        ("lr", "1e-3..1e-2:log", Range(1e-3, 1e-2, None, is_log=True)),
        ("hidden", "16..32", Range(16, 32, 8)),
        ("drop", "0.1..0.3", Range(0.1, 0.3, 0.1)),
        ("layers", "2..4", Range(2, 4, 1)),
    ],
)
def test_a_part_of_a_range_is_drawn_as_the_whole_was(name: str, text: str, part: Range) -> None:
    assert narrowed(name, text, config()) == part


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("lr", "1e-3..1", "is no part of `lr=0.0001..0.1:log`; what lies outside it takes another study"),
        ("hidden", "12..32", "is no part of `hidden=8..64:8`"),
        ("layers", "1.5..3", "is no part of `layers=1..4`"),
        ("act", "relu|gelu", "are choices, and only a range can be narrowed"),
        ("lr", "1e-3", "expected a range, such as `lr=0.0001..0.1:log`"),
        ("rl", "1..2", "`rl` is not searched"),
    ],
)
def test_what_is_no_part_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(StudyError) as caught:
        narrowed(name, text, config())
    assert words in str(caught.value)


def test_a_grid_cannot_be_narrowed_and_a_slip_is_named() -> None:
    with pytest.raises(StudyError, match="`--sampler grid` tries what it began with"):
        narrowed("layers", "2..3", config({"layers": "1..4"}, sampler="grid"))
    with pytest.raises(SpaceError, match="wrong way round"):
        narrowed("lr", "1e-2..1e-3", config())
