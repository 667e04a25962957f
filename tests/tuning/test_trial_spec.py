"""What a trial is made of: which searched names are the model's, which are options, and what makes the model."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train.config import TuneConfig
from jupyter_train.config.search_space import parse
from jupyter_train.exceptions import ModelError, OptionError
from jupyter_train.tuning.trial_spec import (
    ModelArguments,
    ModelCopier,
    ModelExpression,
    ModelFactory,
    TrialSpec,
    corners,
    option_called,
    roles,
    taken_by,
)
from tests.models import LitDigits, are_equal, weights


class Net:
    """As a model: it keeps what it was made with."""

    def __init__(self, hidden: int = 8, lr: float = 1e-3) -> None:
        self.hidden, self.lr = hidden, lr


@pytest.mark.parametrize(
    ("text", "values"),
    [("1..4", [1, 4]), ("1e-4..1e-1:log", [1e-4, 1e-1]), ("relu|gelu|tanh", ["relu", "gelu", "tanh"]), ("7", [7])],
)
def test_values_at_which_an_option_would_refuse_a_space(text: str, values: list[Any]) -> None:
    assert corners(parse("x", text)) == values


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("batch_size", "batch_size"),
        ("trainer.gradient_clip_val", "gradient_clip_val"),
        ("gradient_clip_val", "gradient_clip_val"),
        ("trainer.batch_size", None),  # it is no argument of the trainer
        ("hidden", None),
        ("trainer.hidden", None),
    ],
)
def test_a_searched_name_may_be_an_option(name: str, option: str | None) -> None:
    assert option_called(name) == option


def test_what_a_class_or_function_takes() -> None:
    assert taken_by(Net) == ModelArguments(frozenset({"hidden", "lr"}))
    assert taken_by(lambda a, /, b, *c, d=1, **e: None) == ModelArguments(frozenset({"b", "d"}), others=True)
    assert taken_by(int.from_bytes).names >= {"byteorder"}
    assert taken_by(type("NoSignature", (), {"__signature__": 3})) == ModelArguments(others=True)


@pytest.mark.parametrize(
    ("space", "takes", "options"),
    [
        (["hidden", "lr"], ModelArguments(frozenset({"hidden", "lr"})), {}),
        (["hidden", "lr"], ModelArguments(frozenset({"hidden"})), {"lr": "lr"}),
        (["trainer.gradient_clip_val"], ModelArguments(), {"trainer.gradient_clip_val": "gradient_clip_val"}),
        (["lr", "width"], ModelArguments(others=True), {"lr": "lr"}),
    ],
)
def test_a_name_that_the_model_lists_is_its_own(
    space: list[str], takes: ModelArguments, options: dict[str, str]
) -> None:
    assert roles(dict.fromkeys(space), takes, "`Net`") == options


@pytest.mark.parametrize(
    ("space", "takes", "words"),
    [
        (
            "hiden",
            ModelArguments(frozenset({"hidden"})),
            "`Net` does not take it, and `%train` has no such option.",
        ),
        ("batch_sise", ModelArguments(), "Did you mean `batch_size`?"),
        ("a.b", ModelArguments(others=True), "`a.b` is searched but not used"),
    ],
)
def test_a_name_that_is_neither_is_refused(space: str, takes: ModelArguments, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        roles({space: None}, takes, "`Net`")
    assert words in str(caught.value)


def test_an_expression_that_could_pass_a_name_is_shown_with_it() -> None:
    whole = ModelExpression("Net(hidden=16)", {"Net": Net}, frozenset())
    with pytest.raises(OptionError, match=r"`Net` does not pass it; write `Net\(hidden=hidden\)`"):
        roles({"lr": None, "hidden": None}, ModelArguments(), "`Net`", whole)  # `lr` is an option
    assert whole.passing("hidden") == "Net(hidden=hidden)"
    assert whole.passing("width") == ""
    assert whole.callee_takes == taken_by(Net)
    assert ModelExpression("net", {"net": Net()}, frozenset()).callee_takes == ModelArguments()
    assert ModelExpression("nope.Net()", {}, frozenset()).callee_takes == ModelArguments()


def test_an_expression_makes_a_model_of_a_trials_values() -> None:
    maker = ModelExpression("Net(hidden=width * factor)", {"Net": Net, "width": 8}, frozenset({"factor"}))
    assert [maker({"factor": factor}).hidden for factor in (1, 2)] == [8, 16]
    with pytest.raises(ModelError, match=r"`Net` is a class; write `Net\(...\)`"):
        ModelExpression("Net", {"Net": Net}, frozenset())({})


def test_a_class_is_called_and_an_object_is_copied() -> None:
    assert ModelFactory(Net)({"hidden": 3}).hidden == 3
    model = LitDigits()
    copies = [ModelCopier(model)({}) for _ in range(2)]
    assert all(copy is not model and are_equal(weights(copy), weights(model)) for copy in copies)


def test_a_trial_gives_options_to_its_run_and_the_rest_to_its_model() -> None:
    space = {"hidden": "8|16", "batch_size": "32|64", "lr": "1e-3..1e-1:log"}
    config = TuneConfig.of({"trials": 1, "maximize": "val_acc", "epochs": 2, "seed": 3}, space)
    plan = TrialSpec(config, ModelFactory(Net), None, {"batch_size": "batch_size"})
    values = {"hidden": 16, "batch_size": 64, "lr": 0.5}
    model = plan.build(values)
    assert (model.hidden, model.lr) == (16, 0.5)
    trial = plan.trial_config(values)
    assert (trial.batch_size, trial.lr, trial.monitor, trial.seed) == (64, None, "val_acc", 3)
    assert plan.usual_config().batch_size == 32
