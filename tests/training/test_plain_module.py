"""A plain module's steps: what they log, what they take as a batch, how wide its outputs are."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from jupyter_train.exceptions import ModelError
from jupyter_train.training.plain_module import PlainModule

INPUTS, CLASSES = torch.eye(3), torch.tensor([0, 1, 1])


def module(net: nn.Module, loss=cross_entropy) -> tuple[PlainModule, dict[str, float]]:
    made, logged = PlainModule(net, loss, torch.optim.SGD), {}
    made.log = lambda name, value, **_: logged.update({name: float(value)})
    return made, logged


def test_classes_log_loss_and_accuracy() -> None:
    plain, logged = module(nn.Identity())
    loss = plain.training_step((INPUTS, CLASSES), 0)
    assert logged == {"train_loss": pytest.approx(float(loss)), "train_acc": pytest.approx(2 / 3)}
    assert float(loss) == pytest.approx(float(cross_entropy(INPUTS, CLASSES)))


def test_numbers_log_their_loss_alone_and_weights_count() -> None:
    plain, logged = module(nn.Identity(), mse_loss)
    plain.validation_step((torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 0.0]), torch.tensor([3.0, 1.0])), 0)
    assert logged == {"val_loss": pytest.approx((3 * 1 + 1 * 9) / 4)}


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (INPUTS, "a batch is a Tensor"),
        ({"x": INPUTS}, "a batch is a dict with `x`"),
        ((INPUTS, CLASSES, INPUTS), "the third part of a batch is taken as weights"),
        ((INPUTS,) * 4, "a batch is a tuple of 4 parts"),
    ],
)
def test_a_batch_of_another_form_is_one_line(batch, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        module(nn.Identity())[0].training_step(batch, 0)


def test_the_width_is_seen_without_a_trace() -> None:
    net = nn.Sequential(nn.LazyLinear(5), nn.Dropout())
    assert module(net)[0].width(torch.zeros(1, 4)) == 5
    assert net[0].has_uninitialized_params()
    assert net.training
    assert module(nn.Linear(2, 2))[0].width(torch.zeros(1, 9)) is None
    assert module(nn.Flatten(0))[0].width(torch.zeros(1, 9)) is None


def test_a_prediction_leaves_targets_aside() -> None:
    assert module(nn.Identity())[0].predict_step((INPUTS, CLASSES), 0) is INPUTS
