"""`--on-nan`: stops a fit, or warns, where its loss or monitored metric is NaN or infinite."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_train.config.commands import Command
from jupyter_train.store.command_queue import CommandQueue
from jupyter_train.store.writer import RunWriter

#: The verb of a command that only the run itself sends.
HALT = "halt"
_SOURCE = "--on-nan stop"


def watch_non_finite(writer: RunWriter, queue: CommandQueue, on_nan: str, monitored: Callable[[], str | None]) -> None:
    """Makes the writer, which sees every value, queue a `halt` command for the fit at the first non-finite one.

    Args:
        writer: Records the run.
        queue: Where commands to the run arrive.
        on_nan: `stop`, or `warn`: a warning when the run is over.
        monitored: Returns the name of the monitored metric.
    """
    writer.non_finite.matters = lambda name: "loss" in name.lower() or name == monitored()
    if on_nan == "stop":
        writer.non_finite.on_matters = lambda text: queue.put(Command(HALT, {"reason": text}, _SOURCE))
