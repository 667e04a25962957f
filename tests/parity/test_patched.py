"""What other libraries and tests put in place of Lightning's functions is called with the lean loop installed too."""

from __future__ import annotations

from unittest.mock import MagicMock, patch

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.optimization.automatic import _AutomaticOptimization
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.strategies import SingleDeviceStrategy

from jupyter_train.training import engine
from tests.parity.both_ways import USUAL
from tests.parity.cases import both
from tests.parity.models import Plain

pytestmark = [pytest.mark.filterwarnings("ignore")]


def _fit(is_lean: bool, *, wire=lambda trainer: None, callbacks=(), module=None) -> list[str | None]:
    pl.seed_everything(11, verbose=False)
    trainer = pl.Trainer(**USUAL | {"max_epochs": 1}, logger=False, callbacks=list(callbacks))
    wire(trainer)
    reasons: list[str | None] = []
    if is_lean:
        engine.install(trainer, reasons.append)
    trainer.fit(module or Plain(), **both())
    return reasons


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (_TrainingEpochLoop, "advance"),
        (_TrainingEpochLoop, "_should_accumulate"),
        (_TrainingEpochLoop, "update_lr_schedulers"),
        (_AutomaticOptimization, "_optimizer_step"),
        (SingleDeviceStrategy, "training_step"),
        (SingleDeviceStrategy, "validation_step"),
        (Precision, "clip_gradients"),
        (pl.LightningModule, "backward"),
    ],
)
def test_a_function_replaced_for_all_trainers_is_called_as_often(owner, name: str) -> None:
    calls = []
    for is_lean in (False, True):
        with patch.object(owner, name, autospec=True, side_effect=getattr(owner, name)) as stand_in:
            reasons = _fit(is_lean)
        calls.append(stand_in.call_count)
    assert calls[0] == calls[1] > 0
    assert reasons[0] is not None
    assert reasons[0].endswith(f".{name} has been replaced")


def test_a_function_replaced_in_one_trainer_is_called_as_often() -> None:
    calls = []

    def wire(trainer: pl.Trainer) -> None:
        strategy = trainer.strategy
        strategy.batch_to_device = MagicMock(side_effect=strategy.batch_to_device)
        calls.append(strategy.batch_to_device)

    _fit(False, wire=wire)
    assert _fit(True, wire=wire) == ["SingleDeviceStrategy.batch_to_device has been replaced"]
    assert calls[0].call_count == calls[1].call_count > 0


@pytest.mark.parametrize("base", [pl.Callback, pl.LightningModule])
@pytest.mark.parametrize("name", ["on_train_batch_start", "on_before_backward", "on_validation_batch_end"])
def test_a_hook_replaced_in_the_base_class_is_called_as_often(base: type, name: str) -> None:
    calls = []
    for is_lean in (False, True):
        with patch.object(base, name, autospec=True, return_value=None) as stand_in:
            reasons = _fit(is_lean, callbacks=[pl.Callback()])
        calls.append(stand_in.call_count)
    assert calls[0] == calls[1] > 0
    assert reasons == [None]


@pytest.mark.parametrize("name", ["zero_grad", "step"])
def test_an_optimizers_function_replaced_in_its_base_class_is_called_as_often(name: str) -> None:
    class Module(Plain):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    owner = torch.optim.Optimizer if name == "zero_grad" else torch.optim.SGD
    calls = []
    for is_lean in (False, True):
        with patch.object(owner, name, autospec=True, side_effect=getattr(owner, name)) as stand_in:
            _fit(is_lean, module=Module())
        calls.append(stand_in.call_count)
    assert calls[0] == calls[1] > 0


def test_a_callback_that_is_no_callback_gets_the_same_calls() -> None:
    told = []
    for is_lean in (False, True):
        mock = MagicMock()
        mock.state_key = "mock"
        _fit(is_lean, callbacks=[mock])
        told.append([call[0] for call in mock.method_calls])
    assert told[0] == told[1]
    assert "on_train_batch_end" in told[0]
