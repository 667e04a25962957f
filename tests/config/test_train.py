"""The options of a run: checked against each other, recorded where they differ, refused with a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jupyter_train.config.train import TrainConfig, as_json, copy_callbacks
from jupyter_train.exceptions import OptionError


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"epoch": 3}, "Did you mean `--epochs`"),
        ({"epochs": "many"}, "expected a whole number"),
        ({"epochs": 0}, "1 or more"),
        ({"epochs": True}, "expected a whole number"),
        ({"epochs": 1, "mode": "up"}, "one of min, max"),
        ({"epochs": 1, "barebones": True}, "not taken"),
        ({"epochs": 1, "num_nodes": 2}, "not taken"),
        ({}, "add `--epochs 10`"),
        ({"max_steps": -1}, "add `--epochs 10`"),
        ({"epochs": 2, "max_epochs": 3}, "the same option"),
        ({"epochs": 1, "monitor": "zork"}, "--mode min"),
        ({"epochs": 1, "early_stop": "val_loss:x"}, "METRIC:PATIENCE"),
        ({"epochs": 1, "split": "0.5/0.2"}, "add up to 1"),
        ({"epochs": 1, "split": 0.8}, "both shares, `0.8/0.2` or `0.2/0.8`"),
        ({"epochs": 1, "seed": -1}, "4294967295"),
        ({"epochs": 1, "lr": float("nan")}, "above zero"),
        ({"epochs": 1, "max_steps": "abc"}, "expected a whole number"),
        ({"epochs": 1, "batch_size": None}, "not None"),
        ({"epochs": 1, "accumulate_grad_batches": None}, "not None"),
        ({"epochs": 1, "quiet": None}, "true or false, not None"),
        ({"epochs": 1, "resume": "a", "fork": "b"}, "give one of them"),
        ({"epochs": 1, "reinit": True, "resume": "a"}, "`--reinit` starts from the step-0 weights"),
        ({"epochs": 1, "from_": "best"}, "name its run too: `--resume RUN`"),
        ({"epochs": 1, "form": True}, "`--form` is for the line"),
    ],
)
def test_bad_options_say_what_was_expected(given: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        TrainConfig.of(given)
    assert words in str(caught.value)


def test_epochs_and_max_epochs_are_one() -> None:
    assert TrainConfig.of({"epochs": 3}).trainer["max_epochs"] == 3
    assert TrainConfig.of({"max_epochs": 3}).epochs == 3


def test_record_holds_what_differs_from_the_defaults() -> None:
    config = TrainConfig.of({"epochs": 3, "lr": 1e-3, "gradient_clip_val": 0.5}, {"lr": "lr"})
    assert config.to_json() == {"epochs": 3, "lr": 1e-3, "gradient_clip_val": 0.5, "expressions": {"lr": "lr"}}


def test_none_is_kept_where_it_is_not_the_default() -> None:
    """And means nothing where it is."""
    config = TrainConfig.of({"epochs": 3, "check_val_every_n_epoch": None, "val_check_interval": None, "lr": None})
    assert config.trainer == {"max_epochs": 3, "check_val_every_n_epoch": None}
    assert config.to_json() == {"epochs": 3, "check_val_every_n_epoch": None}


def test_a_wrong_value_is_told_that_none_is_one_where_it_is_not_the_default() -> None:
    with pytest.raises(OptionError, match="expected a whole number or `none`, not 'non'"):
        TrainConfig.of({"epochs": 1, "check_val_every_n_epoch": "non"})
    with pytest.raises(OptionError, match="expected a whole number, not 'two'"):
        TrainConfig.of({"epochs": "two"})


def test_what_trains_nothing_needs_no_length() -> None:
    assert TrainConfig.of({"explain": True}).epochs is None
    assert TrainConfig.of({"tune_loader": True}).epochs is None


def test_a_metric_improves_as_its_name_or_mode_says() -> None:
    assert TrainConfig.of({"epochs": 1}).direction("val_acc") == "max"
    assert TrainConfig.of({"epochs": 1, "mode": "min"}).direction("val_acc") == "min"
    with pytest.raises(OptionError, match="add `--mode min` or `--mode max`"):
        TrainConfig.of({"epochs": 1}).direction("zork")


def test_patience_is_three_checks_unless_it_is_given() -> None:
    given = TrainConfig.of({"epochs": 1, "early_stop": "val_loss"})
    assert (given.early_stop_metric, given.early_stop_patience) == ("val_loss", 3)
    assert TrainConfig.of({"epochs": 1, "early_stop": "val_loss:12"}).early_stop_patience == 12
    assert TrainConfig.of({"epochs": 1}).early_stop_metric is None


def test_finders_begin_from_plain_values_and_leave_the_options_alone() -> None:
    given = TrainConfig.of({"epochs": 1, "lr": "auto", "batch_size": "auto"})
    begun = given.with_finder_defaults()
    assert (given.needs_finder, begun.needs_finder) == (True, False)
    assert (begun.lr, begun.batch_size) == (None, 32)
    assert (given.lr, given.batch_size) == ("auto", "auto")
    kept = TrainConfig.of({"epochs": 1, "lr": 0.5, "batch_size": 64}).with_finder_defaults()
    assert (kept.lr, kept.batch_size) == (0.5, 64)


class _Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (0.5, 0.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**63, "9223372036854775808"),
        ((1, [2.0]), [1, [2.0]]),
        ({1: (2,)}, {"1": [2]}),
        (np.float64, "<class 'numpy.float64'>"),
        (_Unprintable(), "<_Unprintable>"),
    ],
)
def test_a_value_is_recorded_as_plain_json(value: Any, plain: Any) -> None:
    assert as_json(value) == plain
    assert type(as_json(value)) is type(plain)


def test_the_repr_of_an_object_is_cut_at_a_space() -> None:
    class Wordy:
        def __repr__(self) -> str:
            return "word " * 100

    text = as_json(Wordy())
    assert len(text) <= 200
    assert text.endswith("word…")


def test_callbacks_are_copied_as_they_keep_state_and_kept_where_they_cannot_be() -> None:
    class Uncopyable:
        def __deepcopy__(self, _memo: Any) -> Any:
            raise RuntimeError

    seen, fixed = [], Uncopyable()
    options = {"callback": [seen], "callbacks": [fixed], "logger": [seen]}
    copied = copy_callbacks(options)
    assert copied["callback"] == [seen]
    assert copied["callback"][0] is not seen
    assert copied["callbacks"][0] is fixed
    assert copied["logger"][0] is seen
    assert options["callback"][0] is seen
