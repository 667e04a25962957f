"""The checkpoints of a run on disk, and the one from which it would resume."""

from __future__ import annotations

from jupyter_train.events import CheckpointKind
from jupyter_train.store.metrics.reader import MetricReader
from jupyter_train.store.run_folder import RunFolder


class WrittenCheckpoints:
    """Names of checkpoints, which of them are written, and the newest. `AsyncWriter`'s thread reports them.

    Args:
        folder: The run's folder.

    Attributes:
        needs_first: True for a fork without a checkpoint of its own: it could not be resumed.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.needs_first = False
        self._folder = folder
        self._names: set[str] = set()
        self._last: list[str] = []
        self._newest: int | None = None

    def prepare_resume(self) -> None:
        """Reads the existing checkpoints of a resumed run: the next `last` replaces the present one."""
        with MetricReader(self._folder.metrics) as reader:
            known = reader.checkpoints()
        self._last = [checkpoint.path for checkpoint in known if checkpoint.kind == CheckpointKind.LAST]
        self._newest = max(
            (checkpoint.step for checkpoint in known if checkpoint.kind != CheckpointKind.SUPERSEDED), default=None
        )
        self.needs_first = self._newest is None

    def new_path(self, kind: str, step: int) -> str:
        """A path that no other checkpoint of the run has had, so that the store's hash of a file stays true."""
        path, number = f"checkpoints/{kind}-step{step}.ckpt", 1
        while path in self._names or (self._folder.path / path).exists():
            number += 1
            path = f"checkpoints/{kind}-step{step}-{number}.ckpt"
        self._names.add(path)
        return path

    def arrived(self, step: int) -> None:
        """A checkpoint of this step is on disk."""
        self._newest = max(self._newest or 0, step)
        self.needs_first = False

    def last_arrived(self, path: str, step: int) -> list[str]:
        """A new `last` is on disk; returns the paths of those it replaces."""
        self.arrived(step)
        previous, self._last = self._last, [path]
        return previous

    def describe_repeated(self, step: int, how: str) -> str:
        """A sentence on the steps that a resume of an interrupted attempt repeats; empty where there are none.

        Args:
            step: Optimizer steps done.
            how: Where and how the run was interrupted.
        """
        steps = step - (self._newest or 0)
        if steps <= 0 or self.needs_first:
            return ""
        begins = "restarts at step 0" if self._newest is None else f"continues from step {self._newest:,}"
        return f"no checkpoint of step {step:,}, {how}: a resume {begins} and repeats {count_steps(steps)}"


def count_steps(steps: int) -> str:
    """A number of steps, as `1 step` or `2,000 steps`."""
    return "1 step" if steps == 1 else f"{steps:,} steps"
