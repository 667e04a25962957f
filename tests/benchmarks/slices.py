"""Processes that train slice by slice and are stopped in between, so that only one runs at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys


class Trainee:
    """A process that trains a slice on command.

    Args:
        module: What is run with `python -m`; it says how many seconds a slice took, a line each.
        *arguments: Its arguments.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._answer()
        self._send(signal.SIGSTOP)

    def slice(self) -> float:
        """Trains one slice; how many seconds it took."""
        assert self._process.stdin is not None
        self._send(signal.SIGCONT)
        os.write(self._process.stdin.fileno(), b".")
        spent_s = self._answer()
        self._send(signal.SIGSTOP)
        return spent_s

    def _send(self, number: int) -> None:
        os.killpg(self._process.pid, number)  # with whatever it has started, such as a mirror

    def _answer(self) -> float:
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Ends it and what it has started."""
        self._send(signal.SIGKILL)
        self._process.communicate()


def quartiles(values: list[float], base: list[float]) -> tuple[float, float, float]:
    """First quartile, median and third quartile of the ratios of values of the same round."""
    ratios = sorted(value / other for value, other in zip(values, base, strict=True))
    return ratios[len(ratios) // 4], ratios[len(ratios) // 2], ratios[-1 - len(ratios) // 4]
