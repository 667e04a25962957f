"""`RunResult`: how a run ended, and what of it is left in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_train.run import RunStatus

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from jupyter_train.run import RunRecord
    from jupyter_train.training.data.data_source import DataSource


@dataclass(kw_only=True)
class RunResult:
    """How a run ended, or that it trains in another process.

    Attributes:
        status: FINISHED, STOPPED or FAILED; of a run in another process whatever it is now.
        message: One line for the panel; the traceback's last line when it failed.
        error: What to raise to the user; None when there is nothing to raise.
        trainer: The trainer, for its counters; None when it could not be built, or is another process's.
        record: The run's row, once there is one.
        module: The LightningModule of this process.
        source: The loaders of this process.
    """

    status: RunStatus
    message: str = ""
    error: BaseException | None = None
    trainer: pl.Trainer | None = None
    record: RunRecord | None = None
    module: pl.LightningModule | None = None
    source: DataSource | None = None

    @property
    def recorded(self) -> RunRecord:
        """The run's row; a result that a launcher gives always has one."""
        assert self.record is not None
        return self.record
