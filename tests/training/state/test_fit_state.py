"""What an exact resume needs besides Lightning's checkpoint: captured, and put into another fit."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping

from jupyter_train.training.lightning.safe_points import SafePoint
from jupyter_train.training.state.fit_state import capture, drop_unfinished, restore
from tests.models import LitDigits
from tests.training.trainers import At, fit

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def captured(*callbacks: pl.Callback) -> dict[str, Any]:
    """The state before the second batch of a fit."""
    found: list[dict[str, Any]] = []

    def look(trainer: pl.Trainer) -> None:
        state = capture(trainer, SafePoint.BETWEEN_BATCHES)
        found.append(state | {"gradients": {name: grad.clone() for name, grad in state["gradients"].items()}})

    fit(LitDigits(), None, *callbacks, At("on_train_batch_start", look, step=1))
    return found[0]


def test_means_and_logged_values_of_the_epoch_are_captured() -> None:
    state = captured()
    assert (state["moment"], state["max_epochs"], state["has_stopped_early"]) == ("between batches", 1, False)
    assert {"train_loss", "train_acc"} <= state["callback_metrics"].keys()
    [loss] = [entry for entry in state["results"] if entry["name"] == "train_loss"]
    assert (loss["updates"], loss["on_step"], loss["on_epoch"], loss["reduce_fx"]) == (1, True, False, "mean")
    assert state["gradients"] == {}


def test_gradients_are_captured_where_the_next_batch_adds_to_them() -> None:
    found: list[Any] = []
    fit(
        LitDigits(),
        None,
        At("on_train_batch_end", lambda t: found.append(capture(t, SafePoint.BETWEEN_BATCHES)["gradients"])),
        accumulate_grad_batches=2,
    )
    assert [sorted(gradients) for gradients in found] == [
        ["net.0.bias", "net.0.weight", "net.3.bias", "net.3.weight"],
        [],
    ]


def test_an_early_stop_is_told_from_another_stop() -> None:
    stopper = EarlyStopping("train_loss", patience=0, check_on_train_epoch_end=True)
    assert not captured(stopper)["has_stopped_early"]

    def stop(trainer: pl.Trainer) -> None:
        trainer.should_stop = True

    assert not captured(stopper, At("on_train_batch_start", stop, step=1))["has_stopped_early"]
    stopper.stopped_epoch = 1
    assert captured(stopper, At("on_train_batch_start", stop, step=1))["has_stopped_early"]


def test_another_fit_goes_on_with_what_was_captured() -> None:
    state = captured() | {
        "has_stopped_early": True,
        "batches_seen": {"0": 5},
        "loaded_at": {"train": 3, "validation": 4},
    }
    seen: dict[str, Any] = {}

    def put(trainer: pl.Trainer) -> None:
        restore(trainer, state)
        again = capture(trainer, SafePoint.BETWEEN_BATCHES)
        seen.update(again, should_stop=trainer.should_stop)
        seen["gradients"] = {name: grad.clone() for name, grad in again["gradients"].items()}
        trainer.should_stop = True

    fit(LitDigits(), None, At("on_train_batch_start", put, step=0))
    assert seen["should_stop"]
    assert (seen["loaded_at"], seen["batches_seen"]) == ({"train": 3, "validation": 4}, {"0": 5})
    assert {name: float(value) for name, value in seen["callback_metrics"].items()} == {
        name: float(value) for name, value in state["callback_metrics"].items()
    }
    for one, other in zip(seen["results"], state["results"], strict=True):
        assert (one["key"], one["updates"]) == (other["key"], other["updates"])
        assert torch.equal(one["value"], other["value"])
        assert one["value"] is not other["value"]


def test_gradients_are_those_of_the_checkpoint() -> None:
    state = captured() | {"gradients": {"net.0.bias": torch.full((16,), 3.0), "gone": torch.ones(1)}}
    found: list[torch.Tensor] = []

    def put(trainer: pl.Trainer) -> None:
        restore(trainer, state)
        found.append(trainer.lightning_module.net[0].bias.grad.clone())

    fit(LitDigits(), None, At("on_train_batch_start", put, step=0))
    assert found[0].tolist() == [3.0] * 16


def progress(ready: int, completed: int, total: int) -> dict[str, Any]:
    return {
        "total": {"ready": total + ready, "completed": total + completed},
        "current": {"ready": ready, "completed": completed},
        "is_last_batch": False,
    }


def test_what_has_begun_and_not_ended_has_never_begun() -> None:
    loops = {
        "fit_loop": {
            "epoch_progress": progress(1, 0, 4),
            "epoch_loop.batch_progress": progress(3, 2, 10),
            "epoch_loop.automatic_optimization.optim_progress": {"optimizer": {"step": progress(2, 1, 5)}},
            "epoch_loop.val_loop.batch_progress": progress(4, 4, 8),
            "state_dict": {},
        },
        "validate_loop": {"x": 1},
    }
    found = drop_unfinished(loops, SafePoint.BETWEEN_BATCHES)["fit_loop"]
    assert found["epoch_progress"] == progress(1, 0, 4)  # the running epoch stays
    assert found["epoch_loop.batch_progress"] == progress(2, 2, 10)
    assert found["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"] == progress(1, 1, 5)
    assert found["epoch_loop.val_loop.batch_progress"] == progress(4, 4, 8)
    before = drop_unfinished(loops, SafePoint.BEFORE_VALIDATION)
    assert before["fit_loop"]["epoch_loop.val_loop.batch_progress"] == progress(0, 0, 8)
    assert before["validate_loop"] == {"x": 1}
    assert loops["fit_loop"]["epoch_loop.batch_progress"] == progress(3, 2, 10)
