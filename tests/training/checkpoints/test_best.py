"""The best epoch's snapshot: compared, held in memory, written, and replaced by a better one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from jupyter_train.events import CheckpointKind
from jupyter_train.store.metrics.reader import Checkpoint
from jupyter_train.training.checkpoints.async_writer import AsyncWriter, Snapshot
from jupyter_train.training.checkpoints.best import BestCheckpoint
from jupyter_train.training.checkpoints.on_disk import WrittenCheckpoints
from jupyter_train.training.checkpoints.ranking import Ranking


class Keeping:
    """Keeps the best of a metric that is maximized."""

    def __init__(self, recording, most: int = 1) -> None:
        self.recording = recording
        self.files = AsyncWriter(recording.folder, recording.writer, is_async=False)
        self.written = WrittenCheckpoints(recording.folder)
        self.best = BestCheckpoint(Ranking(most, lambda a, b: a > b), self.files, self.written)

    def hold(self, value: float, step: int) -> None:
        self.best.expect(value)
        path = f"checkpoints/best-step{step}.ckpt"
        row = Checkpoint(path, CheckpointKind.BEST, step, 0, value, 0, "")
        snapshot = Snapshot({"weights": torch.full((3,), value)}, row, self.recording.writer.mark())
        self.best.held = value, snapshot

    @property
    def kept(self) -> list[float | None]:
        return [found.value for found in self.recording.checkpoints]


@pytest.fixture
def keeping(recording) -> Iterator[Keeping]:
    made = Keeping(recording)
    yield made
    made.files.close()


def test_a_value_counts_where_it_is_better_than_what_is_kept(keeping: Keeping) -> None:
    best = keeping.best
    best.compare(float("nan"))
    assert (best.improved_to, best.has_any) == (None, False)
    best.compare(0.5)
    assert (best.improved_to, best.has_any) == (0.5, True)
    keeping.hold(0.5, 1)
    best.improved_to = None
    best.compare(0.4)
    assert best.improved_to is None
    best.compare(0.6)
    assert best.improved_to == 0.6


def test_a_held_snapshot_is_dropped_for_a_better_one_and_written_in_the_end(keeping: Keeping) -> None:
    keeping.hold(0.5, 1)
    keeping.hold(0.6, 2)
    assert keeping.kept == []
    keeping.best.write()
    keeping.best.write()
    assert keeping.kept == [0.6]
    assert keeping.best.held is None
    assert torch.load(keeping.recording.folder.checkpoints / "best-step2.ckpt")["weights"].tolist() == pytest.approx(
        [0.6] * 3
    )
    assert keeping.written.describe_repeated(3, "x").endswith("continues from step 2 and repeats 1 step")


def test_a_written_one_is_replaced_by_a_better_one(keeping: Keeping) -> None:
    for value, step in ((0.5, 1), (0.6, 2)):
        keeping.hold(value, step)
        keeping.best.write()
    assert keeping.kept == [0.6]
    assert [path.name for path in keeping.recording.folder.checkpoints.iterdir()] == ["best-step2.ckpt"]


def test_where_several_are_kept_each_is_written(recording) -> None:
    keeping = Keeping(recording, most=2)
    for value, step in ((0.5, 1), (0.7, 2), (0.6, 3)):
        keeping.hold(value, step)
    keeping.best.write()
    assert sorted(value for value in keeping.kept if value is not None) == [0.6, 0.7]
    keeping.files.close()


def test_one_that_could_not_be_written_counts_no_more(keeping: Keeping) -> None:
    keeping.hold(0.5, 1)
    (keeping.recording.folder.checkpoints / "best-step1.ckpt").mkdir()
    keeping.best.write()
    assert not keeping.best.has_any
    keeping.best.compare(0.4)
    assert keeping.best.improved_to == 0.4


def test_another_metric_begins_from_nothing(keeping: Keeping) -> None:
    keeping.hold(0.5, 1)
    keeping.best.write()
    keeping.hold(0.6, 2)
    keeping.best.restart()
    assert (keeping.best.held, keeping.best.has_any) == (None, False)
    keeping.hold(0.1, 3)
    keeping.best.write()
    assert keeping.kept == [0.1]


def test_a_resumed_run_knows_its_best_as_far_as_it_is_comparable(keeping: Keeping) -> None:
    keeping.hold(0.5, 1)
    keeping.best.write()
    assert keeping.kept == [0.5]
    again = Keeping(keeping.recording)
    again.best.load(keeping.recording.folder, lambda step: step >= 1)
    again.best.compare(0.4)
    assert again.best.improved_to is None
    other = Keeping(keeping.recording)
    other.best.load(keeping.recording.folder, lambda step: step >= 2)
    other.best.compare(0.4)
    assert other.best.improved_to == 0.4
    other.hold(0.4, 4)
    other.best.write()
    assert keeping.kept == [0.4]
    again.files.close()
    other.files.close()
