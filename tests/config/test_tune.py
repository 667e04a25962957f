"""The options of a search: which are its own, which every trial's, and what contradicts."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train.config.search_space import Choices, Fixed, Range
from jupyter_train.config.tune import TuneConfig, tune_options_by_name
from jupyter_train.exceptions import OptionError, SpaceError

SPACE = {"lr": "1e-4..1e-1:log", "hidden": "16"}


def config(space: dict[str, Any] = SPACE, is_open: bool = False, **options: Any) -> TuneConfig:
    return TuneConfig.of({"trials": 3, "maximize": "val_acc", "epochs": 2, **options}, space, is_open=is_open)


def test_options_of_a_search_and_of_its_trials_are_told_apart() -> None:
    given = config(batch_size=64, seed=7, sampler="random", gradient_clip_val=0.5)
    assert (given.trials, given.seed, given.sampler) == (3, 7, "random")
    assert given.train == {"epochs": 2, "batch_size": 64, "gradient_clip_val": 0.5}
    assert given.space == {"lr": Range(1e-4, 1e-1, None, is_log=True), "hidden": Fixed(16)}
    assert list(given.searched) == ["lr"]


def test_an_option_of_both_is_the_searchs_own() -> None:
    assert tune_options_by_name()["seed"].help.startswith("seed of the sampler")
    assert tune_options_by_name()["batch_size"].help.startswith("rows per batch")


def test_objectives_to_maximize_come_first() -> None:
    given = config(maximize=["val_acc", "val_f1"], minimize="val_loss")
    assert given.objectives == [("val_acc", "max"), ("val_f1", "max"), ("val_loss", "min")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"maximize": []}, "the objective is missing"),
        ({"minimize": "val_acc"}, "`val_acc` cannot be maximized and minimized at once"),
        ({"trials": None}, "the length of the search is missing"),
        ({"minimize": "val_loss", "sampler": "cmaes"}, "`--sampler cmaes` knows one objective"),
        ({"trails": 3}, "Did you mean `--trials`"),
        ({"monitor": "val_loss"}, "`--monitor` is not for a search: the objective is the monitored metric"),
        ({"batch_size": "16|32"}, "To search it: `space={'batch_size': '16|32'}`"),
    ],
)
def test_a_search_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        config(**options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "length", [{"trials": None, "timeout": "10m"}, {"trials": None, "sampler": "grid"}, {"trials": None, "patience": 5}]
)
def test_a_search_ends_by_its_trials_its_time_its_grid_or_its_patience(length: dict[str, Any]) -> None:
    assert config(space={"hidden": "8|16"}, **length).trials is None


def test_something_has_to_be_searched() -> None:
    with pytest.raises(OptionError, match=r"nothing is searched \(`hidden=16` is one fixed value\)"):
        config(space={"hidden": "16"})
    with pytest.raises(OptionError, match="nothing is searched; add a range"):
        config(space={})
    assert config(space={}, is_open=True).space == {}
    assert config(space={}, resume="study").resume == "study"
    with pytest.raises(SpaceError):
        config(space={"hidden": "4..1"})


def test_several_objectives_are_not_pruned() -> None:
    assert config(prune="median").prune == "median"
    assert config(prune="median", minimize="val_loss").prune == "none"


def test_a_trial_trains_quietly_with_its_values_and_the_objective_as_monitor() -> None:
    given = config(seed=5, objective="last", batch_size=64)
    trial = given.trial_config({"batch_size": 16, "lr": 0.1})
    assert (trial.epochs, trial.batch_size, trial.lr, trial.seed) == (2, 16, 0.1, 5)
    assert (trial.monitor, trial.mode, trial.objective, trial.quiet) == ("val_acc", "max", "last", True)
    assert trial.trainer["enable_model_summary"] is False
    assert given.train["batch_size"] == 64
    assert config(enable_model_summary=True).trial_config({}).trainer["enable_model_summary"] is True


def test_trials_do_not_share_a_callback() -> None:
    counts: list[int] = []
    given = config(callback=[counts])
    [first], [second] = (given.trial_config({}).callback for _ in range(2))
    first.append(1)
    assert (counts, second) == ([], [])


def test_the_record_has_what_differs_and_the_space_as_typed() -> None:
    given = TuneConfig.of(
        {"trials": 3, "minimize": "val_loss", "epochs": 2, "sampler": "tpe"},
        {"lr": "1e-4..1e-1:log", "act": ["relu", "gelu"]},
        {"model": "Net"},
    )
    assert given.space["act"] == Choices(("relu", "gelu"))
    assert given.to_json() == {
        "trials": 3,
        "minimize": ["val_loss"],
        "space": {"lr": "0.0001..0.1:log", "act": "relu|gelu"},
        "objectives": [["val_loss", "min"]],
        "train": {"epochs": 2},
        "expressions": {"model": "Net"},
    }
