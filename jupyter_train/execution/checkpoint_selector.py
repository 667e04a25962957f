"""Selects the checkpoint that an attempt, or a fork, starts from: the newest valid one, or the requested one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jupyter_train.events import CheckpointKind
from jupyter_train.exceptions import RunStateError, StoreError
from jupyter_train.run import RunRecord
from jupyter_train.store import MetricReader, RunFolder, Store, trust
from jupyter_train.store.metrics.reader import Checkpoint, HistoryPosition
from jupyter_train.store.redaction import one_line


class CheckpointSelector:
    """Selects the checkpoint to start from: the newest valid one, or the requested one.

    Args:
        store: Where the run is recorded; it vouches for the checkpoint.
        wanted: `best`, `last`, a step, or None for the newest.
        check: Raises where the model cannot start from what the checkpoint holds.
    """

    def __init__(
        self, store: Store, wanted: str | None, check: Callable[[Mapping[str, Any]], None] = lambda _content: None
    ) -> None:
        self._store = store
        self._check = check
        self.remarks: list[str] = []
        self.content: dict[str, Any] = {}
        self.checkpoint: Checkpoint | None = None
        self._wanted = wanted

    def __call__(self, record: RunRecord) -> Checkpoint | None:
        """The checkpoint, read and verified; None where the run has none at all.

        Raises:
            RunStateError: There is none as requested.
            StoreError: The requested one is damaged, or the run's folder is not the one it was recorded in.
        """
        from jupyter_train.training.checkpoints.format import RUN_STATE_KEY, read

        trust.verify(self._store, record)
        with MetricReader(RunFolder(record.folder).metrics) as reader:
            known = reader.checkpoints()
        for checkpoint in self._candidates(record, known):
            try:
                content = read(trust.checkpoint(self._store, record, checkpoint), checkpoint.sha256)
                if RUN_STATE_KEY not in content or "moment" not in content[RUN_STATE_KEY]:
                    raise StoreError(f"`{checkpoint.path}` holds no training state")
            except Exception as err:
                if self._wanted is not None and self._wanted.isdigit():
                    raise
                self.remarks.append(f"checkpoint of step {checkpoint.step:,} refused: {one_line(str(err), 200)}")
                continue
            self._check(content)
            self.content, self.checkpoint = content, checkpoint
            return checkpoint
        return None

    def _candidates(self, record: RunRecord, known: list[Checkpoint]) -> list[Checkpoint]:
        newest = sorted(known, key=_recency, reverse=True)
        current = [checkpoint for checkpoint in newest if checkpoint.kind != CheckpointKind.SUPERSEDED]
        if self._wanted is None or self._wanted == CheckpointKind.LAST:
            return current
        if self._wanted == CheckpointKind.BEST:
            return [
                *_best_first([checkpoint for checkpoint in current if checkpoint.kind == CheckpointKind.BEST], record),
                *current,
            ]
        requested = [checkpoint for checkpoint in current if checkpoint.step == int(self._wanted)]
        if not requested:
            steps = ", ".join(f"{checkpoint.step:,} ({checkpoint.kind})" for checkpoint in reversed(current)) or "none"
            raise RunStateError(f"`{record.ref}` has no checkpoint of step {self._wanted}; there are: {steps}")
        return requested


def _recency(checkpoint: Checkpoint) -> tuple[int, bool, int]:
    points = sum(HistoryPosition.of_text(checkpoint.place).points.values())
    return checkpoint.step, checkpoint.kind == CheckpointKind.LAST, points


def _best_first(known: list[Checkpoint], record: RunRecord) -> list[Checkpoint]:
    sign = -1 if (record.summary.get("best") or {}).get("mode") == "max" else 1
    return sorted(known, key=lambda checkpoint: sign * (checkpoint.value if checkpoint.value is not None else 0.0))
