"""Names of series in W&B: names that W&B and Lightning use themselves keep their meaning."""

from __future__ import annotations

import re

#: Lightning's count of optimizer steps: the axis of every chart.
STEP = "trainer/global_step"
#: The columns of a row's step and epoch, as Lightning's own W&B logger sends them.
POSITION_COLUMNS = (STEP, "epoch")
#: W&B's own names begin with `_`: `_step`, `_runtime`, `_timestamp`, `_wandb`.
_RESERVED = re.compile(r"(?:logged/)*(?:_.*|" + "|".join(map(re.escape, POSITION_COLUMNS)) + ")", re.DOTALL)
_PREFIX = "logged/"


def column_of(name: str) -> str:
    """The column of a series: its name, or `logged/epoch` where `epoch` has another meaning."""
    return _PREFIX + name if _RESERVED.fullmatch(name) else name


def series_of(column: str) -> str | None:
    """The series of a column; None for a column that is no series of the run."""
    if not _RESERVED.fullmatch(column):
        return column
    return column.removeprefix(_PREFIX) if column.startswith(_PREFIX) else None
