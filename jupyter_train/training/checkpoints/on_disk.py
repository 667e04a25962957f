"""Which checkpoints of a run are on disk, and from which of them a resume would go on."""

from __future__ import annotations

from jupyter_train.store.metrics.reader import MetricReader
from jupyter_train.store.metrics.rewind import SUPERSEDED
from jupyter_train.store.run_folder import RunFolder


class WrittenCheckpoints:
    """Names of checkpoints, those that are written, and the newest of them. The saver's thread tells what arrived.

    Args:
        folder: The run's folder.

    Attributes:
        owes_first: True for a fork that has none of its own yet: without one it could not be gone on with.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.needs_first = False
        self._folder = folder
        self._names: set[str] = set()
        self._last: list[str] = []
        self._newest: int | None = None

    def prepare_resume(self) -> None:
        """The run is resumed: the next `last` replaces those that are there."""
        with MetricReader(self._folder.metrics) as reader:
            known = reader.checkpoints()
        self._last = [checkpoint.path for checkpoint in known if checkpoint.kind == "last"]
        self._newest = max((checkpoint.step for checkpoint in known if checkpoint.kind != SUPERSEDED), default=None)
        self.needs_first = self._newest is None

    def new_path(self, kind: str, step: int) -> str:
        """A name no other checkpoint of the run has had: what the store says of a file must stay true of it."""
        path, number = f"checkpoints/{kind}-step{step}.ckpt", 1
        while path in self._names or (self._folder.path / path).exists():
            number += 1
            path = f"checkpoints/{kind}-step{step}-{number}.ckpt"
        self._names.add(path)
        return path

    def arrived(self, step: int) -> None:
        """One of this step is on disk."""
        self._newest = max(self._newest or 0, step)
        self.needs_first = False

    def last_arrived(self, path: str, step: int) -> list[str]:
        """A new `last` is on disk; gives the paths of those it replaces."""
        self.arrived(step)
        previous, self._last = self._last, [path]
        return previous

    def describe_repeated(self, step: int, how: str) -> str:
        """What a resume of a broken-off attempt repeats, in words; empty where that is nothing.

        Args:
            step: Optimizer steps that were done.
            how: Where the run was broken off, and in what way.
        """
        steps = step - (self._newest or 0)
        if steps <= 0 or self.needs_first:
            return ""
        begins = "begins again at step 0" if self._newest is None else f"goes on from step {self._newest:,}"
        return f"no checkpoint of step {step:,}, {how}: a resume {begins} and repeats {count_steps(steps)}"


def count_steps(steps: int) -> str:
    """So many steps, in words."""
    return "1 step" if steps == 1 else f"{steps:,} steps"
