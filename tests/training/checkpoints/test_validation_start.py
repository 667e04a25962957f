"""Whether a checkpoint taken inside a validation would be one of its start: whatever a hook changes is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from jupyter_train.training.checkpoints.validation_start import ValidationStart
from jupyter_train.training.lightning.safe_points import SafePoint
from tests.models import LitDigits
from tests.training.trainers import At, fit

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Counting(pl.Callback):
    """Counts validation batches, and keeps the count in checkpoints."""

    def __init__(self) -> None:
        self.count = 0

    def on_validation_batch_start(self, *_: Any) -> None:
        """Has a validation hook."""

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}


class Scheduled(LitDigits):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), 0.1)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 5)]


def seen(
    change: Callable[[pl.Trainer, Counting], Any], module: pl.LightningModule | None = None
) -> tuple[ValidationStart, list[bool]]:
    """What is found unchanged: nothing done yet, after a change, and after that was accepted."""
    found: list[bool] = []
    starts: list[ValidationStart] = []
    counting = Counting()

    def look(trainer: pl.Trainer) -> None:
        if trainer.sanity_checking:
            return
        start = ValidationStart(trainer, lambda: {"more": 7})
        starts.append(start)
        found.append(start.is_unchanged(trainer))
        change(trainer, counting)
        found.append(start.is_unchanged(trainer))
        start.accept(trainer)
        found.append(start.is_unchanged(trainer))

    fit(module or Scheduled(), None, counting, At("on_validation_start", look))
    return starts[0], found


def _weight(trainer: pl.Trainer) -> torch.Tensor:
    return next(trainer.lightning_module.parameters()).data


def _moments(trainer: pl.Trainer) -> dict[str, torch.Tensor]:
    return next(iter(trainer.optimizers[0].state.values()))


CHANGES: dict[str, Callable[[pl.Trainer, Counting], Any]] = {
    "a weight": lambda trainer, _c: _weight(trainer).add_(1e-6),
    "a weight, elsewhere in memory": lambda trainer, _c: setattr(
        next(trainer.lightning_module.parameters()), "data", _weight(trainer).clone()
    ),
    "a learning rate": lambda trainer, _c: trainer.optimizers[0].param_groups[0].update(lr=0.5),
    "a scheduler": lambda trainer, _c: setattr(trainer.lr_scheduler_configs[0].scheduler, "last_epoch", 9),
    "a moment of the optimizer": lambda trainer, _c: next(iter(trainer.optimizers[0].state.values()))["exp_avg"].add_(
        1
    ),
    "a callback's state": lambda _trainer, counting: setattr(counting, "count", 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_noticed_and_may_be_accepted(name: str) -> None:
    assert seen(CHANGES[name])[1] == [True, False, True]


def test_what_a_validation_changes_by_itself_is_no_change() -> None:
    def validates(trainer: pl.Trainer, _counting: Counting) -> None:
        trainer.fit_loop.epoch_loop.val_loop.batch_progress.increment_ready()
        trainer.callback_metrics["val_loss"] = torch.tensor(1.0)
        torch.rand(3)

    start, found = seen(validates)
    assert found == [True, True, True]
    assert start.run_state["moment"] == SafePoint.BEFORE_VALIDATION
    assert start.run_state["more"] == 7


def test_it_is_of_the_epochs_that_were_asked_for_when_it_was_accepted() -> None:
    start, _ = seen(
        lambda trainer, _c: setattr(trainer.fit_loop, "max_epochs", 9) or setattr(trainer, "should_stop", True)
    )
    assert start.run_state["max_epochs"] == 9


def test_where_a_hook_of_the_users_writes_checkpoints_nothing_is_known() -> None:
    class Saving(Scheduled):
        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            checkpoint["mine"] = 1

    assert seen(lambda *_: None, Saving())[1] == [False, False, False]
