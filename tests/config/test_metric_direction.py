"""Which way a metric improves, by its name."""

from __future__ import annotations

import pytest

from jupyter_train.config.metric_direction import direction_of


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
        ("loss_of_accuracy", "max"),  # the last known word decides
        ("val_top5", "max"),
        ("lossy", None),  # a part of a word is no word
        ("", None),
    ],
)
def test_direction_is_told_by_the_name(metric: str, direction: str | None) -> None:
    assert direction_of(metric) == direction
