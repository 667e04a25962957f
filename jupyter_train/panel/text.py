"""The panel in a terminal: one line that is rewritten in place, then a final table."""

from __future__ import annotations

import shutil
from typing import Any, TextIO

from jupyter_train.panel.numbers import value_text
from jupyter_train.panel.status import LIVE_STATUSES, notices, progress_text, series_of, status_words, tags_text
from jupyter_train.store.text import without_codes


class TerminalLine:
    """Draws bundles as text: in place on a terminal, the last state alone in a pipe."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty()

    def loading(self, words: str) -> None:
        """Says what is being waited for."""
        self._replace(words)

    def show(self, snapshot: dict[str, Any]) -> None:
        """Rewrites the line; ends with the whole text once the run has ended."""
        if snapshot["status"] in LIVE_STATUSES:
            self._replace(line(snapshot))
            return
        self._replace("")
        self._out.write(table(snapshot) + "\n")
        self._out.flush()

    def clear(self) -> None:
        """Empties the line."""
        self._replace("")

    def _replace(self, text: str) -> None:
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            self._out.write("\r\x1b[2K" + text[:width])
            self._out.flush()


def line(snapshot: dict[str, Any]) -> str:
    """The run in one line: status, progress, newest values."""
    progress = snapshot.get("progress") or {}
    words = [progress_text(snapshot)]
    newest = [
        f"{one['name']} {value_text(one['last'])}" for one in series_of(snapshot) if not one["name"].startswith("lr")
    ]
    share = progress.get("step", 0) / progress["steps"] if progress.get("steps") else None
    bar = "" if share is None else "▕" + ("█" * round(12 * min(1.0, share))).ljust(12, "·") + "▏ "
    return without_codes(f"{snapshot['ref']} {status_words(snapshot)} {bar}" + "  ".join(words + newest[:4]))


def table(snapshot: dict[str, Any]) -> str:
    """The run's last state: what it did, and each metric's last, lowest and highest value."""
    rows = []
    for one in series_of(snapshot):
        values = [value for key in ("values", "lows", "highs") for value in one.get(key, []) if value is not None]
        low, high = (min(values), max(values)) if values else (None, None)
        rows.append((one["name"], value_text(one["last"]), value_text(low), value_text(high)))
    head = f"{snapshot['ref']}  {status_words(snapshot)}  {progress_text(snapshot)}"
    below = [tags_text(snapshot), *(text for _, text in notices(snapshot))]
    lines = [head, *(f"  {text}" for text in below if text)]
    if rows:
        rows.insert(0, ("metric", "last", "min", "max"))
        width = max(len(row[0]) for row in rows)
        lines += [f"  {row[0]:<{width}}  " + "  ".join(f"{cell:>10}" for cell in row[1:]) for row in rows]
    return without_codes("\n".join(lines))
