"""Interrupt and SIGTERM while training: counted, raised at the second, and heard by whoever is around."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from jupyter_train.training.interrupt import AbortTraining, InterruptWatch, StopTraining, watch_now
from tests.waiting import until


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def test_the_first_interrupt_is_counted_and_the_second_raises() -> None:
    with InterruptWatch() as watch:
        assert not watch.is_requested
        send()
        assert (watch.count, watch.is_requested, watch.is_terminated) == (1, True, False)
        with pytest.raises(AbortTraining):
            send()


def test_sigterm_is_noted_and_passed_on_once_everything_is_recorded() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        with InterruptWatch() as watch:
            send(signal.SIGTERM)
            send(signal.SIGTERM)
            assert (watch.is_terminated, watch.count, heard) == (True, 0, [])
        watch.pass_on()
        assert heard == [signal.SIGTERM]
        InterruptWatch().pass_on()
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_after_a_second_interrupt_what_is_left_is_done_to_its_end() -> None:
    with InterruptWatch() as watch:
        watch.rest()
        for _ in range(3):
            send()
        assert watch.count == 3


def test_a_watch_inside_another_lets_that_one_know() -> None:
    with InterruptWatch() as outer:
        with InterruptWatch() as inner:
            assert (inner.around, watch_now()) == (outer, inner)
            send()
            assert (inner.count, outer.count) == (1, 1)
        assert watch_now() is outer
    assert watch_now() is None


def test_on_the_way_to_the_first_batch_a_signal_ends_the_fit_at_once() -> None:
    begun: list[bool] = []
    with InterruptWatch() as watch:
        watch.on_begun = lambda: begun.append(True)
        watch.begin_start()
        with pytest.raises(StopTraining):
            send(signal.SIGTERM)
        assert not watch.is_starting
        with pytest.raises(StopTraining):
            watch.begin_start()  # one has come already
        watch.has_begun()
        watch.has_begun()
    assert begun == [True]


def test_a_command_ends_the_start_and_counts_as_no_key() -> None:
    with InterruptWatch() as watch:
        watch.begin_start()
        with pytest.raises(StopTraining):
            _wait_after(watch.end_start)
        assert (watch.count, watch.is_requested) == (0, False)
        watch.end_start()  # it has ended already
        assert watch.count == 0


def test_code_that_does_not_come_to_its_next_batch_is_left_where_it_is() -> None:
    with InterruptWatch() as watch:
        with pytest.raises(AbortTraining):
            _wait_after(watch.cut)
        assert watch.count == 0
    with InterruptWatch(timeout_s=0.05) as watch:
        send()
        with pytest.raises(AbortTraining):
            _wait_after(lambda: None)
    watch.cut()  # nothing is inside any more


def _wait_after(work) -> None:
    threading.Thread(target=work).start()
    until(lambda: False, timeout_s=30)


def test_whoever_ends_a_fit_says_why() -> None:
    watch = InterruptWatch()
    watch.ended = "it took too long"
    assert watch.is_requested


def test_in_another_thread_signals_stay_what_they_were() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[bool] = []

    def work() -> None:
        with InterruptWatch():
            seen.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]
