"""Names of series as W&B gets them: what W&B and Lightning call so themselves keeps its meaning."""

from __future__ import annotations

import re

#: Lightning's count of optimizer steps: the axis of every chart.
STEP = "trainer/global_step"
#: Where a row lies, in the columns that Lightning's own W&B logger sends.
PLACES = (STEP, "epoch")
#: W&B's own names begin with `_`: `_step`, `_runtime`, `_timestamp`, `_wandb`.
_TAKEN = re.compile(r"(?:logged/)*(?:_.*|" + "|".join(map(re.escape, PLACES)) + ")", re.DOTALL)
_PREFIX = "logged/"


def sent_as(name: str) -> str:
    """What a series is called there: itself, or `logged/epoch` where `epoch` means something already."""
    return _PREFIX + name if _TAKEN.fullmatch(name) else name


def series_of(column: str) -> str | None:
    """The series that a column holds; None for a column that is no series of the run."""
    if not _TAKEN.fullmatch(column):
        return column
    return column.removeprefix(_PREFIX) if column.startswith(_PREFIX) else None
