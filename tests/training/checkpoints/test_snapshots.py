"""A snapshot of a fit: a copy where memory allows, at its place in the run's history."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from jupyter_train.events import CheckpointKind
from jupyter_train.training.checkpoints import snapshots
from jupyter_train.training.checkpoints.async_writer import AsyncWriter, Snapshot
from jupyter_train.training.checkpoints.best import BestCheckpoint
from jupyter_train.training.checkpoints.format import RUN_STATE_KEY
from jupyter_train.training.checkpoints.last_safe_point import LastSafePoint
from jupyter_train.training.checkpoints.on_disk import WrittenCheckpoints
from jupyter_train.training.checkpoints.ranking import Ranking
from jupyter_train.training.checkpoints.snapshots import SnapshotTaker
from jupyter_train.training.lightning.safe_points import SafePoint
from tests.models import LitDigits
from tests.training.trainers import At, fit

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Taking:
    """Takes snapshots in a fit; its writer's thread would write them."""

    def __init__(self, recording) -> None:
        self.files = AsyncWriter(recording.folder, recording.writer, is_async=True)
        written = WrittenCheckpoints(recording.folder)
        self.point = LastSafePoint()
        best = BestCheckpoint(Ranking(1, lambda a, b: a > b), self.files, written)
        self.taker = SnapshotTaker(recording.writer, self.files, written, best, self.point)
        self.taker.extra = lambda: {"more": 7}

    def take(self, trainer: pl.Trainer, **more: Any) -> Snapshot:
        self.point.note(trainer, SafePoint.BETWEEN_BATCHES)
        return self.taker.take(trainer, CheckpointKind.LAST, SafePoint.BETWEEN_BATCHES, **more)


def taken(recording, **more: Any) -> tuple[Snapshot, dict[str, Any], LitDigits, Taking]:
    """A snapshot before the second step, the weights of that moment, and the model after the fit."""
    taking, model = Taking(recording), LitDigits()
    found: list[Any] = []

    def look(trainer: pl.Trainer) -> None:
        found.append(taking.take(trainer, **more))
        found.append({name: tensor.clone() for name, tensor in model.state_dict().items()})

    fit(model, None, At("on_train_batch_end", look, step=1))
    taking.files.close()
    return found[0], found[1], model, taking


def test_it_is_a_copy_with_its_row_and_its_place(recording) -> None:
    snapshot, then, model, _ = taken(recording, value=0.5)
    state = snapshot.content["state_dict"]
    assert all(torch.equal(state[name], then[name]) for name in then)
    assert not torch.equal(state["net.0.weight"], model.net[0].weight)
    row = snapshot.row
    assert (row.path, row.kind, row.step, row.epoch, row.value) == ("checkpoints/last-step1.ckpt", "last", 1, 0, 0.5)
    assert snapshot.content[RUN_STATE_KEY]["more"] == 7
    assert recording.writer.flush()
    assert snapshot.at.position is not None


def test_one_that_is_written_at_once_shares_the_models_memory(recording) -> None:
    snapshot, _, model, _ = taken(recording, is_shared=True)
    assert snapshot.content["state_dict"]["net.0.weight"].data_ptr() == model.net[0].weight.data_ptr()


def test_where_memory_is_short_training_waits_for_it_to_be_written(recording, monkeypatch) -> None:
    monkeypatch.setattr(snapshots.psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    snapshot, _, model, taking = taken(recording)
    assert not taking.files.is_async
    assert snapshot.content["state_dict"]["net.0.weight"].data_ptr() == model.net[0].weight.data_ptr()
    assert recording.events == ["memory is short: training waits while a checkpoint is written"]


def test_a_random_state_that_is_given_is_the_one_it_has(recording) -> None:
    snapshot, _, _, _ = taken(recording, random={"torch": torch.ones(1)})
    assert snapshot.content[RUN_STATE_KEY]["random"]["torch"].tolist() == [1.0]
