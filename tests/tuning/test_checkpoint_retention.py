"""Which trials keep their weights; those of the others are deleted, and no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_train.config import TuneConfig
from jupyter_train.events import CheckpointKind, TrialStatus
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.reader import Checkpoint
from jupyter_train.tuning.checkpoint_retention import KEPT, CheckpointRetention
from jupyter_train.tuning.study_storage import StudyStorage
from jupyter_train.tuning.trial_records import TrialResult

PATH = "checkpoints/best-step1.ckpt"


class Searching:
    """A study whose trials end with given values."""

    def __init__(self, store: Any, path: Path, **objectives: Any) -> None:
        self.store = store
        self.storage = StudyStorage(
            path, TuneConfig.of({"trials": 30, "epochs": 1, "seed": 1, **objectives}, {"x": "0.0..1.0"})
        )
        self.retention = CheckpointRetention(store, self.storage)
        self.runs: list[RunFolder] = []

    def end_trial(self, *values: float) -> None:
        record = self.store.create_run("digits", kind="trial")
        folder = RunFolder(record.folder)
        (folder.path / PATH).write_bytes(b"weights")
        appender = MetricAppender(folder.metrics)
        appender.add_checkpoint(Checkpoint(PATH, CheckpointKind.BEST, 1, 0, values[0], 7, "ab"))
        appender.commit()
        appender.close()
        request = self.storage.ask()
        self.storage.tell(request.number, TrialResult(TrialStatus.COMPLETE, list(values), record.key))
        self.retention.add(record.key)
        self.runs.append(folder)

    @property
    def kept(self) -> list[int]:
        """Trials whose checkpoint is recorded, which is also on disk."""
        found = []
        for number, folder in enumerate(self.runs):
            with MetricReader(folder.metrics) as reader:
                recorded = [checkpoint.path for checkpoint in reader.checkpoints()]
            assert [PATH] * (folder.path / PATH).exists() == recorded
            found += [number] * bool(recorded)
        return found


@pytest.mark.parametrize(("objective", "values"), [("maximize", [1, 2, 3, 4, 0]), ("minimize", [4, 3, 2, 1, 5])])
def test_the_best_three_keep_theirs(store, tmp_path: Path, objective: str, values: list[float]) -> None:
    searching = Searching(store, tmp_path / "journal", **{objective: "m"})
    for value in values[:KEPT]:
        assert searching.retention.would_keep(value)
        searching.end_trial(value)
    assert searching.kept == [0, 1, 2]
    assert searching.retention.would_keep(values[3])
    assert not searching.retention.would_keep(values[4])
    searching.end_trial(values[3])
    assert searching.kept == [1, 2, 3]
    searching.end_trial(values[4])
    assert searching.kept == [1, 2, 3]


def test_of_several_objectives_those_on_the_front_keep_theirs(store, tmp_path: Path) -> None:
    searching = Searching(store, tmp_path / "journal", maximize="acc", minimize="size")
    for values in ([0.5, 5.0], [0.6, 6.0], [0.7, 7.0], [0.8, 8.0]):
        assert searching.retention.would_keep(values[0])
        searching.end_trial(*values)
    assert searching.kept == [0, 1, 2, 3]
    searching.end_trial(0.9, 6.0)
    assert searching.kept == [0, 4]


def test_a_run_that_is_gone_keeps_nothing_from_being_deleted(store, tmp_path: Path) -> None:
    searching = Searching(store, tmp_path / "journal", maximize="m")
    for value in (1, 2, 3):
        searching.end_trial(value)
    store.delete_run(store.in_folder(searching.runs[0].path).key)
    searching.end_trial(4)
    assert [number for number in (1, 2, 3) if (searching.runs[number].path / PATH).exists()] == [1, 2, 3]
