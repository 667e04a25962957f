"""The store: opening 10 M points, listing 10,000 runs, rows per second in."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from jupyter_train.run import RunRecord, code_of, new_key
from jupyter_train.store import MetricReader, open_store
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.runs import _row_of
from jupyter_train.store.schema import runs

POINTS = 10_000_000
RUNS = 10_000


def _median_ms(work, repeats: int = 9) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(times), 1)


def measure() -> list[dict[str, object]]:
    """Milliseconds to open; points per second written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "metrics.db")
        appender = MetricAppender(path)
        began = time.perf_counter()
        for step in range(POINTS):
            appender.append("loss", Point(step, 0.0, (step * 2654435761) % 1000 / 1000, 0.0))
            if step % 20_000 == 0:
                appender.commit()
        appender.commit()
        written = time.perf_counter() - began

        def open_all() -> None:
            with MetricReader(path) as reader:
                assert sum(bucket.finite for bucket in reader.picture("loss", 150)) == POINTS

        opened = _median_ms(open_all)
        megabytes = round(path.stat().st_size / 2**20)
    store = open_store()
    rows = []
    for number in range(RUNS):
        key = new_key()
        summary = {"best": {"metric": "val_loss", "value": 0.1, "epoch": 3, "step": number}}
        record = RunRecord(key=key, name="digits", code=code_of(key, 8), created_at=float(number), summary=summary)
        rows.append(_row_of(record))
    with store.engine.begin() as connection:
        connection.execute(runs.insert(), rows)
    return [
        {"what": "open a series of 10 M points (ms)", "median": opened, "target": 200},
        {
            "what": "list the newest 100 of 10,000 runs (ms)",
            "median": _median_ms(lambda: store.list_runs(100)),
            "target": 50,
        },
        {"what": "points written per second", "median": round(POINTS / written), "target": ""},
        {"what": "size of 10 M points (MiB)", "median": megabytes, "target": ""},
    ]
