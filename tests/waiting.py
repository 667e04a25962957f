"""Waiting for what other threads and processes do: generous limits, and a failure says what was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: No test measures time: it is long enough for a machine that is shared with others.
LIMIT_S = 150
_POLL_INTERVAL_S = 0.02


def until(condition: Callable[..., Any], *subjects: Any, process: Any = None, timeout_s: float = LIMIT_S) -> Any:
    """Waits until `condition(*subjects)` is true; gives what it returned.

    Args:
        condition: Called again and again.
        subjects: Given to it; of a run among them a failure shows status, message and log.
        process: A `subprocess.Popen` that has to live until then.
        timeout_s: Fails after so many seconds.

    Raises:
        AssertionError: The process has ended, or the time is over.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := condition(*subjects)):
        assert process is None or process.poll() is None, f"{_end_of(process)}; {_seen(value, subjects)}"
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s; {_seen(value, subjects)}"
        time.sleep(_POLL_INTERVAL_S)
    return value


def _end_of(process: Any) -> str:
    return f"exit status {process.returncode}, output {process.communicate()!r}"


def _seen(value: Any, subjects: tuple[Any, ...]) -> str:
    runs = [(run.status, run.record.message, getattr(run, "log", "")) for run in subjects if hasattr(run, "record")]
    return f"last seen: {value!r} of {runs or subjects!r}"


def has_begun(run: Any) -> bool:
    """True once a step is recorded."""
    return bool(run.record.summary.get("progress", {}).get("step"))
