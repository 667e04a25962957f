"""Which trials of a study keep their weights: the best three, or those on the Pareto front."""

from __future__ import annotations

import contextlib

from jupyter_train.exceptions import StoreError
from jupyter_train.store import MetricReader, RunFolder, Store
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.tuning.study_storage import StudyStorage

#: A study keeps the checkpoints of so many trials.
KEPT = 3


class CheckpointRetention:
    """The runs that have checkpoints, and those of them that keep them.

    Args:
        store: Where runs are recorded.
        storage: The trials.
    """

    def __init__(self, store: Store, storage: StudyStorage) -> None:
        self._store = store
        self._storage = storage
        self._has_several = len(storage.study.directions) > 1
        self._runs = self._best()

    def would_keep(self, value: float) -> bool:
        """Whether a trial that ends with this value of its first objective writes its best weights."""
        return self._has_several or self._storage.is_among(KEPT, [value])

    def add(self, run: str) -> None:
        """A trial is complete: checkpoints of those that are not among the best any more are deleted."""
        self._runs.add(run)
        for dropped in self._runs - self._best():
            self._runs.remove(dropped)
            with contextlib.suppress(StoreError, OSError):
                _forget_checkpoints(RunFolder(self._store.get(dropped).folder))

    def _best(self) -> set[str]:
        trials = self._storage.front() if self._has_several else self._storage.ranked()[:KEPT]
        return {trial.user_attrs["run"] for trial in trials if "run" in trial.user_attrs}


def _forget_checkpoints(folder: RunFolder) -> None:
    """Deletes the checkpoints of a run that has ended.

    Raises:
        OSError: The folder cannot be written.
    """
    with MetricReader(folder.metrics) as reader:
        paths = [checkpoint.path for checkpoint in reader.checkpoints()]
    if not paths:
        return
    appender = MetricAppender(folder.metrics)
    for path in paths:
        appender.remove_checkpoint(path)
    appender.commit()
    appender.close()
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            folder.inside(path).unlink()
