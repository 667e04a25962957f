"""The best epoch's snapshot, held in memory until it is written."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_train.events import CheckpointKind
from jupyter_train.store.metrics import reader
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.training.checkpoints.async_writer import AsyncWriter, Snapshot
from jupyter_train.training.checkpoints.on_disk import WrittenCheckpoints
from jupyter_train.training.checkpoints.ranking import Ranking


class BestCheckpoint:
    """Compares values, holds the newest best snapshot and writes it.

    Args:
        ranking: The best checkpoints so far.
        async_writer: Writes snapshots.
        written: Notified of what is written.

    Attributes:
        improved_to: A new best value, until a snapshot of its weights is taken.
        held: The value and snapshot that wait to be written.
    """

    def __init__(self, ranking: Ranking, async_writer: AsyncWriter, written: WrittenCheckpoints) -> None:
        self.improved_to: float | None = None
        self.held: tuple[float, Snapshot] | None = None
        self.ranking = ranking
        self._async_writer = async_writer
        self._written = written

    @property
    def has_any(self) -> bool:
        """Whether there are best weights: on disk, being written, or about to be copied."""
        return self.ranking.has_any or self.improved_to is not None

    def compare(self, value: float) -> None:
        """Sets `improved_to` where a value is among the best."""
        if self.ranking.is_among_the_best(value):
            self.improved_to = value

    def expect(self, value: float) -> None:
        """Drops the held snapshot for a better one, which is about to be taken; writes it where several are kept."""
        self.ranking.expect(value)
        if self.ranking.max_kept > 1:
            self.write()
        self.held = None

    def write(self, must_wait: bool = False) -> None:
        """Writes or queues the held snapshot.

        Args:
            must_wait: Return once it is on disk.
        """
        if self.held is None:
            return
        (value, snapshot), self.held = self.held, None
        path = snapshot.row.path

        def replaced() -> list[str]:
            self._written.arrived(snapshot.row.step)
            return self.ranking.arrived(value, path)

        snapshot.replaced = replaced
        snapshot.failed = lambda: self.ranking.failed(value)
        self._async_writer.save(path, snapshot, must_wait)

    def restart(self) -> None:
        """Forgets the best values: the monitored metric has changed."""
        self._async_writer.wait()  # queued snapshots were the best by the earlier metric
        self.held = self.improved_to = None
        self.ranking.restart()

    def load(self, folder: RunFolder, is_comparable: Callable[[int], bool]) -> None:
        """Reads the best checkpoints of a resumed run from its store.

        Args:
            folder: The run's folder.
            is_comparable: Whether a value of a step is one of the current metric.
        """
        with reader.MetricReader(folder.metrics) as metrics:
            best = [row for row in metrics.checkpoints() if row.kind == CheckpointKind.BEST and row.value is not None]
        comparable = [(row.value, row.path) for row in best if is_comparable(row.step) and row.value is not None]
        self.ranking.load(comparable, [row.path for row in best if not is_comparable(row.step)])
