"""Hooks a callback does not use are skipped; those it uses are called."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl

from jupyter_train.training.callbacks.recorder import Recorder
from jupyter_train.training.checkpoints.callback import RunCheckpoint
from jupyter_train.training.lightning.unused_hooks import drop_unused_hooks
from tests.models import DigitsData, LitDigits


def test_a_lean_callback_is_called_where_it_has_something_to_do() -> None:
    called: list[str] = []

    class Base(pl.Callback):
        def on_train_batch_end(self, *_):
            called.append("inherited")

    @drop_unused_hooks
    class Mine(Base):
        def on_before_backward(self, *_):
            called.append("own")

    trainer = pl.Trainer(
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        devices=1,
        callbacks=[Mine()],
    )
    trainer.fit(LitDigits(), DigitsData())
    assert called == ["own", "inherited"]
    assert Mine.on_after_backward is None
    assert pl.Callback.on_after_backward is not None


@pytest.mark.parametrize("callback", [Recorder, RunCheckpoint])
def test_our_own_callbacks_cost_nothing_inside_the_step(callback: type[pl.Callback]) -> None:
    assert [callback.on_before_zero_grad, callback.on_before_backward, callback.on_after_backward] == [None] * 3
