"""`FitContext`: what a fit is given besides model and data."""

from __future__ import annotations

from dataclasses import dataclass, field

from jupyter_train.config import TrainConfig
from jupyter_train.run import RunRecord, RunRole
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.command_queue import CommandQueue
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.checkpoints.resume import StartPoint
from jupyter_train.training.interrupt import InterruptWatch
from jupyter_train.training.lightning.ddp import NoCommandChannel
from jupyter_train.training.run_observer import RunObserver


@dataclass(kw_only=True)
class FitContext:
    """What a fit is given besides model and data.

    Attributes:
        config: Checked options.
        record: The run's row.
        folder: The run's folder.
        writer: Records it.
        queue: Commands come from here.
        channel: Their answers go here.
        interrupt: Says whether the user pressed Interrupt.
        start: Where it is resumed or forked from; None for a new run.
        ckpt_path: A Lightning checkpoint to start from.
        role: What the run is to the one above it.
        observer: Follows it; a trial's is notified of the monitored metric.
        world_size: How many processes train together.
        is_owner: Whether this one of them records the run.
    """

    config: TrainConfig
    record: RunRecord
    folder: RunFolder
    writer: RunWriter
    queue: CommandQueue
    channel: CommandChannel | NoCommandChannel
    interrupt: InterruptWatch
    start: StartPoint | None = None
    ckpt_path: str | None = None
    role: RunRole = RunRole.TRAIN
    observer: RunObserver = field(default_factory=RunObserver)
    world_size: int = 1
    is_owner: bool = True

    @property
    def is_trial(self) -> bool:
        """Whether it is one of many, whose common facts are recorded once with their search."""
        return self.role is RunRole.TRIAL

    @property
    def checkpoint(self) -> StartPoint | None:
        """Where it begins, if that is a checkpoint; None at step 0."""
        return self.start if self.start is not None and self.start.path else None
