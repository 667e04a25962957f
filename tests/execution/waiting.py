"""Waiting for runs that train elsewhere."""

from __future__ import annotations

import time


def until(is_so, run, timeout_s: float = 60) -> None:
    """Waits until `is_so(run)`; fails with what the run, if there is one, says of itself."""
    deadline = time.monotonic() + timeout_s
    while not is_so(run):
        assert time.monotonic() < deadline, run and (run.status, run.record.message, run.log)
        time.sleep(0.05)


def has_begun(run) -> bool:
    """True once a step is recorded."""
    return bool(run.record.summary.get("progress", {}).get("step"))
