"""A checkpoint's content as Lightning dumps it, with the hyperparameters that it removes for a fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from jupyter_train.training.checkpoints.dump import dump_checkpoint
from tests.models import LitDigits
from tests.training.trainers import At, fit

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Acting(LitDigits):
    def __init__(self, act: Callable[..., Any] = torch.relu, hidden: int = 16) -> None:
        super(LitDigits, self).__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Linear(64, 10)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


def dumped(model: LitDigits) -> tuple[dict[str, Any], dict[str, Any]]:
    """Our content and Lightning's, before the second step of a fit."""
    found: list[dict[str, Any]] = []

    def look(trainer: Any) -> None:
        found.extend((dump_checkpoint(trainer), trainer._checkpoint_connector.dump_checkpoint(False)))

    fit(model, None, At("on_train_batch_start", look, step=1))
    ours, lightnings = found
    return ours, lightnings


def test_it_is_lightnings_content() -> None:
    ours, lightnings = dumped(LitDigits())
    assert ours.keys() == lightnings.keys()
    assert ours["global_step"] == 1
    assert ours["hyper_parameters"] == {"hidden": 16, "lr": 3e-3}


def test_what_cannot_be_pickled_is_in_it_all_the_same() -> None:
    act = lambda x: x  # noqa: E731
    ours, lightnings = dumped(Acting(act, hidden=8))
    assert "act" not in lightnings["hyper_parameters"]
    assert ours["hyper_parameters"] == {"act": act, "hidden": 8}
    assert ours["hparams_name"] == "kwargs"
    plain, _ = dumped(Acting(torch.tanh))
    assert plain["hyper_parameters"]["act"] is torch.tanh


def test_a_model_without_hyperparameters_gets_none() -> None:
    class Bare(LitDigits):
        def __init__(self) -> None:
            super(LitDigits, self).__init__()
            self.net = torch.nn.Linear(64, 10)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    assert "hyper_parameters" not in dumped(Bare())[0]
