"""What a fit is given besides model and data: whether it is a trial, and from which checkpoint it begins."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train.config import TrainConfig
from jupyter_train.run import RunRole
from jupyter_train.store import RunFolder, RunWriter
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.command_queue import CommandQueue
from jupyter_train.training.checkpoints.resume import StartPoint
from jupyter_train.training.fit_context import FitContext
from jupyter_train.training.interrupt import InterruptWatch
from jupyter_train.training.run_observer import RunObserver


@pytest.fixture
def context(store):
    record = store.create_run("digits")
    folder = RunFolder(record.folder)

    def made(**more: Any) -> FitContext:
        return FitContext(
            config=TrainConfig.of({"epochs": 1}),
            record=record,
            folder=folder,
            writer=RunWriter(store, record.key, folder),
            queue=CommandQueue(),
            channel=CommandChannel(store, record.key, folder),
            interrupt=InterruptWatch(),
            **more,
        )

    return made


@pytest.mark.parametrize(("role", "expected"), [(RunRole.TRAIN, False), (RunRole.FOLD, False), (RunRole.TRIAL, True)])
def test_a_trial_is_one_of_many(context, role: RunRole, expected: bool) -> None:
    assert context(role=role).is_trial is expected


def test_a_fit_begins_from_a_checkpoint_or_at_step_0(context) -> None:
    start = StartPoint(step=7, path="/a/last.ckpt")
    assert context(start=start).checkpoint is start
    assert context(start=StartPoint()).checkpoint is None
    fresh = context()
    assert (fresh.start, fresh.checkpoint, fresh.world_size, fresh.is_owner) == (None, None, 1, True)
    assert type(fresh.observer) is RunObserver
