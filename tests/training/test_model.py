"""A model of any kind becomes a LightningModule with the loss, optimizer and rate of the options, or one line."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import ModelError, OptionError
from jupyter_train.training.model import (
    as_module,
    copy_model,
    describe_unused_lr,
    has_embedding,
    optimizer_factory,
    unwrap_compiled,
)
from jupyter_train.training.plain_module import PlainModule
from tests.models import LitDigits


def config(**options) -> TrainConfig:
    return TrainConfig.of({"epochs": 1, **options}, {})


def test_a_plain_module_is_wrapped_with_loss_and_optimizer() -> None:
    module = as_module(nn.Linear(2, 3), config(loss="mse", optimizer="sgd", lr=0.5))
    assert isinstance(module, PlainModule)
    optimizer = module.configure_optimizers()
    assert (type(optimizer), optimizer.param_groups[0]["lr"]) == (torch.optim.SGD, 0.5)
    assert module.loss is nn.functional.mse_loss


def test_a_lightning_module_keeps_its_own_unless_options_replace_it() -> None:
    module = LitDigits()
    assert as_module(module, config()) is module
    assert as_module(LitDigits(), config(lr=0.25)).hparams.lr == 0.25
    optimizer = as_module(LitDigits(), config(optimizer="rmsprop")).configure_optimizers()
    assert (type(optimizer), optimizer.param_groups[0]["lr"]) == (torch.optim.RMSprop, 1e-3)


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (LitDigits, {}, ModelError, r"write `LitDigits\(...\)`"),
        ("text", {}, ModelError, "`str` objects cannot be trained"),
        (nn.Linear(1, 1), {}, ModelError, "has no loss of its own"),
        (nn.ReLU(), {"loss": "mse"}, ModelError, "has no parameters to train"),
        (pl.LightningModule(), {}, ModelError, "has no `training_step`"),
        (LitDigits(), {"loss": "mse"}, OptionError, "`--loss` is for a plain nn.Module"),
        (nn.Linear(1, 1), {"loss": "mse", "optimizer": "adan"}, OptionError, "Did you mean `adam`?"),
    ],
)
def test_what_cannot_be_trained_is_one_line(model, options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        as_module(model, config(**options))


def test_an_optimizer_may_be_a_name_a_class_an_object_or_a_function() -> None:
    parameters = list(nn.Linear(1, 1).parameters())
    made = torch.optim.SGD(parameters, lr=0.1)
    assert optimizer_factory(made, None)(parameters) is made
    assert optimizer_factory(torch.optim.SGD, 0.2)(parameters).param_groups[0]["lr"] == 0.2
    assert optimizer_factory(lambda rows: torch.optim.SGD(rows, lr=0.3), None)(parameters).param_groups[0]["lr"] == 0.3
    with pytest.raises(OptionError, match="expected a word such as `adam`"):
        optimizer_factory(3, None)


def test_a_rate_that_the_optimizer_leaves_unused_is_named() -> None:
    assert "0.05, has no effect; add `--lr 0.05`" in describe_unused_lr(LitDigits(lr=0.05), config(optimizer="adam"))
    assert describe_unused_lr(LitDigits(), config()) == ""
    assert describe_unused_lr(LitDigits(), config(optimizer="adam", lr=0.1)) == ""


def test_a_copy_shares_nothing_and_a_compiled_module_is_found() -> None:
    layer = nn.Linear(1, 1)
    assert copy_model(layer).weight is not layer.weight
    module = LitDigits()
    assert unwrap_compiled(torch.compile(module)) is module
    assert unwrap_compiled(layer) is layer
    assert has_embedding(nn.Sequential(nn.Embedding(3, 2)))
    assert not has_embedding(layer)
