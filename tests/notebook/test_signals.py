"""SIGINT and SIGTERM while a notebook is executed: the cell ends first, and everything at the second."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from jupyter_train.exceptions import TrainingInterrupted
from jupyter_train.notebook.signals import SignalWatch


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "words", "is_limited"),
    [(signal.SIGINT, "interrupted", False), (signal.SIGTERM, "ended by SIGTERM", True)],
)
def test_the_first_signal_ends_the_cell_and_the_second_raises(number: int, words: str, is_limited: bool) -> None:
    asked: list[bool] = []
    with SignalWatch() as watch:
        watch.end_cell = lambda limited: asked.append(limited) or True  # type: ignore[func-returns-value]
        watch.check()
        assert not watch.is_interrupted
        send(number)
        assert (asked, watch.is_interrupted) == ([is_limited], True)
        with pytest.raises(TrainingInterrupted, match=words):
            watch.check()
        with pytest.raises(TrainingInterrupted, match=words):
            send(number)
        assert asked == [is_limited]


def test_between_two_cells_a_signal_raises_at_once() -> None:
    with SignalWatch(), pytest.raises(TrainingInterrupted, match="interrupted"):
        send(signal.SIGINT)


def test_handlers_are_as_before_once_the_outermost_watch_is_left() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with SignalWatch() as outer, SignalWatch() as inner:
        inner.end_cell = lambda _is_limited: True
        send(signal.SIGINT)
        assert (inner.is_interrupted, outer.is_interrupted) == (True, False)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_changes_no_handler() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[Any] = []

    def work() -> None:
        with SignalWatch():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
