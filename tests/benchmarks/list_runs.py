"""The list of 10,000 runs, as the sidebar asks for it."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

RUNS = 10_000


def measure() -> list[dict[str, object]]:
    """Milliseconds for all rows out of the store, and for those that may have changed."""
    import sqlalchemy as sa

    from jupyter_train.run import RunRecord, RunStatus, new_key
    from jupyter_train.store import open_store, run_index
    from jupyter_train.store.runs import _row_of
    from jupyter_train.store.schema import runs

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder, 'store.db')}")
        summary = {
            "best": {"metric": "val_loss", "value": 0.25, "epoch": 7, "step": 700, "mode": "min"},
            "trail": [1 / (n + 1) for n in range(32)],
            "last": {f"metric_{n}": n / 7 for n in range(8)},
            "progress": {"stage": "ended", "epoch": 20, "epochs": 20, "step": 2000, "steps": 2000},
        }
        config = {f"option_{n}": "value" for n in range(60)}
        rows = [
            _row_of(
                RunRecord(
                    new_key(),
                    f"run-{n}",
                    "abcd",
                    status=RunStatus.FINISHED,
                    created_at=time.time() - n,
                    summary=summary,
                    config=config,
                )
            )
            for n in range(RUNS)
        ]
        with store.engine.begin() as connection:
            connection.execute(sa.insert(runs), rows)
        asked = {
            f"{RUNS:,} runs": lambda: run_index.index_entries(store, RUNS),
            "what may have changed": lambda: run_index.index_entries(store, RUNS, time.time() - 10),
        }
        return [_row(name, work) for name, work in asked.items()]


def _row(name: str, work: object) -> dict[str, object]:
    spent = []
    for _ in range(15):
        began = time.perf_counter()
        work()  # type: ignore[operator]
        spent.append(time.perf_counter() - began)
    return {"what": name, "ms": round(statistics.median(spent) * 1000, 1), "target": "< 50"}
