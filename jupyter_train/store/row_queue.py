"""The queue of rows between training and the appender, which checks them for NaN and against earlier attempts."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jupyter_train.store.metric_values import MetricValues
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import WEIGHTS, HistoryPosition
from jupyter_train.store.non_finite import NonFinite
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.store.text_columns import storable


class Row(NamedTuple):
    """Values logged at one step, as (name, value) pairs."""

    step: int
    epoch: float
    time: float
    values: Sequence[tuple[str, Any]]


class HistoryMarker:
    """Marks a position in the queue of rows; `position` is set once the writer has taken all rows before it."""

    def __init__(self) -> None:
        self.position: HistoryPosition | None = None


class HistoryRestart:
    """From here on the series restart at step 0."""


class HistorySettled(NamedTuple):
    """From here on no expected value comes any more: the run has ended at `last_step`, or passed all of them."""

    last_step: int | None


QueuedItem = Row | HistoryMarker | HistoryRestart | HistorySettled


class RowQueue:
    """Appended to by the training thread, emptied by the writer's.

    Attributes:
        last: The newest value of every visible series.

    Args:
        to_floats: Converts values to floats, or raises.
        report: Called once for each series with an unreadable value: its step and a message.
        non_finite: Notes NaN and infinite values.
        replay_check: Compares with earlier attempts; None where there are none.
    """

    def __init__(
        self,
        to_floats: Callable[[list[Any]], list[float]],
        report: Callable[[int, str], None],
        non_finite: NonFinite,
        replay_check: ReplayCheck | None,
    ) -> None:
        self.last: dict[str, float] = {}
        self._values = MetricValues(to_floats, report)
        self._non_finite = non_finite
        self._replay_check = replay_check
        self._items: deque[QueuedItem] = deque()

    def append(self, item: QueuedItem) -> None:
        """Adds a row, or something to do between two rows."""
        self._items.append(item)

    def clear(self) -> None:
        """Drops everything queued."""
        self._items.clear()

    def move_to(self, appender: MetricAppender) -> None:
        """Moves everything queued to the appender; values are copied to the host in one batch.

        Raises:
            sqlite3.Error: The file cannot be read; everything stays queued.
        """
        taken = [self._items.popleft() for _ in range(len(self._items))]
        rows = [item for item in taken if type(item) is Row]
        names = {name: storable(name) for name in dict.fromkeys(name for row in rows for name, _ in row.values)}
        try:
            appender.prepare(names.values())
        except BaseException:
            self._items.extendleft(reversed(taken))
            raise
        places = ((row.step, name) for row in rows for name, _ in row.values)
        numbers = self._values.of([value for row in rows for _, value in row.values], places)
        for item in taken:
            self._move(item, numbers, names, appender)  # must not raise: the rows after it would be lost

    def _move(
        self,
        item: QueuedItem,
        numbers: Iterator[float | None],
        names: Mapping[str, str],
        appender: MetricAppender,
    ) -> None:
        if isinstance(item, Row):
            self._move_row(item, numbers, names, appender)
        elif isinstance(item, HistoryMarker):
            item.position = appender.position()
        elif isinstance(item, HistoryRestart):
            appender.restart_history()
        elif self._replay_check is not None:
            self._replay_check.settle(item.last_step)

    def _move_row(
        self, row: Row, numbers: Iterator[float | None], names: Mapping[str, str], appender: MetricAppender
    ) -> None:
        for (name, _), value in zip(row.values, numbers, strict=False):
            if value is None:
                continue
            try:
                self._record(names[name], Point(row.step, row.epoch, value, row.time), appender)
            except Exception as err:  # noqa: BLE001  a sum that overflows, or a bug of the package
                self._values.leave_out(row.step, name, err)

    def _record(self, name: str, point: Point, appender: MetricAppender) -> None:
        appender.append(name, point)
        if name != WEIGHTS:
            if not math.isfinite(point.value):
                self._non_finite.see(name, point.value, point.step, name not in self.last)
            elif self._non_finite.now:
                self._non_finite.back(name)
            self.last[name] = point.value
        if self._replay_check is not None:
            self._replay_check.see(name, point)
