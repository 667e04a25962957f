"""`PlainModule`: a plain `nn.Module` with a loss and an optimizer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from jupyter_train.exceptions import ModelError
from jupyter_train.training.losses import (
    Loss,
    TargetKind,
    check_probabilities,
    match_shapes,
    target_kind_of,
    weighted_loss,
)


class PlainModule(pl.LightningModule):
    """Trains a plain `nn.Module` in place; logs `train_loss`, `val_loss` and, for classes, `_acc`.

    Batches are `(inputs, targets)` or `(inputs, targets, weights)`, with a weight for every row.
    """

    def __init__(self, module: nn.Module, loss: Loss, optimizer: Callable[..., torch.optim.Optimizer]) -> None:
        super().__init__()
        self.module = module
        self._loss = loss
        self._optimizer = optimizer
        self._is_classifier = target_kind_of(loss) is TargetKind.CLASSES
        self._seen: set[str] = set()

    @property
    def loss(self) -> Loss:
        """The loss function."""
        loss: Loss = self._loss
        return loss

    def width(self, inputs: torch.Tensor) -> int | None:
        """The number of outputs for a row; None where one forward pass does not show it.

        Args:
            inputs: One row, `(1, ...)`.
        """
        module = copy.deepcopy(self.module) if any(map(is_lazy, self.module.parameters())) else self.module
        modes = [(part, part.training) for part in module.modules()]
        try:
            with torch.no_grad(), torch.random.fork_rng():
                outputs = module.eval()(inputs)
        except Exception:  # noqa: BLE001  training will show what the user's `forward` raises
            return None
        finally:
            for part, was_training in modes:
                part.training = was_training
        is_row = isinstance(outputs, torch.Tensor) and outputs.ndim == 2
        return int(outputs.shape[1]) if is_row else None

    def forward(self, inputs: torch.Tensor) -> Any:
        """The wrapped module's output."""
        return self.module(inputs)

    def _step(self, batch: object, stage: str) -> torch.Tensor:
        inputs, targets, weights = _unpack(batch)
        outputs = self(inputs)
        if isinstance(outputs, torch.Tensor) and isinstance(targets, torch.Tensor):
            outputs, targets = match_shapes(outputs, targets, self._loss)
            if stage not in self._seen:
                self._seen.add(stage)  # each batch would cost a synchronisation with the device
                check_probabilities(targets, self._loss)
        if weights is None:
            loss, size = self._loss(outputs, targets), None
        else:
            loss, size = weighted_loss(self._loss, outputs, targets, weights)
        log_arguments: dict[str, Any] = {} if size is None else {"batch_size": size}
        self.log(f"{stage}_loss", loss, **log_arguments)
        if weights is not None:
            log_arguments = {"batch_size": weights.sum()}
        if self._is_classifier and outputs.ndim == 2:
            self.log(f"{stage}_acc", _accuracy(outputs, targets, weights), **log_arguments)
        return loss

    def training_step(self, batch: object, batch_idx: int) -> torch.Tensor:
        """Loss of one batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: object, batch_idx: int) -> None:
        """Logs loss and accuracy of one batch."""
        self._step(batch, "val")

    def test_step(self, batch: object, batch_idx: int) -> None:
        """Logs loss and accuracy of one batch."""
        self._step(batch, "test")

    def predict_step(self, batch: object, batch_idx: int) -> Any:
        """The module's output for the inputs of a batch."""
        return self(batch[0] if isinstance(batch, list | tuple) else batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer over the module's parameters."""
        return self._optimizer(self.module.parameters())


def _unpack(batch: object) -> tuple[Any, Any, torch.Tensor | None]:
    """Inputs, targets and weights of a batch.

    Raises:
        ModelError: It is neither a pair nor a triple with weights.
    """
    if not isinstance(batch, list | tuple) or len(batch) not in (2, 3):
        has = f" of {len(batch)} parts" if isinstance(batch, list | tuple) else ""
        keys = f" with {', '.join(f'`{key}`' for key in list(batch)[:4])}" if isinstance(batch, dict) else ""
        raise ModelError(
            f"a batch is a {type(batch).__name__}{has}{keys}, and a plain nn.Module is trained on `(inputs, targets)`; "
            "give data of such pairs, or write a LightningModule whose `training_step` takes the batch as it is"
        )
    if len(batch) == 2:
        return batch[0], batch[1], None
    weights = batch[2]
    if not isinstance(weights, torch.Tensor) or weights.ndim != 1 or len(weights) != len(batch[1]):
        raise ModelError(
            "the third part of a batch is taken as weights, one number a row, and this one is none; give data of "
            "`(inputs, targets)`, or write a LightningModule whose `training_step` takes the batch as it is"
        )
    return batch[0], batch[1], weights


def _accuracy(outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """The (weighted) share of rows whose largest output is that of their class, or of their likeliest class."""
    classes = targets if targets.ndim == 1 else targets.argmax(1)
    is_right = (outputs.argmax(1) == classes).float()
    if weights is None:
        return is_right.mean()
    total = weights.sum()
    return (is_right * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
