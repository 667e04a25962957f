"""One entry point: `python -m tests.benchmarks [NAME ...]`, all if none is named. Prints tables, writes JSON."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

NAMES = (
    "load_ext",
    "start",
    "recorder",
    "recorder_switched",
    "recorder_parts",
    "train",
    "train_parts",
    "memory",
    "output",
    "store",
    "list_runs",
    "detached",
    "panel",
)
RESULTS = Path(__file__).parent / "results"


def main(names: list[str]) -> None:
    """Runs the named benchmarks, or all."""
    RESULTS.mkdir(exist_ok=True)
    for name in names or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["JUPYTER_TRAIN_STORE"] = str(Path(folder, "store.db"))
            os.environ["JUPYTER_TRAIN_HOME"] = str(Path(folder, "runs"))
            rows = importlib.import_module(f"tests.benchmarks.{name}").measure()
        _print(name, rows)
        about = {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}
        about["at"] = time.strftime("%Y-%m-%d")
        (RESULTS / f"{name}.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


def _print(name: str, rows: list[dict[str, object]]) -> None:
    print(f"\n{name}")
    columns = list(rows[0])
    widths = [
        max(len(str(row.get(column, ""))) for row in [dict(zip(columns, columns, strict=True)), *rows])
        for column in columns
    ]
    for row in [dict(zip(columns, columns, strict=True)), *rows]:
        print(
            "  "
            + "  ".join(str(row.get(column, "")).ljust(width) for column, width in zip(columns, widths, strict=True))
        )


if __name__ == "__main__":
    main(sys.argv[1:])
