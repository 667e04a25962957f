"""What every mirror shares, shown by a second one: each value reaches the tracker once, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from jupyter_train.mirrors.base import rows_of
from jupyter_train.run import RunStatus
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.writer import Row
from tests.mirrors.recording import begun, stored
from tests.waiting import until


def start(store, key: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.mirrors.json_lines", "--store", store.url, "--run", key, "--project", "out"]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2])


def lines(folder: Path) -> list[list]:
    path = folder / "out.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_second_mirror_gets_every_value_once_though_it_is_killed_and_started_again(store) -> None:
    record, folder, lock, writer = begun(store)
    for steps in (range(40), range(40, 90)):
        for step in steps:
            writer.add(Row(step, step / 10, time.time(), [("loss", step / 7), ("acc", step / 9)]))
        writer.flush()
        process = start(store, record.key)
        until(lambda last=steps[-1]: len(lines(folder.path)) >= last)  # the newest step waits
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    writer.close(RunStatus.FINISHED)
    lock.release()
    assert start(store, record.key).wait(timeout=120) == 0
    *rows, end = lines(folder.path)
    sent = defaultdict(list)
    for step, values in rows:
        for name, value in values.items():
            sent[name].append((step, value))
    assert end == ["finished", {}]
    assert dict(sent) == stored(folder.path)
    assert len(rows) == 90
    assert [e.text for e in store.events_of(record.key)] == [f"JSON: {folder.path / 'out.jsonl'}"] * 3


def test_rows_keep_each_series_in_order_even_where_steps_go_back() -> None:
    fresh = {
        "loss": [Point(step, 0.0, float(index), 0.0) for index, step in enumerate([0, 1, 5, 3, 3, 6])],
        "acc": [Point(step, 0.0, float(step), 0.0) for step in range(7)],
    }
    rows = rows_of(fresh, is_last=True)
    assert [row.values["loss"] for row in rows if "loss" in row.values] == [0, 1, 2, 3, 4, 5]
    assert [row.values["acc"] for row in rows if "acc" in row.values] == list(range(7))
    assert [row.step for row in rows if "loss" in row.values] == [0, 1, 5, 3, 3, 6]


def test_the_newest_step_waits_for_its_other_values() -> None:
    fresh = {"loss": [Point(0, 0.0, 1.0, 0.0), Point(1, 0.0, 2.0, 0.0)]}
    assert [step for step, *_ in rows_of(fresh, is_last=False)] == [0]
    assert [step for step, *_ in rows_of(fresh, is_last=True)] == [0, 1]
