"""Processors and GPUs that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

#: One processor still runs two processes, so that `ddp` can be tried anywhere.
_MIN = 2
#: Processes per processor with `--oversubscribe`; more make a machine unresponsive.
_MAX_PER_CORE = 8
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_DEVICES = Path("/dev")
#: Device files of NVIDIA's and AMD's drivers, and of TPUs.
_GPU_FILES = ("nvidia[0-9]*", "dri/renderD*", "accel[0-9]*")


def cores() -> int:
    """Processors this process may use: its CPU affinity or its container's quota, whichever is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota()))


def _quota() -> int:
    """CPU quota of the control group, rounded up; a number above any machine's where there is none."""
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return 1 << 30


def max_processes() -> int:
    """The number of concurrent processes: one per processor, or per GPU where there are more GPUs.

    GPUs are counted by their device files, without importing torch; `pl.Trainer` decides which of them are usable.
    """
    gpus = max((len(list(_DEVICES.glob(pattern))) for pattern in _GPU_FILES), default=0)
    return max(_MIN, cores(), gpus)


def max_processes_oversubscribed() -> int:
    """The number of concurrent processes with `--oversubscribe`."""
    return _MAX_PER_CORE * max_processes()
