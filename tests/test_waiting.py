"""The helper by which tests wait: it gives what it waited for, and a failure shows what was seen last."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.waiting import until


def test_it_gives_the_first_true_value() -> None:
    values = iter([0, "", [3]])
    assert until(lambda: next(values)) == [3]


def test_a_failure_shows_the_last_value_and_the_run() -> None:
    run = SimpleNamespace(status="paused", record=SimpleNamespace(message="by a command"), log="epoch 3")
    with pytest.raises(
        AssertionError, match=r"not within 0 s; last seen: 0 of \[\('paused', 'by a command', 'epoch 3'"
    ):
        until(lambda _run: 0, run, timeout_s=0)


def test_a_process_that_has_ended_is_not_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "exit('no power')"], stderr=subprocess.PIPE, text=True)
    with pytest.raises(AssertionError, match=r"exit status 1, output \(None, 'no power"):
        until(lambda: False, process=process)
