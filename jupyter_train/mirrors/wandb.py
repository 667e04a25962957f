"""Mirrors a run to Weights & Biases: reads the store from a cursor, sends each value once.

Run as `python -m jupyter_train.mirrors.wandb --store URL --run KEY [--project NAME]`.
"""

from __future__ import annotations

import argparse
import netrc
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jupyter_train.mirrors.wandb_file import sent_counts
from jupyter_train.mirrors.wandb_names import STEP, column_of
from jupyter_train.run import NOT_OPTIONS, PARTS, RunRecord, RunStatus
from jupyter_train.store import MetricReader, RunFolder, Store, open_store
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.redacted_output import mask_own_output
from jupyter_train.store.runs import Event

_POLL_INTERVAL_S = 1.0


class WandbMirror:
    """Follows one run until it has ended and everything is sent."""

    def __init__(self, store: Store, key: str, project: str) -> None:
        self._store = store
        self._record = store.get(key)
        self._folder = RunFolder(self._record.folder)
        self._project = project or "jupyter-train"
        self._cursor: dict[str, int] = dict(sent_counts(self._folder.path))
        self._told: set[str] = set()

    def follow(self) -> None:
        """Sends until the end."""
        client = self._start()
        while True:
            record = self._store.get(self._record.key)
            status = self._store.status_of(record)
            has_ended = not status.is_live and status is not RunStatus.QUEUED
            self._send(client, is_last=has_ended)
            if has_ended:
                self._end(client, record, status)
                return
            time.sleep(_POLL_INTERVAL_S)

    def _start(self) -> Any:
        import wandb

        mode: Any = os.environ.get("WANDB_MODE", "online" if has_key() else "offline")
        client = wandb.init(
            project=self._project,
            id=self._record.key.replace("-", ""),
            name=self._record.ref,
            resume="allow",
            dir=str(self._folder.path),
            mode=mode,
            config=_config(self._record),
            tags=self._record.tags or None,
            notes=self._record.note or None,
            group=self._group(),
            settings=wandb.Settings(
                console="off", save_code=False, disable_git=True, silent=True, x_disable_stats=True, x_disable_meta=True
            ),
        )
        client.define_metric(STEP)
        client.define_metric("*", step_metric=STEP)
        where = client.url if mode == "online" and client.url else f"offline, {Path(client.dir).parent}"
        self._tell(f"W&B: {where}")
        return client

    def _group(self) -> str | None:
        """Parts of one run, such as the trials of a search, lie together under its name."""
        if self._record.kind not in PARTS or self._record.parent is None:
            return None
        return self._store.get(self._record.parent).ref

    def _send(self, client: Any, is_last: bool) -> None:
        """Sends what is new; the newest step waits, since more may be logged at it."""
        with MetricReader(self._folder.metrics) as reader:
            fresh = reader.since(self._cursor)
        self._tell_renamed(fresh)
        for step, epoch, values in rows_of(fresh, is_last):
            client.log({STEP: step, "epoch": epoch} | {column_of(name): value for name, value in values.items()})
            for name in values:
                self._cursor[name] = self._cursor.get(name, 0) + 1

    def _tell_renamed(self, names: Iterable[str]) -> None:
        for name in names:
            if column_of(name) != name and name not in self._told:
                self._told.add(name)
                if self._cursor.get(name, 0) == 0:  # else the mirror before this one has said it
                    self._tell(f"`{name}` means something else to W&B: sent as `{column_of(name)}`")

    def _end(self, client: Any, record: RunRecord, status: RunStatus) -> None:
        best = record.summary.get("best") or {}
        name = f"best/{best['metric']}" if best else ""
        if best and name not in self._cursor:  # a series of the user's may be called so
            client.summary[name] = best["value"]
        client.finish(exit_code=0 if status in (RunStatus.FINISHED, RunStatus.STOPPED) else 1)

    def _tell(self, text: str) -> None:
        self._store.add_events(self._record.key, [Event(time.time(), None, "mirror", text, {})])


def rows_of(fresh: dict[str, list[Point]], is_last: bool) -> list[tuple[int, float, dict[str, float]]]:
    """New points as rows of step, epoch and values; the newest step left out unless nothing more will come.

    Values of one series never change their order, even where its steps go back or repeat (those get rows of
    their own): a mirror that starts again counts on it.
    """
    newest = max((points[-1].step for points in fresh.values()), default=-1)
    rows: dict[tuple[int, int, int], dict[str, float]] = defaultdict(dict)
    epochs: dict[tuple[int, int, int], float] = {}
    for name, points in fresh.items():
        furthest, turn = -1, 0
        for point in points:
            if point.step >= newest and not is_last:
                break
            turn = 0 if point.step > furthest else turn + 1
            furthest = max(furthest, point.step)
            place = furthest, turn, point.step
            rows[place][name] = point.value
            epochs[place] = point.epoch
    return [(place[2], epochs[place], rows[place]) for place in sorted(rows)]


def has_key() -> bool:
    """True when wandb has a key to log in with."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0].split(":")[0]
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _config(record: RunRecord) -> dict[str, Any]:
    return {name: value for name, value in record.config.items() if name not in NOT_OPTIONS}


def main() -> None:
    """Entry point of the mirror's process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", default="", help="default: the one the environment names")
    parser.add_argument("--run", required=True)
    parser.add_argument("--project", default="")
    options = parser.parse_args()
    mask_own_output()
    WandbMirror(open_store(options.store), options.run, options.project).follow()


if __name__ == "__main__":
    main()
