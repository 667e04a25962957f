"""The curves as a still picture that reads well on white and on black."""

from __future__ import annotations

import html
import itertools
import re
from typing import Any

from jupyter_train.panel.format import value_text
from jupyter_train.panel.scales import HEIGHT, TOP, WIDTH, Scale

#: Blue and orange stay apart for every common colour blindness, and on both backgrounds.
COLOURS = {"train": "#3b82f6", "val": "#e08700", "test": "#0f9d76", "other": "#3b82f6", "parent": "#8b949e"}
#: Further series of a role; none is a colour of a role.
_MORE = (
    "#6632e0",
    "#f51c35",
    "#057918",
    "#c256f9",
    "#907900",
    "#1a5998",
    "#e470b0",
    "#63563e",
    "#bb00a2",
    "#9264ad",
    "#b90044",
)
#: When all colours are taken.
_DASHES = ("", "6 3", "2 3")
_TEXT = "#7d8590"
_LINE = "#7d859040"
_MAX_CHARTS = 8
_MAX_NAMED = 4


def svg(snapshot: dict[str, Any]) -> str:
    """All charts of a snapshot, two in a row; an empty string while there is no curve."""
    drawn = [family for family in snapshot["families"] if _is_drawable(family) or _is_non_finite(family)]
    families = drawn[:_MAX_CHARTS]
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
    is_constant = family["name"].startswith("lr") and all(len(series["steps"]) < 2 for series in family["series"])
    return not is_constant and any(value is not None for series in family["series"] for value in series["values"])


def _is_non_finite(family: dict[str, Any]) -> bool:
    """Whether there are points, and none of them is a finite number."""
    return (
        not is_rate({"name": family["name"]})
        and not _is_drawable(family)
        and any(series["steps"] for series in family["series"])
    )


def looks_of(family: dict[str, Any]) -> list[tuple[str, str]]:
    """Colour and dashes of each series: by role; further series of a role get other colours, in the end dashes too."""
    used: set[str] = set()
    looks = []
    spare = itertools.cycle(itertools.product(_DASHES, _MORE))
    for series in family["series"]:
        colour, dashes = COLOURS[series["role"]], ""
        if colour in used and series["role"] != "parent":
            dashes, colour = next(spare)
        used.add(colour)
        looks.append((colour, dashes))
    return looks


def _empty_chart(family: dict[str, Any]) -> str:
    names = ", ".join(series["name"] for series in family["series"][:4])
    middle = f'x="{WIDTH // 2}" y="{HEIGHT // 2}" text-anchor="middle"'
    return (
        f'<text x="8" y="16" font-weight="600" font-size="12" fill="{_TEXT}">{html.escape(family["name"])}</text>'
        f'<text {middle} fill="{_TEXT}">no value of {html.escape(names)} is a finite number</text>'
    )


def _chart(family: dict[str, Any], snapshot: dict[str, Any]) -> str:
    if _is_non_finite(family):
        return _empty_chart(family)
    step = (snapshot.get("progress") or {}).get("step")
    family = family | {"series": [held(series, step) for series in family["series"]]}
    scale, best = Scale(family), snapshot.get("best")
    looks = looks_of(family)
    colours = [colour for colour, _ in looks]
    parts = [f'<text x="8" y="16" font-weight="600" font-size="12" fill="{_TEXT}">{html.escape(family["name"])}</text>']
    parts += _legend(family, looks)
    parts += _axes(scale)
    parts += _marks(snapshot.get("marks", []), scale)
    for series, look in zip(family["series"], looks, strict=True):
        parts.append(_curve(series, *look, scale))
    if best is not None:
        parts.append(_best_marker(family, colours, best, scale))
    return "".join(parts)


def is_rate(series: dict[str, Any]) -> bool:
    """True for a series of learning rates, which hold until they change."""
    return re.match(r"lr(/|$)", str(series.get("like", series["name"]))) is not None


def held(series: dict[str, Any], step: int | None) -> dict[str, Any]:
    """A series; a learning rate is recorded when it changes, so its last value holds until where its own run is."""
    if step is None or not is_rate(series) or not series["steps"] or series["steps"][-1] >= step:
        return series
    columns = {key: [*series[key], series["values"][-1]] for key in ("values", "lows", "highs") if series.get(key)}
    return series | columns | {"steps": [*series["steps"], step]}


def _axes(scale: Scale) -> list[str]:
    parts = []
    for tick, text in scale.values:
        y = scale.y(tick)
        parts.append(f'<path d="M{scale.left:.0f} {y:.1f}H{scale.right:.0f}" stroke="{_LINE}"/>')
        parts.append(f'<text x="{scale.left - 6:.0f}" y="{y + 4:.1f}" text-anchor="end" fill="{_TEXT}">{text}</text>')
    for tick, text in scale.steps:
        at = f'x="{scale.x(tick):.1f}" y="{HEIGHT - 8}"'
        parts.append(f'<text {at} text-anchor="middle" fill="{_TEXT}">{text}</text>')
    return parts


def _marks(marks: list[dict[str, Any]], scale: Scale) -> list[str]:
    """A dashed line where a command was applied, its label beside it where there is room."""
    parts, taken = [], 0.0
    for mark in marks:
        if not scale.first <= mark["step"] <= scale.last:
            continue
        x = scale.x(mark["step"])
        parts.append(f'<path d="M{x:.1f} {TOP}V{scale.bottom}" stroke="{_TEXT}" stroke-dasharray="3 3" opacity=".7"/>')
        width = 6.0 * len(mark["label"])
        left = x + 4 if x + width < scale.right else x - width - 2
        if left > taken:
            parts.append(f'<text x="{left:.1f}" y="{TOP + 9}" fill="{_TEXT}">{html.escape(mark["label"])}</text>')
            taken = left + width
    return parts


def _legend(family: dict[str, Any], looks: list[tuple[str, str]]) -> list[str]:
    parts = []
    x = float(WIDTH - 10)
    named = [pair for pair in zip(family["series"], looks, strict=True) if pair[0]["role"] != "parent"]
    if len(named) > _MAX_NAMED:
        label = f"+ {len(named) - _MAX_NAMED} more"
        x -= 6.2 * len(label)
        parts.append(f'<text x="{x:.0f}" y="16" fill="{_TEXT}">{label}</text>')
        x -= 12
    for series, (colour, dashes) in reversed(named[:_MAX_NAMED]):
        label = f"{series['role'] if series['role'] != 'other' else series['name']} {value_text(series['last'])}"
        x -= 6.2 * len(label)
        parts.append(f'<text x="{x:.0f}" y="16" fill="{_TEXT}">{html.escape(label)}</text>')
        line = f'stroke="{colour}" stroke-width="2"{_dashed(dashes)}'
        parts.append(f'<path d="M{x - 18:.0f} 12H{x - 5:.0f}" {line}/>')
        x -= 30
    return parts


def _dashed(dashes: str) -> str:
    return f' stroke-dasharray="{dashes}"' if dashes else ""


def _curve(series: dict[str, Any], colour: str, dashes: str, scale: Scale) -> str:
    parts = []
    if series.get("lows"):
        parts.append(f'<path d="{_band(series, scale)}" fill="{colour}" fill-opacity=".18"/>')
    line = f'fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"{_dashed(dashes)}'
    parts.append(f'<path d="{_path(series, scale)}" {line}/>')
    if len(series["steps"]) <= 30 and not is_rate(series):
        points = zip(series["steps"], series["values"], strict=True)
        parts += [
            f'<circle cx="{scale.x(step):.1f}" cy="{scale.y(value):.1f}" r="2.6" fill="{colour}"/>'
            for step, value in points
            if value is not None
        ]
    return "".join(parts)


def _path(series: dict[str, Any], scale: Scale) -> str:
    """A line through the values, broken where one is missing; a learning rate goes in steps."""
    parts, pen = [], "M"
    for step, value in zip(series["steps"], series["values"], strict=True):
        if value is None:
            pen = "M"
            continue
        x, y = f"{scale.x(step):.0f}", f"{scale.y(value):.1f}"
        parts.append(f"H{x}V{y}" if pen == "L" and is_rate(series) else f"{pen}{x} {y}")
        pen = "L"
    return "".join(parts)


def _band(series: dict[str, Any], scale: Scale) -> str:
    rows = [row for row in zip(series["steps"], series["lows"], series["highs"], strict=True) if row[1] is not None]
    upper = [f"{scale.x(step):.0f} {scale.y(high):.0f}" for step, _, high in rows]
    lower = [f"{scale.x(step):.0f} {scale.y(low):.0f}" for step, low, _ in reversed(rows)]
    return "M" + "L".join(upper + lower) + "Z" if rows else ""


def _best_marker(family: dict[str, Any], colours: list[str], best: dict[str, Any], scale: Scale) -> str:
    for series, colour in zip(family["series"], colours, strict=True):
        if series["name"] == best["metric"] and best["value"] is not None and series["values"]:
            step = _step_of_best(series, best)
            at = f'cx="{scale.x(step):.1f}" cy="{scale.y(best["value"]):.1f}"'
            return f'<circle {at} r="5.5" fill="none" stroke="{colour}" stroke-width="2"/>'
    return ""


def _step_of_best(series: dict[str, Any], best: dict[str, Any]) -> float:
    """The recorded step of the best value (a checkpoint's step counts from one, a series' from zero)."""
    known = [step for step in series["steps"] if step <= best["step"]]
    return float(known[-1] if known else series["steps"][0])
