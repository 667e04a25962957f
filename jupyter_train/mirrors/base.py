"""What every mirror shares: it follows one run in the store and sends each value to its tracker once.

A tracker is one module with a `Mirror`, run in a process of its own by `main`. Whatever is killed, the tracker's own
count of what it has received is the cursor of the next process.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from jupyter_train.events import PARTS, EventKind
from jupyter_train.run import NOT_OPTIONS, RunRecord, RunStatus
from jupyter_train.store import MetricReader, RunFolder, Store, open_store
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.redacted_output import mask_own_output
from jupyter_train.store.runs import Event

_POLL_INTERVAL_S = 1.0


class MirroredRun(NamedTuple):
    """What a tracker gets of a run when its mirror starts.

    `id` is the same in every process of a mirror; `group` is the run that this one is a part of, such as a search.
    """

    id: str
    name: str
    folder: Path
    config: dict[str, Any]
    tags: list[str]
    note: str
    group: str | None


class MirroredRow(NamedTuple):
    """Values of one step by series."""

    step: int
    epoch: float
    values: dict[str, float]


class Mirror(Protocol):
    """One tracker.

    Attributes:
        label: What users call the tracker.
    """

    label: str

    def count_sent(self, folder: Path) -> Mapping[str, int]:
        """Number of values of each series that the tracker has from earlier processes of this mirror."""

    def start(self, run: MirroredRun) -> str:
        """Opens the run at the tracker and returns where it can be seen."""

    def name_of(self, series: str) -> str:
        """The tracker's name of a series."""
        return series

    def send(self, row: MirroredRow) -> None:
        """Sends a row; it counts as sent once `count_sent` of another process would count it."""

    def end(self, status: RunStatus, summary: Mapping[str, float]) -> None:
        """Sends what is left and the summary, and closes the run."""


class Follower:
    """Follows a run for a mirror until it has ended and everything is sent."""

    def __init__(self, store: Store, key: str, mirror: Mirror) -> None:
        self._store = store
        self._record = store.get(key)
        self._folder = RunFolder(self._record.folder)
        self._mirror = mirror
        self._cursor = Counter(mirror.count_sent(self._folder.path))
        self._reported: set[str] = set()

    def follow(self) -> None:
        """Sends new rows every second until the run has ended."""
        place = self._mirror.start(self._mirrored_run())
        self._report(f"{self._mirror.label}: {place}", place=place)
        while True:
            record = self._store.get(self._record.key)
            status = self._store.status_of(record)
            has_ended = not status.is_live and status is not RunStatus.QUEUED
            self._send(is_last=has_ended)
            if has_ended:
                self._mirror.end(status, self._best(record))
                return
            time.sleep(_POLL_INTERVAL_S)

    def _mirrored_run(self) -> MirroredRun:
        record = self._record
        config = {name: value for name, value in record.config.items() if name not in NOT_OPTIONS}
        is_part = record.kind in PARTS and record.parent is not None
        group = self._store.get(str(record.parent)).ref if is_part else None
        return MirroredRun(
            record.key.replace("-", ""), record.ref, self._folder.path, config, record.tags, record.note, group
        )

    def _send(self, is_last: bool) -> None:
        """Sends what is new; the newest step waits, since more may be logged at it."""
        with MetricReader(self._folder.metrics) as reader:
            new_points = reader.since(self._cursor)
        self._report_renamed(new_points)
        for row in rows_of(new_points, is_last):
            self._mirror.send(row)
            self._cursor.update(row.values.keys())

    def _report_renamed(self, names: Iterable[str]) -> None:
        for name in names:
            sent_as = self._mirror.name_of(name)
            if sent_as != name and name not in self._reported:
                self._reported.add(name)
                if not self._cursor[name]:  # else an earlier process has reported it
                    self._report(f"`{name}` means something else to {self._mirror.label}: sent as `{sent_as}`")

    def _best(self, record: RunRecord) -> dict[str, float]:
        best = record.summary.get("best") or {}
        name = f"best/{best['metric']}" if best else ""
        return {name: best["value"]} if best and name not in self._cursor else {}  # the user may log a series so named

    def _report(self, text: str, **data: str) -> None:
        facts = {"mirror": self._mirror.label, **data}
        self._store.add_events(self._record.key, [Event(time.time(), None, EventKind.MIRROR, text, facts)])


def rows_of(new_points: Mapping[str, list[Point]], is_last: bool) -> list[MirroredRow]:
    """New points as rows by step; the newest step is left out unless nothing more will come.

    Values of one series keep their order, even where steps decrease or repeat (those get rows of their own): a
    restarted mirror counts on it.
    """
    newest = max((points[-1].step for points in new_points.values()), default=-1)
    rows: dict[tuple[int, int, int], dict[str, float]] = defaultdict(dict)
    epochs: dict[tuple[int, int, int], float] = {}
    for name, points in new_points.items():
        furthest, repeats = -1, 0
        for point in points:
            if point.step >= newest and not is_last:
                break
            repeats = 0 if point.step > furthest else repeats + 1
            furthest = max(furthest, point.step)
            order = furthest, repeats, point.step
            rows[order][name] = point.value
            epochs[order] = point.epoch
    return [MirroredRow(order[2], epochs[order], rows[order]) for order in sorted(rows)]


def main(create_mirror: Callable[[str], Mirror]) -> None:
    """Entry point of a mirror's process: `python -m MODULE --run KEY [--store URL] [--project NAME]`.

    Args:
        create_mirror: Creates the mirror for a project's name, which may be empty.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", default="", help="default: `JUPYTER_TRAIN_STORE`")
    parser.add_argument("--run", required=True)
    parser.add_argument("--project", default="")
    options = parser.parse_args()
    mask_own_output()
    Follower(open_store(options.store), options.run, create_mirror(options.project)).follow()
