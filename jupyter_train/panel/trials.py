"""The best trials of a search as a table that every front end can show."""

from __future__ import annotations

import html
from typing import Any

from jupyter_train.events import TrialStatus
from jupyter_train.panel.format import value_text

_MAX_ROWS = 10
_GREY = "color:#7d8590"


def trials_html(study: dict[str, Any]) -> str:
    """The best trials, with inline styles only."""
    head, rows = _table(study)
    if not rows:
        return ""
    cell = "padding:1px 16px 1px 0;border:0;text-align:left"
    names = "".join(f'<th style="{cell};font-weight:normal;{_GREY}">{html.escape(name)}</th>' for name in head)
    body = "".join(
        '<tr style="background:none">'
        + "".join(f'<td style="{cell}">{html.escape(text)}</td>' for text in row)
        + "</tr>"
        for row in rows
    )
    return (
        f'<table style="border-collapse:collapse;margin:4px 0;border:0;font-variant-numeric:tabular-nums">'
        f'<tr style="background:none">{names}</tr>{body}</table>'
    )


def trials_text(study: dict[str, Any]) -> list[str]:
    """The best trials, a line each."""
    head, rows = _table(study)
    if not rows:
        return []
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    return [
        "  " + "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)) for row in [head, *rows]
    ]


def _table(study: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and the best complete trials."""
    numbers = _numbers(study["numbers"])
    values = [_numbers(column) for column in study["values"]]
    params = [(param["name"], param["labels"], _numbers(param["values"])) for param in study["params"]]
    sign = 1 if study["objectives"][0]["mode"] == "min" else -1
    first = values[0]
    complete = TrialStatus.COMPLETE.letter
    places = [place for place, letter in enumerate(study["states"]) if letter == complete and first[place] is not None]
    places.sort(key=lambda place: (sign * (first[place] or 0.0), place))
    head = ["trial", *(objective["metric"] for objective in study["objectives"]), *(name for name, _, _ in params)]
    rows = []
    for place in places[:_MAX_ROWS]:
        row = [value_text(numbers[place]), *(value_text(column[place]) for column in values)]
        rows.append(row + [_word(labels, column[place]) for _, labels, column in params])
    return head, rows


def _word(labels: list[str], value: float | None) -> str:
    if labels and value is not None:
        return str(labels[int(value)]) if int(value) < len(labels) else "–"
    return value_text(value)


def _numbers(column: str) -> list[float | None]:
    return [_number(item) for item in column.split(",")] if column else []


def _number(item: str) -> float | None:
    if not item:
        return None
    return int(item) if item.lstrip("-").isdigit() else float(item)
