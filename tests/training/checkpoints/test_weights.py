"""Weights of a verified checkpoint, in a model that they fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from jupyter_train.exceptions import ModelError, StoreError
from jupyter_train.training.checkpoints.format import write
from jupyter_train.training.checkpoints.weights import detached_copy, load_weights, read_weights, wrap_for_weights
from jupyter_train.training.plain_module import PlainModule
from tests.models import LitDigits, are_equal, weights
from tests.training.trainers import fit


class OwnType:
    """Something that is pickled."""


@pytest.mark.parametrize("is_own", [True, False])
def test_weights_are_read_from_the_recorded_file_alone(tmp_path: Path, is_own: bool) -> None:
    model = LitDigits()
    content = {"state_dict": model.state_dict(), "hyper_parameters": {"x": OwnType()}}
    _, sha256, _ = write(content, tmp_path / "a.ckpt")
    found = read_weights(tmp_path / "a.ckpt", sha256, is_own)
    assert are_equal(list(found.values()), weights(model))
    with pytest.raises(StoreError, match="is not the file the run recorded"):
        read_weights(tmp_path / "a.ckpt", "0" * 64, is_own)
    with pytest.raises(StoreError, match="cannot be read"):
        read_weights(tmp_path / "b.ckpt", sha256, is_own)


def test_a_model_with_weights_is_in_eval_mode_and_what_does_not_fit_is_said() -> None:
    source, target = LitDigits(), LitDigits().train()
    assert load_weights(target, source.state_dict(), "digits-k3f9") is target
    assert not target.training
    assert are_equal(weights(target), weights(source))
    with pytest.raises(ModelError, match="the weights of `digits-k3f9` do not fit: ") as caught:
        load_weights(LitDigits(hidden=3), source.state_dict(), "digits-k3f9")
    assert "\n" not in str(caught.value)


def test_a_plain_module_is_wrapped_for_weights_that_were_saved_so() -> None:
    net, module = nn.Linear(2, 3), LitDigits()
    saved = {f"module.{name}": tensor for name, tensor in nn.Linear(2, 3).state_dict().items()}
    wrapped = wrap_for_weights(net, saved)
    assert isinstance(wrapped, PlainModule)
    assert load_weights(wrapped, saved, "x") is net
    assert torch.equal(net.weight, saved["module.weight"])
    assert wrap_for_weights(net, net.state_dict()) is net
    assert wrap_for_weights(module, saved) is module
    with pytest.raises(ModelError, match="takes a model, not a int"):
        wrap_for_weights(3, saved)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_copy_has_no_trainer_and_the_original_keeps_its_own() -> None:
    model = LitDigits()
    trainer = fit(model)
    copied = detached_copy(model)
    assert (copied._trainer, model.trainer) == (None, trainer)
    assert are_equal(weights(copied), weights(model))
    with torch.no_grad():
        copied.net[0].weight.zero_()
    assert not are_equal(weights(copied), weights(model))
