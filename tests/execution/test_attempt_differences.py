"""What another attempt has that the one before had not: which values need not come again."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train.config import TrainConfig
from jupyter_train.execution.attempt_differences import callback_classes, explain_absences
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.replay_check import ReplayCheck


class Norms:
    """A callback, as far as its class is recorded."""


class Images:
    """Another."""


@pytest.mark.parametrize(
    ("recorded", "classes"),
    [
        ({}, set()),
        ({"callback": None, "callbacks": []}, set()),
        ({"callback": ["<my.Norms object at 0x7f>", "Stop(patience=3)"]}, {"my.Norms", "Stop"}),
        ({"callbacks": "<my.Norms object at 0x7f>"}, {"my.Norms"}),
        ({"callback": ["?"]}, set()),
    ],
)
def test_callbacks_are_told_by_their_classes(recorded: dict[str, Any], classes: set[str]) -> None:
    assert callback_classes(recorded) == classes


def record(status: RunStatus, **config: Any) -> RunRecord:
    summary = {"callbacks": config.pop("ever", [])}
    return RunRecord(key="k", name="digits", code="k3f9", status=status, config=config, summary=summary)


def config(*callbacks: Any) -> TrainConfig:
    return TrainConfig.of({"epochs": 1, "callback": list(callbacks)})


def test_values_of_a_callback_that_is_gone_need_not_come_again() -> None:
    check = ReplayCheck(2, 5, {"loss": [Point(9, 0.0, 1.0, 1e9)]})
    name = f"{__name__}.Norms"
    before = record(RunStatus.LOST, callback=[repr(Norms())], ever=["my.Old"])
    known = explain_absences(check, before, config(Images()))
    assert known == sorted([name, f"{__name__}.Images", "my.Old"])
    assert check.changes.removed_callbacks == {name, "my.Old"}
    assert check.changes.ended_at is None


@pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.STOPPED])
def test_a_run_that_had_ended_by_itself_may_end_elsewhere_now(status: RunStatus) -> None:
    check = ReplayCheck(2, 5, {"loss": [Point(9, 0.0, 1.0, 1e9)]})
    assert explain_absences(check, record(status), config()) == []
    assert (check.changes.ended_at, check.changes.removed_callbacks) == (9, frozenset())
