"""Options: declared once, read by type, refused with a reason."""

from __future__ import annotations

import inspect

import pytest

from jupyter_train.config import TrainConfig, direction_of, options_by_name, signature_of_train
from jupyter_train.config.options import literal
from jupyter_train.config.trainer_arguments import DECISIONS, trainer_arguments
from jupyter_train.exceptions import OptionError


def test_ast_reads_the_same_trainer_signature_as_inspect() -> None:
    import pytorch_lightning as pl

    real = inspect.signature(pl.Trainer.__init__).parameters
    names = [name for name in real if name != "self"]
    assert [argument.name for argument in trainer_arguments()] == names
    for argument in trainer_arguments():
        assert argument.default == real[argument.name].default


def test_every_trainer_argument_is_decided() -> None:
    assert set(DECISIONS) == {argument.name for argument in trainer_arguments()}


def test_signature_of_train_names_every_option() -> None:
    names = list(signature_of_train().parameters)
    assert names == ["model", "data", *options_by_name()]


def test_train_shows_that_signature() -> None:
    from jupyter_train import train

    assert inspect.signature(train) == signature_of_train()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("10", 10),
        ("true", True),
        ("None", None),
        ("[0, 1]", [0, 1]),
        ("adam", "adam"),
        ("1.", 1.0),
        ("bf16-mixed", "bf16-mixed"),
        ("{'days': 1}", {"days": 1}),
        ("__import__('os')", "__import__('os')"),
    ],
)
def test_literals_are_read_as_data_never_as_code(text: str, value: object) -> None:
    assert literal(text) == value


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
    ],
)
def test_bad_options_say_what_was_expected(given: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        TrainConfig.of(given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val_loss", "min"),
        ("val_acc", "max"),
        ("val/f1", "max"),
        ("test_rmse", "min"),
        ("valAUROC", "max"),
        ("val_f1_loss", "min"),
        ("zork", None),
        ("train_loss_epoch", "min"),
        ("perplexity", "min"),
    ],
)
def test_direction_follows_from_the_name(metric: str, direction: str | None) -> None:
    assert direction_of(metric) == direction


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


def test_every_trainer_argument_takes_none_where_lightning_does() -> None:
    import pytorch_lightning as pl

    for name, real in inspect.signature(pl.Trainer.__init__).parameters.items():
        if name not in ("self", "logger"):
            option = options_by_name()[name]
            assert option.takes_none == (type(None) in getattr(real.annotation, "__args__", ())), name


def test_defaults_shown_are_those_that_hold() -> None:
    shown = signature_of_train().parameters
    assert [shown[name].default for name in ("check_val_every_n_epoch", "inference_mode", "devices")] == [1, True, 1]


def test_the_error_of_a_wrong_value_names_none_where_that_is_not_the_default() -> None:
    with pytest.raises(OptionError, match="expected a whole number or `none`, not 'non'"):
        TrainConfig.of({"epochs": 1, "check_val_every_n_epoch": "non"})
    with pytest.raises(OptionError, match="expected a whole number, not 'two'"):
        TrainConfig.of({"epochs": "two"})
