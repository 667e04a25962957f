"""`RunObserver`: follows one run from outside the fit; `TrialMonitor`: what a search adds to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store import RunWriter


class TrialMonitor(Protocol):
    """Is notified of a trial's monitored metric, on the thread that trains."""

    def reached(self, epoch: int, value: float) -> str:
        """The monitored metric has a new value; a text ends the fit, which is STOPPED with it as its message.

        Args:
            epoch: Epochs begun so far, from 1; where there are several values in one, that of the last counts.
            value: The metric.
        """

    def keeps(self, value: float | None) -> bool:
        """The fit has ended: whether its best weights are to be written.

        Args:
            value: The best value of the monitored metric; None when there was none.
        """


class RunObserver:
    """Follows one run; this one lets it be. A `TrialMonitor` that is notified of the start, too."""

    def on_start(self, record: RunRecord, writer: RunWriter | None) -> None:
        """The run is recorded.

        Args:
            record: Its row.
            writer: What records it, in the process that trains it; None in any other.
        """

    def reached(self, epoch: int, value: float) -> str:
        """See `TrialMonitor`; called in the runs of a search only."""
        return ""

    def keeps(self, value: float | None) -> bool:
        """See `TrialMonitor`; called in the runs of a search only."""
        return True
