"""The curves as a still picture that reads well on white and on black."""

from __future__ import annotations

import html
import math
from typing import Any

from jupyter_train.panel.numbers import value_text

#: Blue and orange stay apart for every common colour blindness, and on both backgrounds.
COLOURS = {"train": "#3b82f6", "val": "#e08700", "test": "#0f9d76", "other": "#3b82f6", "parent": "#8b949e"}
_MORE = ("#8b5cf6", "#d6456f", "#0f9d76", "#a3842c", "#5b7083")
_TEXT = "#7d8590"
_LINE = "#7d859040"
WIDTH, HEIGHT = 430, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 30, 24
_MOST_CHARTS = 8


def svg(snapshot: dict[str, Any]) -> str:
    """All charts of a snapshot, two in a row; an empty string while there is no curve."""
    families = [one for one in snapshot["families"] if _is_drawable(one) or _is_non_finite(one)][:_MOST_CHARTS]
    if not families:
        return ""
    columns = min(2, len(families))
    rows = -(-len(families) // columns)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * columns} {HEIGHT * rows}" '
        f'width="{WIDTH * columns}" height="{HEIGHT * rows}" font-family="system-ui,sans-serif" font-size="11">'
    ]
    for index, family in enumerate(families):
        x, y = WIDTH * (index % columns), HEIGHT * (index // columns)
        parts.append(f'<g transform="translate({x} {y})">{_chart(family, snapshot)}</g>')
    parts.append("</svg>")
    return "".join(parts)


def _is_drawable(family: dict[str, Any]) -> bool:
    is_constant = family["name"].startswith("lr") and all(len(one["steps"]) < 2 for one in family["series"])
    return not is_constant and any(value is not None for one in family["series"] for value in one["values"])


def _is_non_finite(family: dict[str, Any]) -> bool:
    """Whether there are points, and none of them is a finite number."""
    return not _is_rate(family["name"]) and not _is_drawable(family) and any(one["steps"] for one in family["series"])


def colours_of(family: dict[str, Any]) -> list[str]:
    """One colour per series: by role, further series of the same role get others."""
    used: set[str] = set()
    chosen = []
    spare = iter(_MORE * 8)
    for one in family["series"]:
        colour = COLOURS[one["role"]]
        if colour in used and one["role"] != "parent":
            colour = next(spare)
        used.add(colour)
        chosen.append(colour)
    return chosen


def _empty_chart(family: dict[str, Any]) -> str:
    names = ", ".join(one["name"] for one in family["series"][:4])
    middle = f'x="{WIDTH // 2}" y="{HEIGHT // 2}" text-anchor="middle"'
    return (
        f'<text x="8" y="16" font-weight="600" font-size="12" fill="{_TEXT}">{html.escape(family["name"])}</text>'
        f'<text {middle} fill="{_TEXT}">no value of {html.escape(names)} is a finite number</text>'
    )


def _chart(family: dict[str, Any], snapshot: dict[str, Any]) -> str:
    if _is_non_finite(family):
        return _empty_chart(family)
    family = _held(family, (snapshot.get("progress") or {}).get("step"))
    scale, best = _Scale(family), snapshot.get("best")
    colours = colours_of(family)
    parts = [f'<text x="8" y="16" font-weight="600" font-size="12" fill="{_TEXT}">{html.escape(family["name"])}</text>']
    parts += _legend(family, colours)
    parts += _axes(scale)
    parts += _marks(snapshot.get("marks", []), scale)
    for one, colour in zip(family["series"], colours, strict=True):
        parts.append(_curve(one, colour, scale))
    if best is not None:
        parts.append(_best_marker(family, colours, best, scale))
    return "".join(parts)


def _is_rate(name: str) -> bool:
    return name == "lr" or name.startswith("lr/")


def _held(family: dict[str, Any], step: int | None) -> dict[str, Any]:
    """A learning rate is recorded when it changes: its last value holds until the run's newest step."""
    if step is None or not _is_rate(family["name"]):
        return family
    held = []
    for one in family["series"]:
        if one["steps"] and one["steps"][-1] < step:
            columns = {key: [*one[key], one["values"][-1]] for key in ("values", "lows", "highs") if one.get(key)}
            one = one | columns | {"steps": [*one["steps"], step]}
        held.append(one)
    return family | {"series": held}


class _Scale:
    """Maps steps and values to pixels; logarithmic where a loss spans more than two decades."""

    def __init__(self, family: dict[str, Any]) -> None:
        steps: list[float] = [step for one in family["series"] for step in one["steps"]]
        values = [v for one in family["series"] for key in ("values", "lows", "highs") for v in one.get(key, [])]
        finite: list[float] = [value for value in values if value is not None]
        self.first, self.last = min(steps), max(steps)
        if self.first == self.last:
            self.first, self.last = self.first - 1, self.last + 1
        low, high = min(finite), max(finite)
        self.is_log = low > 0 and high / low > 100
        if low == high:
            room = abs(low) * 0.1 or 1.0
            low, high = low - room, high + room
        self.low, self.high = (math.log10(low), math.log10(high)) if self.is_log else (low, high)
        margin = 0.04 * (self.high - self.low)
        self.low, self.high = self.low - margin, self.high + margin

    def x(self, step: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (step - self.first) / float(self.last - self.first)

    def y(self, value: float) -> float:
        at = math.log10(max(value, 1e-300)) if self.is_log else value
        share = min(1.0, max(0.0, (at - self.low) / (self.high - self.low)))
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share

    def value_ticks(self) -> list[float]:
        if self.is_log:
            exponents = range(math.ceil(self.low), math.floor(self.high) + 1)
            return [10.0**exponent for exponent in exponents] or [10**self.low, 10**self.high]
        return nice_ticks(self.low, self.high, 5)

    def step_ticks(self) -> list[float]:
        return [tick for tick in nice_ticks(self.first, self.last, 5) if tick == int(tick)]


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """At most about `most` round numbers between `low` and `high`."""
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step)
    return [round(tick * step, 12) for tick in range(first, math.floor(high / step) + 1)]


def _axes(scale: _Scale) -> list[str]:
    parts = []
    for tick in scale.value_ticks():
        y = scale.y(tick)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="{_LINE}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{_TEXT}">{tick:.4g}</text>')
    for tick in scale.step_ticks():
        x = min(max(scale.x(tick), _LEFT + 4), WIDTH - _RIGHT - 10)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle" fill="{_TEXT}">{int(tick):,}</text>')
    return parts


def _marks(marks: list[dict[str, Any]], scale: _Scale) -> list[str]:
    """A dashed line where a command was carried out, its label beside it where there is room."""
    parts, taken = [], 0.0
    for mark in marks:
        if not scale.first <= mark["step"] <= scale.last:
            continue
        x = scale.x(mark["step"])
        parts.append(
            f'<path d="M{x:.1f} {_TOP}V{HEIGHT - _BOTTOM}" stroke="{_TEXT}" stroke-dasharray="3 3" opacity=".7"/>'
        )
        width = 6.0 * len(mark["label"])
        left = x + 4 if x + width < WIDTH - _RIGHT else x - width - 2
        if left > taken:
            parts.append(f'<text x="{left:.1f}" y="{_TOP + 9}" fill="{_TEXT}">{html.escape(mark["label"])}</text>')
            taken = left + width
    return parts


def _legend(family: dict[str, Any], colours: list[str]) -> list[str]:
    parts = []
    x = float(WIDTH - _RIGHT)
    named = [pair for pair in zip(family["series"], colours, strict=True) if pair[0]["role"] != "parent"]
    for one, colour in reversed(named[:4]):
        label = f"{one['role'] if one['role'] != 'other' else one['name']} {value_text(one['last'])}"
        x -= 6.2 * len(label)
        parts.append(f'<text x="{x:.0f}" y="16" fill="{_TEXT}">{html.escape(label)}</text>')
        parts.append(f'<path d="M{x - 18:.0f} 12H{x - 5:.0f}" stroke="{colour}" stroke-width="2"/>')
        x -= 30
    return parts


def _curve(one: dict[str, Any], colour: str, scale: _Scale) -> str:
    parts = []
    if one.get("lows"):
        parts.append(f'<path d="{_band(one, scale)}" fill="{colour}" fill-opacity=".18"/>')
    parts.append(
        f'<path d="{_path(one, scale)}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"/>'
    )
    if len(one["steps"]) <= 30 and not _is_rate(one["name"]):
        points = zip(one["steps"], one["values"], strict=True)
        parts += [
            f'<circle cx="{scale.x(step):.1f}" cy="{scale.y(value):.1f}" r="2.6" fill="{colour}"/>'
            for step, value in points
            if value is not None
        ]
    return "".join(parts)


def _path(one: dict[str, Any], scale: _Scale) -> str:
    """A line through the values, broken where one is missing; a learning rate goes in steps."""
    parts, pen = [], "M"
    for step, value in zip(one["steps"], one["values"], strict=True):
        if value is None:
            pen = "M"
            continue
        x, y = f"{scale.x(step):.0f}", f"{scale.y(value):.1f}"
        parts.append(f"H{x}V{y}" if pen == "L" and _is_rate(one["name"]) else f"{pen}{x} {y}")
        pen = "L"
    return "".join(parts)


def _band(one: dict[str, Any], scale: _Scale) -> str:
    rows = [row for row in zip(one["steps"], one["lows"], one["highs"], strict=True) if row[1] is not None]
    upper = [f"{scale.x(step):.0f} {scale.y(high):.0f}" for step, _, high in rows]
    lower = [f"{scale.x(step):.0f} {scale.y(low):.0f}" for step, low, _ in reversed(rows)]
    return "M" + "L".join(upper + lower) + "Z" if rows else ""


def _best_marker(family: dict[str, Any], colours: list[str], best: dict[str, Any], scale: _Scale) -> str:
    for one, colour in zip(family["series"], colours, strict=True):
        if one["name"] == best["metric"] and best["value"] is not None and one["values"]:
            step = _step_of_best(one, best)
            at = f'cx="{scale.x(step):.1f}" cy="{scale.y(best["value"]):.1f}"'
            return f'<circle {at} r="5.5" fill="none" stroke="{colour}" stroke-width="2"/>'
    return ""


def _step_of_best(one: dict[str, Any], best: dict[str, Any]) -> float:
    """The recorded step of the best value (a checkpoint's step counts from one, a series' from zero)."""
    known = [step for step in one["steps"] if step <= best["step"]]
    return float(known[-1] if known else one["steps"][0])
