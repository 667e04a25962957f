"""The last moment of a fit at which nothing was half done, and whether a checkpoint may still be taken of it."""

from __future__ import annotations

import random
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from jupyter_train.training.checkpoints.format import RUN_STATE_KEY
from jupyter_train.training.checkpoints.last_safe_point import LastSafePoint
from jupyter_train.training.lightning.safe_points import SafePoint
from tests.models import DigitsData, LitDigits
from tests.training.trainers import At, fit

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def during(work: Any, *, hook: str = "on_train_batch_end", step: int = 1, module: Any = None, data: Any = None) -> Any:
    """What `work` gives at a hook of a fit of two steps."""
    found: list[Any] = []
    fit(module, data, At(hook, lambda trainer: found.append(work(trainer)), step=step))
    return found[0]


def test_before_the_first_one_nothing_is_known() -> None:
    point = LastSafePoint()
    assert (point.is_known, point.random()["is_exact"]) == (False, False)


def test_it_holds_until_the_next_batch_begins() -> None:
    point = LastSafePoint()

    def note(trainer: pl.Trainer) -> tuple[bool, bool]:
        point.note(trainer, SafePoint.BETWEEN_BATCHES)
        return point.has_begun_a_batch(trainer), point.holds(trainer)

    def look(trainer: pl.Trainer) -> tuple[bool, bool]:
        return point.has_begun_a_batch(trainer), point.holds(trainer)

    found: list[Any] = []
    callbacks = [
        At("on_train_batch_end", lambda trainer: found.append(note(trainer)), step=1),
        At("on_train_batch_start", lambda trainer: found.append(look(trainer)), step=1),
    ]
    fit(None, None, *callbacks)
    assert found == [(False, True), (True, False)]
    assert (point.is_known, point.batches, point.moment) == (True, 1, SafePoint.BETWEEN_BATCHES)


class Transfers(LitDigits):
    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch


class StatefulLoader(torch.utils.data.DataLoader[Any]):
    def state_dict(self) -> dict[str, Any]:
        return {}


class Stateful(DigitsData):
    def train_dataloader(self) -> Any:
        return StatefulLoader(self.dataset, batch_size=32)


@pytest.mark.parametrize(("module", "data"), [(Transfers(), None), (None, Stateful(64))])
def test_where_reading_a_batch_may_change_something_it_does_not_hold(module: Any, data: Any) -> None:
    def held(trainer: pl.Trainer) -> bool:
        point = LastSafePoint()
        point.note(trainer, SafePoint.BETWEEN_BATCHES)
        return point.holds(trainer)

    assert not during(held, module=module, data=data)


def test_its_random_state_is_of_then_as_far_as_that_is_known() -> None:
    def drawn(trainer: pl.Trainer) -> list[bool]:
        point, found = LastSafePoint(), []
        point.note(trainer, SafePoint.BETWEEN_BATCHES)
        before = torch.get_rng_state()
        torch.rand(1)
        found.append(point.random()["is_exact"] and torch.equal(point.random()["torch"], before))
        point.note(trainer, SafePoint.BETWEEN_BATCHES)  # the slower generators are captured now and then
        found.append(point.random()["is_exact"])
        random.random()
        found.append(point.random()["is_exact"])
        found.append(point.random_at(SafePoint.BETWEEN_BATCHES)["is_exact"])
        return found

    assert during(drawn) == [True, True, False, True]


def test_the_content_of_a_checkpoint_has_the_fits_state_besides_lightnings() -> None:
    def content(trainer: pl.Trainer) -> dict[str, Any]:
        point = LastSafePoint()
        point.note(trainer, SafePoint.BETWEEN_BATCHES)
        return point.content(trainer, SafePoint.BETWEEN_BATCHES, lambda: {"more": 7}, {"torch": 3})

    found = during(content)
    run_state = found[RUN_STATE_KEY]
    assert (run_state["more"], run_state["random"], run_state["moment"]) == (7, {"torch": 3}, "between batches")
    progress = found["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    assert progress["current"] == dict.fromkeys(("ready", "started", "processed", "completed"), 0)
    assert found["global_step"] == 1


def test_in_a_validation_it_is_of_its_beginning() -> None:
    def look(trainer: pl.Trainer) -> list[bool]:
        point, found = LastSafePoint(), []
        point.note(trainer, SafePoint.BEFORE_VALIDATION)
        point.begin_validation(trainer, None, None)  # type: ignore[arg-type]
        found.append(point.holds(trainer))
        point.begin_validation(trainer, None, dict)  # type: ignore[arg-type]
        found.append(point.holds(trainer))
        next(trainer.lightning_module.parameters()).data.add_(1)
        found.append(point.holds(trainer))
        point.accept(trainer)
        found.append(point.holds(trainer))
        return found

    assert during(look, hook="on_validation_start", step=2) == [False, True, False, True]
