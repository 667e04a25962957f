"""`--on-nan`: what becomes of a fit whose loss, or whose monitored metric, is NaN or infinite."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_train.config.commands import Command
from jupyter_train.store.command_queue import CommandQueue
from jupyter_train.store.writer import RunWriter

#: Not among the verbs that anybody may ask for: the run asks itself.
HALT = "halt"
_SOURCE = "--on-nan stop"


def watch_numbers(writer: RunWriter, inbox: CommandQueue, on_nan: str, monitored: Callable[[], str | None]) -> None:
    """Lets the writer, which sees every value, say so; the fit learns of it as of any command.

    Args:
        writer: Records the run.
        inbox: Where commands to the run arrive.
        on_nan: `stop`, or `warn`: it is said when the run is over.
        monitored: Gives the metric that tells the best epoch.
    """
    writer.non_finite.matters = lambda name: "loss" in name.lower() or name == monitored()
    if on_nan == "stop":
        writer.non_finite.on_matters = lambda words: inbox.put(Command(HALT, {"words": words}, _SOURCE))
