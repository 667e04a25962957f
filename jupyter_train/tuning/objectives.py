"""The values of a trial's objectives: all of them of the epoch whose weights it keeps."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jupyter_train.execution.fit_specs import MAX_FITS
from jupyter_train.store import MetricReader, RunFolder, Store

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store.metrics.blocks import Point


def values_of(store: Store, record: RunRecord, metrics: Sequence[str]) -> dict[str, float]:
    """What a finished trial came to, by metric; a metric that was never logged is left out.

    The epoch that counts is the best by the first metric: its weights are kept. Of several fits it is each fit's own,
    and the value their mean.

    Args:
        store: Where the trial is recorded.
        record: Its run.
        metrics: The objectives, the first one first.
    """
    best = record.summary.get("best")
    if len(metrics) == 1 and best:
        return {metrics[0]: float(best["value"])}
    if "cv" not in record.config and "seeds" not in record.config:
        return _values_of_fit(record, metrics)
    fits = store.list_runs(MAX_FITS, parent=record.key)
    each = [_values_of_fit(fit, metrics) for fit in fits if fit.summary.get("best") or not best]
    everywhere = [name for name in metrics if each and all(name in values for values in each)]
    return {name: statistics.fmean(values[name] for values in each) for name in everywhere}


def _values_of_fit(record: RunRecord, metrics: Sequence[str]) -> dict[str, float]:
    last, best = record.summary.get("last", {}), record.summary.get("best")
    last_values = {name: math.nan if last[name] is None else float(last[name]) for name in metrics if name in last}
    if not best:
        return last_values
    with MetricReader(RunFolder(record.folder).metrics) as reader:
        series = {name: reader.points(name) for name in metrics}
    place = _place_of(best, series[metrics[0]])
    values = {name: _value_at(series[name], place) for name in metrics[1:]} if place is not None else {}
    return {metrics[0]: float(best["value"])} | {name: value for name, value in values.items() if value is not None}


def _place_of(best: dict[str, Any], leading: Sequence[Point]) -> Point | None:
    """The point that counts: the first of its epoch with its value, or the last where the last one counts."""
    same = [point for point in leading if point.value == best["value"] and int(point.epoch) == best["epoch"]]
    return same[-1 if best.get("which") == "last" else 0] if same else None


def _value_at(points: Sequence[Point], place: Point) -> float | None:
    """The value of a series that belongs to a point of another one.

    Of a validation both lie at the same step; what an epoch's training logs comes later in that epoch. What is not
    logged in it has the value it had by then.
    """
    later = [point for point in points if point.step >= place.step and point.epoch == place.epoch]
    before = [point for point in points if point.step < place.step]
    chosen = later[:1] or before[-1:]
    return float(chosen[0].value) if chosen else None
