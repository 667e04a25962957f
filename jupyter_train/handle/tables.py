"""Several runs side by side: the list and the comparison."""

from __future__ import annotations

import base64
import html
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.handle import Run
from jupyter_train.panel.format import duration_text, size_text, value_text
from jupyter_train.panel.image_file import write_picture
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.svg import held, svg
from jupyter_train.run import NOT_OPTIONS, RunRecord, RunStatus
from jupyter_train.store.text_columns import without_codes

if TYPE_CHECKING:
    from jupyter_train.store import Store
    from jupyter_train.store.readable_rows import ReadableRows

_COLUMNS = ("run", "status", "best", "epochs", "duration", "size", "when", "tags")
_CELL = "text-align:left;padding:3px 16px 3px 0;border:0"


class RunTable:
    """The newest runs, as a table in a notebook and in a terminal; indexing and iterating give each `Run`."""

    def __init__(self, store: Store, records: ReadableRows[RunRecord]) -> None:
        self._store = store
        self._records = records
        #: A note about runs that cannot be read; empty for none.
        self.note = records.message

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Run:
        return Run(self._store, self._records[index].key)

    def __iter__(self) -> Iterator[Run]:
        return (Run(self._store, record.key) for record in self._records)

    def rows(self) -> list[tuple[str, ...]]:
        """One row of text per run, in the order of the columns."""
        return [self._row(record) for record in self._records]

    def _row(self, record: RunRecord) -> tuple[str, ...]:
        best = record.summary.get("best") or {}
        progress = record.summary.get("progress") or {}
        shown = f"{best['metric']} {value_text(best['value'])}" if best else "–"
        return (
            record.ref,
            _status_text(self._store.status_of(record), record),
            shown,
            str(progress.get("epoch", "–")),
            duration_text(record.duration_s),
            size_text(record.size_bytes),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created_at)),
            " ".join(record.tags),
        )

    def __repr__(self) -> str:
        if not self._records:
            return self.note or "no runs yet; start one with `%train model data --epochs 10`"
        rows = [_COLUMNS, *self.rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return without_codes("\n".join(lines + [self.note] * bool(self.note)))

    def _repr_html_(self) -> str:
        note = f"<div>{html.escape(self.note)}</div>" if self.note else ""
        if not self._records:
            return note or "<div>no runs yet; start one with <code>%train model data --epochs 10</code></div>"
        return _table(_COLUMNS, self.rows()) + note


def _status_text(status: RunStatus, record: RunRecord) -> str:
    if record.ended_with:
        return f"{status} with {record.ended_with}"
    reason = record.waits_for.partition(",")[0] if status is RunStatus.QUEUED else ""
    return f"{status}, waits for {reason}" if reason else str(status)


class Comparison:
    """Runs overlaid: curves of every shared metric, and the options that differ."""

    def __init__(self, store: Store, runs: list[Run]) -> None:
        self._runs = runs
        self._snapshots = [snapshot(store, run.key) for run in runs]

    @property
    def differences(self) -> dict[str, list[Any]]:
        """Name of each option that differs, to one value per run, in order."""
        configs = [_flat(run.config) for run in self._runs]
        names = dict.fromkeys(name for config in configs for name in config)
        values_by_name = {name: [config.get(name) for config in configs] for name in names}
        return {name: values for name, values in values_by_name.items() if any(value != values[0] for value in values)}

    def svg(self) -> str:
        """The overlaid curves; an empty string when there are none."""
        families: dict[str, list[dict[str, Any]]] = {}
        for shot in self._snapshots:
            for family in shot["families"]:
                for series in family["series"]:
                    label = f"{shot['ref']} {series['role'] if series['role'] != 'other' else ''}".strip()
                    shown_points = held(series, (shot.get("progress") or {}).get("step"))
                    shown = shown_points | {"name": label, "role": "other", "like": series["name"]}
                    families.setdefault(family["name"], []).append(shown)
        drawn = [{"name": name, "series": series} for name, series in families.items()]
        return svg({"families": drawn, "best": None})

    def save_curves(self, path: str | Path) -> Path:
        """Writes the overlaid curves as `.svg` or `.png`."""
        return write_picture(self.svg(), path)

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (name, *("–" if value is None else str(value) for value in values))
            for name, values in self.differences.items()
        ]
        best = [shot.get("best") for shot in self._snapshots]
        rows.append(("best", *(f"{b['metric']} {value_text(b['value'])}" if b else "–" for b in best)))
        return rows

    def __repr__(self) -> str:
        rows = [("option", *(run.ref for run in self._runs)), *self._rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return without_codes("\n".join(lines))

    def _repr_html_(self) -> str:
        table = _table(("option", *(run.ref for run in self._runs)), self._rows())
        drawn = self.svg()
        if not drawn:
            return table
        source = "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode()
        names = html.escape(", ".join(run.ref for run in self._runs), quote=True)
        return f'{table}<img alt="Curves of {names}" src="{source}" style="max-width:100%">'


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in config.items() if name not in NOT_OPTIONS}
    typed = config.get("expressions")
    return flat | {f"{name} (typed)": text for name, text in (typed if isinstance(typed, dict) else {}).items()}


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f'<th style="{_CELL}">{html.escape(name)}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{html.escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    style = "font:13px system-ui,sans-serif;font-variant-numeric:tabular-nums;border-collapse:collapse"
    return f'<table style="{style}"><tr>{head}</tr>{body}</table>'
