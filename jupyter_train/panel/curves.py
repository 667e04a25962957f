"""A run's curves as columns: all of them, or a window of steps as closely as it can be drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from jupyter_train.panel.format import rounded
from jupyter_train.panel.metric_groups import order, place_of
from jupyter_train.store import MetricReader
from jupyter_train.store.metrics.blocks import Bucket
from jupyter_train.store.metrics.reader import SPREAD

_Value = TypeVar("_Value")

#: Further series are counted, not drawn.
MAX_SERIES = 32
_MAX_IN_WINDOW = 400
_MAX_OF_ALL = 6_400
_MAX_STEPS = 1 << 52
#: Values are distinguished to a thousandth of what a curve covers.
_DISTINCT_DIGITS = 3
_MAX_DIGITS = 15


def between(metrics: Path, first_step: int, last_step: int) -> dict[str, Any]:
    """The part of a run's curves that a chart zoomed to some steps shows, packed.

    Args:
        metrics: The run's `metrics.db`.
        first_step: Where the window begins.
        last_step: Where it ends; included.

    Returns:
        `first`, `last` and `metric_groups`, at most 400 points a series, which stand for several where there are more.
    """
    with MetricReader(metrics) as reader, reader.at_one_moment():
        every = reader.counts()
        counts = {name: every[name] for name in [name for name in every if not name.endswith(SPREAD)][:MAX_SERIES]}
        most = min(_MAX_IN_WINDOW, _MAX_OF_ALL // max(1, len(counts)))
        curves = [
            series(reader, name, count, reader.window(name, first_step, last_step, most))
            for name, count in counts.items()
        ]
    return {"first": first_step, "last": last_step, "families": packed(families(curves))}


def check_window(first_step: int, last_step: int) -> None:
    """Refuses what no run has.

    Raises:
        ValueError: The window ends before it begins, or lies where no step can be.
    """
    if not 0 <= first_step <= last_step < _MAX_STEPS:
        raise ValueError(f"expected steps from 0 to below {_MAX_STEPS:,}, the first one first")


def series(reader: MetricReader, name: str, count: int, picture: list[Bucket]) -> dict[str, Any]:
    """One series as columns: `steps` and `values`, with `lows` and `highs` where a value stands for several."""
    digits = digits_of(picture)
    columns: dict[str, Any] = {
        "name": name,
        "role": place_of(name).role,
        "count": count,
        "steps": [bucket.last_step for bucket in picture],
        "values": [rounded(bucket.mean, digits) for bucket in picture],
        "last": rounded(_last(reader, name, count), digits),
    }
    if any(bucket.finite > 1 for bucket in picture):
        columns["lows"] = [rounded(bucket.low, digits) for bucket in picture]
        columns["highs"] = [rounded(bucket.high, digits) for bucket in picture]
    return columns


def digits_of(picture: list[Bucket]) -> int:
    """How many digits after the point distinguish a curve's values where they are large and change little."""
    finite = [bucket for bucket in picture if bucket.finite]
    span = max((bucket.high for bucket in finite), default=0.0) - min((bucket.low for bucket in finite), default=0.0)
    return min(_MAX_DIGITS, max(0, _DISTINCT_DIGITS - math.floor(math.log10(span)))) if 0 < span < math.inf else 0


def with_spread(
    reader: MetricReader, name: str, counts: Mapping[str, int], picture: list[Bucket], most: int
) -> dict[str, Any]:
    """A series; where it is the mean of several, its band is one standard deviation to either side.

    Args:
        reader: The run's.
        name: The series.
        counts: How many values every series has.
        picture: The series, as it is drawn.
        most: How many points were requested.
    """
    curve = series(reader, name, counts[name], picture)
    if name + SPREAD not in counts:
        return curve
    spread = reader.picture(name + SPREAD, most)
    if len(spread) != len(picture):
        return curve
    sides = [
        (bucket.mean - apart.mean, bucket.mean + apart.mean) for bucket, apart in zip(picture, spread, strict=True)
    ]
    return curve | {"lows": [rounded(low) for low, _ in sides], "highs": [rounded(high) for _, high in sides]}


def of_parent(metrics: Path, ref: str, step: int, names: list[str], most: int) -> list[dict[str, Any]]:
    """The curves of the run that a fork began from, up to there, to be drawn beside its own.

    Args:
        metrics: That run's `metrics.db`.
        ref: Its short name.
        step: Where the fork began.
        names: The fork's own series; others are not drawn.
        most: At most so many points a series.
    """
    curves = []
    with MetricReader(metrics) as reader:
        counts = reader.counts()
        for name in names:
            picture = reader.window(name, 0, step, most) if name in counts and not name.startswith("lr") else []
            if picture:
                curve = series(reader, name, counts[name], picture)
                last = rounded(picture[-1].mean, digits_of(picture))
                curves.append(curve | {"name": f"{name} of {ref}", "role": "parent", "last": last, "like": name})
    return curves


def _last(reader: MetricReader, name: str, count: int) -> float:
    points = reader.points(name, count - 1)
    return points[-1].value if points else math.nan


def families(curves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Series by the chart they belong to, in the order of the charts."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for curve in curves:
        grouped.setdefault(place_of(curve.get("like", curve["name"])).family, []).append(curve)
    return [{"name": name, "series": grouped[name]} for name in order(list(grouped))]


def packed(unpacked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Families with each column as one text."""
    return [
        family
        | {"series": [{k: column_text(v) for k, v in curve.items() if k != "like"} for curve in family["series"]]}
        for family in unpacked
    ]


def column_text(value: _Value) -> _Value | str:
    """A column as a text; anything else as it is."""
    if not isinstance(value, list):
        return value
    return ",".join("" if item is None else f"{item}" for item in value)
