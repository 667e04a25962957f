"""Rows of the sidebar's list: one run each, as small JSON."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from jupyter_train.exceptions import DamagedError
from jupyter_train.panel.status import row_text
from jupyter_train.run import duration_s, ended_with
from jupyter_train.store import Store
from jupyter_train.store.readable_rows import unreadable_message
from jupyter_train.store.run_index import RunIndexEntry, count, index_entries

#: A list never holds more.
MAX_ROWS = 20_000
_RECENT_S = 15.0
#: What a row raises whose texts are not those that were written.
DAMAGE = (ValueError, TypeError, AttributeError, KeyError, RecursionError)


def row_of(store: Store, outline: RunIndexEntry, root: str) -> dict[str, Any]:
    """What the list shows of a run; `notebook` is relative to the server's root, empty when it lies outside."""
    summary, status = outline.summary, store.status_of(outline)
    ended = ended_with(outline.status, summary)
    best, progress = summary.get("best") or {}, summary.get("progress") or {}
    return {
        "key": outline.key,
        "ref": f"{outline.name}-{outline.code}",
        "status": status.value,
        "status_text": row_text(status, ended, progress),
        "ended_with": ended,
        "kind": outline.kind,
        "metric": best.get("metric", ""),
        "best": best.get("value"),
        "mode": best.get("mode", ""),
        "trail": summary.get("trail", []),
        "epoch": progress.get("epoch"),
        "epochs": progress.get("epochs"),
        "created_at": outline.created_at,
        "duration_s": duration_s(summary, outline.started_at, outline.ended_at or outline.heartbeat_at),
        "size_bytes": outline.size_bytes,
        "tags": outline.tags,
        "notebook": below(outline.notebook, root),
        "cell": summary.get("cell", ""),
    }


def below(notebook: str, root: str) -> str:
    """A notebook's path relative to the server's root; empty when it lies outside."""
    if not notebook or not root:
        return ""
    relative = os.path.relpath(notebook, root)
    return "" if relative.startswith("..") else relative.replace(os.sep, "/")


class RowChanges:
    """What changed in the list since the last request; one for each reader."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._sent: dict[str, int] = {}
        self._damaged: set[str] = set()
        self._unreadable = 0

    @property
    def message(self) -> str:
        """What to say of runs that cannot be shown; empty when all can."""
        return unreadable_message(self._unreadable + len(self._damaged))

    def look(self, store: Store) -> tuple[Iterator[dict[str, Any]], list[str]]:
        """Rows that are new or another, and keys of runs that are gone."""
        is_all = _count(store) != len(self._sent) + len(self._damaged) + self._unreadable
        entries = index_entries(store, MAX_ROWS, None if is_all else time.time() - _RECENT_S)
        if is_all:
            self._unreadable = entries.unreadable
            self._damaged.clear()
        gone = [*(set(self._sent) - {outline.key for outline in entries})] if is_all else []
        for key in gone:
            del self._sent[key]
        return self._changed(store, entries), gone

    def _changed(self, store: Store, entries: list[RunIndexEntry]) -> Iterator[dict[str, Any]]:
        for outline in entries:
            try:
                status = store.status_of(outline)
                mark = hash((status, *outline))
                if self._sent.get(outline.key) != mark:
                    row = row_of(store, outline, self._root)
                    self._sent[outline.key] = mark
                    yield row
            except DAMAGE:
                self._damaged.add(outline.key)


def _count(store: Store) -> int:
    """How many runs there are; -1 where not even they can be counted: then all are looked at."""
    try:
        return min(count(store), MAX_ROWS)
    except DamagedError:
        return -1


def rows_of(store: Store, limit: int, root: str) -> tuple[list[dict[str, Any]], str]:
    """The newest runs, and what to say of those that cannot be shown."""
    entries = index_entries(store, limit)
    rows = []
    for outline in entries:
        try:
            rows.append(row_of(store, outline, root))
        except DAMAGE:
            entries.unreadable += 1
    return rows, entries.message
