"""Samples the CPU, memory and GPU use of a fit over time, in at most 40 values each."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

import psutil
import torch

from jupyter_train.store.writer import RunWriter

_PERIOD_S = 2.0
#: Listing the machine's processes takes a millisecond, which a fit that is over by then does not spend.
_FIRST_S = 0.2
_MAX_SAMPLES = 40


class Resources:
    """Samples this process and its children; where there are too many samples, every second one is dropped.

    Args:
        writer: Records the samples in the run's summary.
    """

    def __init__(self, writer: RunWriter) -> None:
        self._writer = writer
        self._known: dict[int, psutil.Process] = {}
        self._period_s = _PERIOD_S
        self._due = time.monotonic() + _FIRST_S
        self._has_looked = False
        self._samples: list[dict[str, float | None]] = []

    def sample(self) -> None:
        """Takes a sample where one is due; called by the writer's thread."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + self._period_s
        with contextlib.suppress(psutil.Error):
            usage = self._usage()
            if not self._has_looked:  # the first answer of a processor's share is always 0
                self._has_looked = True
                return
            self._samples.append(usage)
            if len(self._samples) > _MAX_SAMPLES:
                self._samples = self._samples[::2]
                self._period_s *= 2
            self._writer.summary(resources=self._columns())

    def _columns(self) -> dict[str, Any]:
        names = [name for name in self._samples[-1] if any(sample.get(name) is not None for sample in self._samples)]
        return {name: [sample.get(name) for sample in self._samples] for name in names}

    def _usage(self) -> dict[str, float | None]:
        own = psutil.Process()
        # DataLoader workers and other ranks; not the detached runs and servers that this process also started
        family = [own, *(child for child in own.children(recursive=True) if _session_id(child.pid) == os.getsid(0))]
        self._known = {process.pid: self._known.get(process.pid, process) for process in family}
        share, memory = 0.0, 0
        for process in self._known.values():
            with contextlib.suppress(psutil.Error):  # a DataLoader worker may just have ended
                share += process.cpu_percent(None)
                memory += process.memory_info().rss
        share /= psutil.cpu_count() or 1
        return {"cpu_percent": round(share, 1), "memory_gb": round(memory / 2**30, 2)} | _gpu_usage()


def _session_id(process: int) -> int:
    try:
        return os.getsid(process)
    except OSError:  # it has just ended
        return 0


def _gpu_usage() -> dict[str, float | None]:
    """Of the GPUs this process uses: the busiest one's percent (by NVML, where installed), memory reserved in GiB."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return {}
    devices = [index for index in range(torch.cuda.device_count()) if torch.cuda.memory_reserved(index)]
    share: float | None = None
    with contextlib.suppress(Exception):  # no NVML, a driver of another release, a device in MIG mode
        share = float(max(torch.cuda.utilization(index) for index in devices))
    memory = sum(torch.cuda.memory_reserved(index) for index in devices)
    return {"gpu_percent": share, "gpu_memory_gb": round(memory / 2**30, 2)}
