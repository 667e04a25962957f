"""The panel in a terminal: one line that is rewritten in place, then a final table."""

from __future__ import annotations

import os
import shutil
import unicodedata
from typing import Any, TextIO

from jupyter_train.panel.format import value_text
from jupyter_train.panel.redraw_schedule import PanelPart
from jupyter_train.panel.status import (
    LIVE_STATUSES,
    PartKind,
    notices,
    progress_parts,
    series_of,
    status_text,
    tags_text,
)
from jupyter_train.run import RunStatus
from jupyter_train.store.text_columns import without_codes

_BETWEEN = "  "
#: Fields of the line, those that matter most first.
_RANKS = ("progress", "metric", "eta", "ref", "status", "best", "metrics", "step", "steps/s", "bar", "rest")
#: The rank of a part of the status line.
_RANK_OF = {
    PartKind.STEPS: "step",
    PartKind.SPEED: "steps/s",
    PartKind.ETA: "eta",
    PartKind.DURATION: "eta",
    PartKind.BEST: "best",
}
#: Those that stand only where there is room for all that matters more.
_SPARE = ("bar", "rest")


class TerminalLine:
    """Draws bundles as text: in place on a terminal, the last state alone in a pipe."""

    is_line = True

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty()

    def loading(self, message: str) -> None:
        """Says what is being waited for."""
        self._replace(message)

    def show(self, snapshot: dict[str, Any], part: PanelPart = PanelPart.WHOLE) -> int:
        """Rewrites the line; ends with the whole text once the run has ended."""
        if snapshot["status"] in LIVE_STATUSES:
            return self._replace(line(snapshot, self._width))
        self._replace("")
        self._out.write(table(snapshot, self._width if self._is_terminal else None) + "\n")
        self._out.flush()
        return 0

    def clear(self) -> None:
        """Empties the line."""
        self._replace("")

    @property
    def _width(self) -> int:
        return terminal_width(self._out) - 1

    def _replace(self, text: str) -> int:
        if self._is_terminal:
            self._out.write("\r\x1b[2K" + text[: self._width])
            self._out.flush()
        return len(text)


def terminal_width(out: TextIO) -> int:
    """Columns of the terminal that is written to."""
    try:
        return os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


def line(snapshot: dict[str, Any], width: int | None = None) -> str:
    """The run in one line: status, progress, newest values.

    Args:
        snapshot: The run.
        width: At most so many columns: of what does not fit, whole fields are left out, those that matter least first.
    """
    fields = [(rank, without_codes(text)) for rank, text in _fields(snapshot)]
    if width is None:
        return _BETWEEN.join(text for _, text in fields)
    kept: set[int] = set()
    left, ranked = width, sorted(range(len(fields)), key=lambda place: (_RANKS.index(fields[place][0]), place))
    for earlier, place in enumerate(ranked):
        needed = _columns(fields[place][1]) + (len(_BETWEEN) if kept else 0)
        is_spare = fields[place][0] in _SPARE and len(kept) < earlier
        if needed <= left and not is_spare:
            kept.add(place)
            left -= needed
    return _BETWEEN.join(text for place, (_, text) in enumerate(fields) if place in kept)


def _fields(snapshot: dict[str, Any]) -> list[tuple[str, str]]:
    """What the line says, and of which rank each is, in the order in which they stand."""
    progress, best = snapshot.get("progress") or {}, snapshot.get("best")
    status, parts = status_text(snapshot), progress_parts(snapshot)
    newest = [
        (series["name"], f"{series['name']} {value_text(series['last'])}")
        for series in series_of(snapshot)
        if not series["name"].startswith("lr")
    ]
    first = next((name for name, _ in newest if best is not None and name == best["metric"]), "")
    first = first or (newest[0][0] if newest else "")
    newest.sort(key=lambda pair: pair[0] != first)
    fields = [("ref", str(snapshot["ref"])), ("rest" if status == RunStatus.RUNNING else "status", status)]
    share = progress.get("step", 0) / progress["steps"] if progress.get("steps") else None
    if share is not None:
        fields.append(("bar", "▕" + ("█" * round(12 * min(1.0, share))).ljust(12, "·") + "▏"))
    texts = [(_RANK_OF.get(part.kind, "progress"), part.text) for part in parts]
    values = [("metric" if name == first else "metrics", text) for name, text in newest[:4]]
    return [*fields, *texts[:1], *values[:1], *texts[1:], *values[1:]]


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def table(snapshot: dict[str, Any], width: int | None = None) -> str:
    """The run's last state: what it did, and each metric's last, lowest and highest value.

    Args:
        snapshot: The run.
        width: At most so many columns; without a limit if None.
    """
    rows = []
    for series in series_of(snapshot):
        values = [value for key in ("values", "lows", "highs") for value in series.get(key, []) if value is not None]
        low, high = (min(values), max(values)) if values else (None, None)
        rows.append((series["name"], value_text(series["last"]), value_text(low), value_text(high)))
    texts = [part.text for part in progress_parts(snapshot)]
    below = [tags_text(snapshot), *(text for _, text in notices(snapshot))]
    lines = [*_wrapped([str(snapshot["ref"]), status_text(snapshot), *texts], width)]
    lines += [f"  {text}" for text in below if text]
    if rows:
        rows.insert(0, ("metric", "last", "min", "max"))
        longest = max(len(row[0]) for row in rows)
        lines += [f"  {row[0]:<{longest}}  " + "  ".join(f"{cell:>10}" for cell in row[1:]) for row in rows]
    return without_codes("\n".join(lines))


def _wrapped(fields: list[str], width: int | None) -> list[str]:
    """Fields side by side, on as many lines as they need: none is broken."""
    lines = [fields[0]]
    for text in fields[1:]:
        longer = f"{lines[-1]}{_BETWEEN}{text}"
        if width is None or _columns(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(f"  {text}")
    return lines
