"""Tracks which metrics of a run are NaN or infinite; runs on the writer's thread, never on the training thread."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from jupyter_train.store.text_columns import listed, quoted

#: What to try next.
_ADVICE = "try a lower `--lr`, `--gradient-clip-val 1` or `--detect-anomaly`"


class _Since(NamedTuple):
    """Since which step a metric is `NaN` or `infinite`."""

    kind: str
    step: int
    is_from_first: bool


class NonFinite:
    """Metrics whose newest value is no finite number.

    Attributes:
        matters: Whether a metric says that the model has diverged: a loss does.
        on_matters: Called with a message when such a metric stops being finite.

    Args:
        report: Called once for every metric that is not finite, with its name, a message and the step.
    """

    def __init__(self, report: Callable[[str, str, int], None]) -> None:
        self.matters: Callable[[str], bool] = lambda name: "loss" in name.lower()
        self.on_matters: Callable[[str], None] = lambda _text: None
        self.now: dict[str, _Since] = {}
        self._report = report
        self._reported: set[str] = set()

    def see(self, name: str, value: float, step: int, is_first: bool) -> None:
        """Notes a value that is not finite.

        Args:
            name: The metric.
            value: NaN or an infinity.
            step: The step that logged it.
            is_first: Whether the metric had no value before.
        """
        kind = "NaN" if math.isnan(value) else "infinite"
        since = self.now.get(name)
        if since is not None:
            if since.kind != kind:  # infinite, then NaN: the usual course of an overflow
                self.now[name] = _Since(kind, step, False)
            return
        self.now[name] = _Since(kind, step, is_first)
        message = (
            f"{name} became {kind} at step {step:,}" if not is_first else f"{name} is {kind} from its first value on"
        )
        if name not in self._reported:
            self._reported.add(name)
            self._report(name, message, step)
        if self.matters(name):
            self.on_matters(message)

    def back(self, name: str) -> None:
        """Notes that a metric is finite again."""
        self.now.pop(name, None)

    @property
    def ended_with(self) -> str:
        """`NaN` or `inf` where a metric that matters is so now; empty where all are finite."""
        kinds = {since.kind for since in self._diverged().values()}
        return "NaN" if "NaN" in kinds else "inf" if kinds else ""

    @property
    def message(self) -> str:
        """The message of a run that has ended so; empty where all metrics that matter are finite."""
        diverged = self._diverged()
        if not diverged:
            return ""
        first, since = min(diverged.items(), key=lambda item: item[1].step)
        start = "its first value" if since.is_from_first else f"step {since.step:,}"
        kinds = {name: state.kind for name, state in diverged.items() if name != first}
        same = [name for name, kind in kinds.items() if kind == since.kind]
        different = [name for name, kind in kinds.items() if kind != since.kind]
        more = f", as {_are(same)} {listed(quoted(same))}" if same else ""
        if different:
            more += f", and {listed(quoted(different))} {_are(different)} {kinds[different[0]]}"
        return f"`{first}` is {since.kind} from {start} to the end{more}: {_ADVICE}"

    def _diverged(self) -> dict[str, _Since]:
        return {name: since for name, since in self.now.items() if self.matters(name)}


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
