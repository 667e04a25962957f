"""How long `%load_ext jupyter_train` takes, in fresh processes with IPython already imported."""

from __future__ import annotations

import statistics
import subprocess
import sys

_PROBE = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic('load_ext', 'jupyter_train')
print(time.perf_counter() - began)
"""
REPEATS = 15


def measure() -> list[dict[str, object]]:
    """Median and range over fresh processes, in milliseconds."""
    times = []
    for _ in range(REPEATS):
        done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True)
        times.append(1000 * float(done.stdout.splitlines()[-1]))
    row = {
        "what": "%load_ext",
        "median ms": round(statistics.median(times)),
        "min": round(min(times)),
        "max": round(max(times)),
    }
    return [row | {"target ms": 100}]
