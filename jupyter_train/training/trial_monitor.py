"""Somebody who watches a fit's objective from outside: ends it when it is hopeless, and says what of it is kept."""

from __future__ import annotations

from typing import Protocol


class TrialMonitor(Protocol):
    """Is told how a fit does, on the thread that trains."""

    def reached(self, epoch: int, value: float) -> str:
        """The monitored metric has a new value; a text ends the fit, which is STOPPED with these words.

        Args:
            epoch: Epochs begun so far, from 1; where there are several values in one, that of the last counts.
            value: The metric.
        """

    def keeps(self, value: float | None) -> bool:
        """The fit has ended: whether its best weights are to be written.

        Args:
            value: The best value of the monitored metric; None when there was none.
        """
