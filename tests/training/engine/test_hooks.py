"""Which hooks of a fit are overridden, and that one that is set in the middle of it is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import LearningRateMonitor

from jupyter_train.training.engine.hooks import BATCH_HOOKS, Hooks, is_overridden
from tests.models import DigitsData, LitDigits
from tests.training.trainers import At, fit


def looked_up(work: Callable[[Hooks, pl.Trainer], None], module: Any = None, data: Any = None, *more: Any) -> None:
    """Calls `work` with the hooks of a fit of one batch, after that batch."""
    ended = At("on_train_epoch_end", lambda trainer: work(Hooks(trainer), trainer))
    fit(module, data, ended, *more, limit_train_batches=1, limit_val_batches=0)


def overridden(hooks: Hooks) -> set[str]:
    """The batch hooks that something overrides, and which of the other answers are true."""
    flags = {name for name, value in vars(hooks).items() if value is True}
    return {name for name in BATCH_HOOKS if getattr(hooks, name) is not None} | flags


class OwnStep(LitDigits):
    def optimizer_step(self, *arguments, **named):
        super().optimizer_step(*arguments, **named)

    def on_after_backward(self): ...


class OwnBackward(LitDigits):
    def backward(self, loss): ...

    def optimizer_zero_grad(self, *_): ...

    def configure_gradient_clipping(self, *_, **__): ...


class Moves(LitDigits):
    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch


class MovingData(DigitsData):
    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch


class Watches(pl.Callback):
    def on_before_zero_grad(self, *_): ...

    def on_validation_batch_end(self, *_): ...


@pytest.mark.parametrize(
    ("module", "data", "callbacks", "expected"),
    [
        (LitDigits, None, [], set()),
        (OwnStep, None, [], {"has_own_step", "on_after_backward"}),
        (
            OwnBackward,
            None,
            [],
            {"has_own_backward", "has_own_zero_grad", "has_own_clipping", "exposes_loss", "runs_after_closure"},
        ),
        (Moves, None, [], {"has_own_transfer"}),
        (LitDigits, MovingData, [], {"has_own_transfer"}),
        (LitDigits, None, [Watches], {"on_before_zero_grad", "on_validation_batch_end", "exposes_loss"}),
    ],
)
def test_what_is_overridden(module: type, data: Any, callbacks: list[Any], expected: set[str]) -> None:
    seen: list[set[str]] = []
    made = [kind() for kind in callbacks]
    looked_up(lambda hooks, _trainer: seen.append(overridden(hooks)), module(), data and data(64), *made)
    assert seen == [expected]


def test_callbacks_are_called_in_order_and_then_the_module_whose_result_is_returned() -> None:
    calls: list[Any] = []

    class Starts(LitDigits):
        def on_train_batch_start(self, batch, batch_idx):
            calls.append(("module", batch, batch_idx, self._current_fx_name))
            return -1 if batch == "b" else None

    def note(name: str) -> pl.Callback:
        callback = pl.Callback()
        callback.on_train_batch_start = lambda _trainer, _module, *given: calls.append((name, *given))
        return callback

    def work(hooks: Hooks, trainer: pl.Trainer) -> None:
        calls.clear()
        assert hooks.on_train_batch_start is not None
        before = trainer.lightning_module._current_fx_name
        assert hooks.on_train_batch_start("b", 3) == -1
        assert trainer.lightning_module._current_fx_name == before

    looked_up(work, Starts(), None, note("one"), note("two"))
    assert calls == [("one", "b", 3), ("two", "b", 3), ("module", "b", 3, "on_train_batch_start")]


def _on_instance(trainer: pl.Trainer) -> None:
    trainer.lightning_module.on_after_backward = lambda: None  # type: ignore[method-assign]


def _on_callback(trainer: pl.Trainer) -> None:
    trainer.callbacks[-1].on_after_backward = lambda *_: None


def _on_class(trainer: pl.Trainer) -> None:
    type(trainer.lightning_module).on_after_backward = lambda self: None


def _another_callback(trainer: pl.Trainer) -> None:
    callback = pl.Callback()
    callback.on_after_backward = lambda *_: None  # type: ignore[method-assign]
    trainer.callbacks.append(callback)


@pytest.mark.parametrize("change", [_on_instance, _on_callback, _on_class, _another_callback])
@pytest.mark.parametrize("callback", [Watches, LearningRateMonitor])
def test_a_hook_that_is_set_later_is_seen(change: Callable[[pl.Trainer], None], callback: type) -> None:
    class Module(LitDigits):
        """A class of its own, which a case changes."""

    seen: list[bool] = []

    def work(hooks: Hooks, trainer: pl.Trainer) -> None:
        hooks.refresh_if_changed()
        seen.append(hooks.on_after_backward is not None)
        change(trainer)
        hooks.refresh_if_changed()
        seen.append(hooks.on_after_backward is not None)

    watcher = callback()
    watcher.on_train_start = lambda *_: None  # that of LearningRateMonitor needs a logger
    looked_up(work, Module(), None, watcher)
    assert seen == [False, True]


def test_a_hook_that_takes_the_place_of_none_is_seen() -> None:
    seen: list[bool] = []

    def work(hooks: Hooks, trainer: pl.Trainer) -> None:
        _on_instance(trainer)
        hooks.refresh_if_changed()
        seen.append(hooks.on_after_backward is not None)

    module = LitDigits()
    module.on_after_backward = None  # type: ignore[method-assign,assignment]
    looked_up(work, module)
    assert seen == [True]


def test_lightnings_empty_hook_overrides_nothing_and_none_does_not_either() -> None:
    module = LitDigits()
    assert not is_overridden(module, "on_after_backward", pl.LightningModule)
    assert is_overridden(OwnStep(), "on_after_backward", pl.LightningModule)
    module.on_after_backward = None  # type: ignore[method-assign,assignment]
    assert not is_overridden(module, "on_after_backward", pl.LightningModule)
