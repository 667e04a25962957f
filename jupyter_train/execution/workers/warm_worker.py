"""A worker that waits for its job: imports what every run needs, then reads one line of JSON."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import sys
from collections.abc import Iterable
from pathlib import Path

from jupyter_train.execution.workers.crash_report import open_crash_file

_TIMEOUT_S = 600.0


#: Modules of `jupyter_train.training`, which import torch and Lightning.
_NEEDED = (
    "checkpoints.initial_weights",
    "data.fingerprint",
    "data.loaders",
    "data.tabular",
    "fit",
    "model",
    "state.seeds",
)


def import_all(likely: Iterable[str]) -> None:
    """Imports what every run needs, and more.

    Args:
        likely: Modules to import besides, where they are there.
    """
    for name in [f"jupyter_train.training.{part}" for part in _NEEDED] + [
        "jupyter_train.execution.run_attempt",
        *likely,
    ]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def wait_for_job(likely: list[str]) -> tuple[str, str] | None:
    """The run and its payload's hash; None when none came in ten minutes, or its parent is gone.

    Args:
        likely: Modules to import besides.
    """
    import_all(likely)
    if not select.select([0], [], [], _TIMEOUT_S)[0]:
        return None
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return None
    job = json.loads(line)
    os.environ.clear()
    os.environ.update(job["environment"])
    _stand_in(Path(job["folder"]))
    return job["run"], job["sha256"]


def _stand_in(folder: Path) -> None:
    """From now on the same files as a worker that was started for this run."""
    with open_crash_file(folder) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
