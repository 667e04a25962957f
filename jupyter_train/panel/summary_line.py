"""What one line says of a run: where it is, and the newest value of every metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import DamagedError
from jupyter_train.panel.curves import families
from jupyter_train.panel.metric_groups import place_of
from jupyter_train.panel.snapshot import best_of, rounded_table
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.store.metrics.reader import SPREAD

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord


def with_newest(record: RunRecord, base: dict[str, Any]) -> dict[str, Any]:
    """An outline with progress, best and newest values, and without curves: a small part of what a snapshot takes.

    Args:
        record: The run's.
        base: Its outline.
    """
    summary, progress, last = record.summary, record.summary.get("progress"), record.summary.get("last") or {}
    try:
        with MetricReader(RunFolder(record.folder).metrics) as reader, reader.at_one_moment():
            newer = reader.meta("summary")
            summary = summary | (newer if isinstance(newer, dict) else {})
            progress, last = reader.meta("progress"), reader.last()
    except (DamagedError, TypeError, ValueError, KeyError, AttributeError, OverflowError):
        pass  # the last snapshot says so
    series = [
        {"name": name, "role": place_of(name).role, "last": value}
        for name, value in last.items()
        if not name.endswith(SPREAD)
    ]
    return base | {"progress": rounded_table(progress), "best": best_of(summary), "families": families(series)}
