"""What this machine lets one user's process take: processors and GPUs."""

from __future__ import annotations

import math
import os
from pathlib import Path

#: A machine with one processor still trains on two devices: that is how it is tried out.
_MIN = 2
#: With `--oversubscribe`, so many processes share a processor; more bring a machine down.
_MAX_A_CORE = 8
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_DEVICES = Path("/dev")
#: Device files of NVIDIA's and AMD's drivers, and of TPUs.
_GPU_FILES = ("nvidia[0-9]*", "dri/renderD*", "accel[0-9]*")


def cores() -> int:
    """Processors this process may use: its affinity, or what its container is given where that is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota()))


def _quota() -> int:
    """Whole processors of the control group's quota; more than any machine has where there is none."""
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return 1 << 30


def most_processes() -> int:
    """How many processes may compute at once: one a processor, or one a GPU where there are more of those.

    GPUs are counted by their device files, so that torch need not be imported; which of them can be used is decided
    by `pl.Trainer`.
    """
    gpus = max((len(list(_DEVICES.glob(pattern))) for pattern in _GPU_FILES), default=0)
    return max(_MIN, cores(), gpus)


def most_processes_at_all() -> int:
    """The same with `--oversubscribe`."""
    return _MAX_A_CORE * most_processes()
