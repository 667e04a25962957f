"""Where another attempt starts: what its checkpoint says of that moment."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train.training.checkpoints.format import RUN_STATE_KEY
from jupyter_train.training.checkpoints.resume import StartPoint
from jupyter_train.training.lightning.safe_points import SafePoint


def start(moment: SafePoint, completed: int = 3, **random: Any) -> StartPoint:
    progress = {"current": {"ready": completed, "completed": completed}}
    return StartPoint(
        step=7,
        path="/a/last.ckpt",
        content={
            "loops": {"fit_loop": {"epoch_loop.batch_progress": progress}},
            RUN_STATE_KEY: {"moment": moment.value, "random": random},
        },
    )


@pytest.mark.parametrize(
    ("moment", "batches"),
    [(SafePoint.BETWEEN_BATCHES, 3), (SafePoint.BEFORE_VALIDATION, 3), (SafePoint.BETWEEN_EPOCHS, 0)],
)
def test_batches_of_the_epoch_that_were_done_are_skipped(moment: SafePoint, batches: int) -> None:
    point = start(moment)
    assert (point.moment, point.batches) == (moment, batches)


def test_it_is_exact_where_all_random_state_is_known_to_be_of_then() -> None:
    assert start(SafePoint.BETWEEN_BATCHES, is_exact=True).is_exact
    assert not start(SafePoint.BETWEEN_BATCHES, is_exact=False).is_exact
    assert not start(SafePoint.BETWEEN_BATCHES).is_exact


def test_what_it_says_of_the_run_cannot_be_changed_from_outside() -> None:
    point = start(SafePoint.BETWEEN_BATCHES)
    point.run_state["moment"] = "changed"
    assert point.moment is SafePoint.BETWEEN_BATCHES
