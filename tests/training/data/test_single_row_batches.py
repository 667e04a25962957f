"""Data whose last batch has one row is refused at the first batch where BatchNorm would fail at the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train.exceptions import DataError
from jupyter_train.training.data.single_row_batches import SingleRowBatches
from jupyter_train.training.lightning.patches import LoopPatches
from tests.models import LitDigits
from tests.training.trainers import quiet_trainer

pytestmark = pytest.mark.filterwarnings("ignore")


class Normed(LitDigits):
    """Counts its batches."""

    def __init__(self, kind: Callable[..., nn.Module] = nn.BatchNorm1d) -> None:
        super(LitDigits, self).__init__()
        self.save_hyperparameters({"lr": 1e-3})
        self.net = nn.Sequential(nn.Linear(64, 10), kind(10))
        self.batches = 0

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.batches += 1
        return super().training_step(batch, batch_idx)


def loader(rows: int, batch_size: int = 4, **options: Any) -> Any:
    return DataLoader(TensorDataset(torch.randn(rows, 64), torch.arange(rows) % 10), batch_size, **options)


def train(model: Normed, data: Any, uses_batch_size: bool = True, **options: Any) -> None:
    patches = LoopPatches(quiet_trainer(**options))
    checks = SingleRowBatches(uses_batch_size)
    checks.register(patches)
    patches.install()
    try:
        patches.trainer.fit(model, data)
    finally:
        checks.remove_hooks()
        patches.remove()


@pytest.mark.parametrize(
    ("data", "uses_batch_size", "words"),
    [
        (
            loader(9),
            True,
            r"has one row (9 rows in batches of 4), and `BatchNorm1d` cannot be trained on one; add `--drop",
        ),
        (loader(9), False, "give the DataLoader `drop_last=True`, or another `batch_size`"),
        (loader(3, 1), True, "take larger batches"),
        (loader(3, 1, drop_last=True), True, "take larger batches"),
    ],
)
def test_it_is_said_before_anything_is_trained(data: Any, uses_batch_size: bool, words: str) -> None:
    model = Normed()
    with pytest.raises(DataError) as caught:
        train(model, data, uses_batch_size)
    assert words in str(caught.value)
    assert model.batches == 1
    assert not model.net[1]._forward_pre_hooks


@pytest.mark.parametrize(
    ("kind", "data", "options"),
    [
        (nn.BatchNorm1d, loader(8), {}),
        (nn.BatchNorm1d, loader(9, drop_last=True), {}),
        (nn.BatchNorm1d, loader(9), {"max_steps": 2}),
        (nn.BatchNorm1d, loader(9), {"limit_train_batches": 2}),
        (nn.LayerNorm, loader(9), {}),
        (lambda width: nn.BatchNorm1d(width).eval(), loader(9), {}),
    ],
)
def test_what_can_be_trained_is_trained_and_no_hook_is_left(kind: Any, data: Any, options: dict[str, Any]) -> None:
    model = Normed(kind)
    train(model, data, **options)
    assert model.batches >= 2
    assert not any(part._forward_pre_hooks for part in model.modules())


def test_a_norm_over_a_picture_has_values_enough_in_one_row() -> None:
    class Pictures(Normed):
        def __init__(self) -> None:
            super().__init__(nn.Identity)
            self.norm = nn.BatchNorm2d(1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.net(self.norm(images.reshape(-1, 1, 8, 8)).flatten(1))

    model = Pictures()
    train(model, loader(9))
    assert model.batches == 3
