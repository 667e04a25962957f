"""Runs that fail, or are terminated, at any place of a step resume exactly, and say how many steps repeat."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.faults.counts import share
from tests.faults.training import (
    Error,
    checkpoints,
    differences,
    failed,
    killed,
    repeated,
    resumed,
    whole,
)

pytestmark = [pytest.mark.timeout(3600)]

IN_A_STEP = (
    "on_train_batch_start",
    "forward",
    "after forward",
    "backward",
    "optimizer",
    "after optimizer",
    "on_train_batch_end",
)
OF_A_VALIDATION = (
    "on_validation_start",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_validation_epoch_end",
    "on_validation_end",
)
OF_AN_EPOCH = ("on_train_epoch_start", "on_train_epoch_end")
PLACES = (*IN_A_STEP, *OF_A_VALIDATION, *OF_AN_EPOCH)
ENGINES = ("lean", "lightning")
#: Optimizer steps that are done when the first, a middle and the last batch of the second epoch come.
STEPS = (4, 5, 7)
#: With checkpoints as seldom as anybody's: there are those of good epochs, and what a failure saves.
USUAL = {"usual": True}


def _expected(known: dict[Any, Any], name: str, **changes: Any) -> dict[str, Any]:
    key = (name, tuple(changes.items()))
    if key not in known:
        known[key] = whole(name, **changes)
    return known[key]


@pytest.fixture(scope="module")
def unbroken() -> dict[Any, Any]:
    """Runs that were trained once without a break."""
    return {}


@pytest.mark.parametrize("number", range(len(PLACES)))
def test_a_run_that_failed_at_any_place_resumes_exactly(number: int, unbroken, tally) -> None:
    """Accumulated gradients, batch statistics and metric objects: each place of a step moves another of them."""
    place = PLACES[number]
    all_trials = [(engine, step) for engine in ENGINES for step in STEPS]
    for engine, step in tally.trials("failed at a place of a step", _turn(all_trials, number)):
        options = USUAL | {"engine": engine}
        is_after = place == "on_train_batch_end"  # the step of that batch is done already
        run = failed("everything", place, step + is_after, **options)
        found = tally.began(resumed("everything", run, **options))
        assert differences(found, _expected(unbroken, "everything", **options)) == []


def _turn(trials: list[Any], number: int) -> list[Any]:
    """All of them, or the one whose turn it is in this share."""
    return trials if share(0, 1) else [trials[number % len(trials)]]


@pytest.mark.parametrize(
    "name", ["batch norm", "metrics", "accumulated", "everything, by hand", "ema", "plateau per epoch"]
)
def test_other_models_that_failed_at_a_place_resume_exactly(name: str, unbroken, tally) -> None:
    for place, step in tally.trials(f"failed at a place of a step: {name}", _turn(_FAILURES[name], 0)):
        found = tally.began(resumed(name, failed(name, place, step, **USUAL), **USUAL))
        assert differences(found, _expected(unbroken, name, **USUAL)) == []


_FAILURES = {
    "batch norm": [("after forward", 15), *((place, step) for place in IN_A_STEP for step in (8, 11, 15))],
    "metrics": [("after forward", 15), *((place, step) for place in IN_A_STEP for step in (8, 11, 15))],
    "accumulated": [("backward", 4), *((place, step) for place in IN_A_STEP for step in (3, 4, 5))],
    "everything, by hand": [("after forward", 13), *((place, step) for place in IN_A_STEP for step in (10, 13, 18))],
    "ema": [("on_validation_batch_start", 10), *((place, 10) for place in (*OF_A_VALIDATION, *OF_AN_EPOCH))],
    "plateau per epoch": [("on_validation_end", 10), *((place, 10) for place in (*OF_A_VALIDATION, *OF_AN_EPOCH))],
}


@pytest.mark.parametrize(("name", "count"), [("everything", 11), ("augmented, 2 workers", 3), ("everything", 15)])
def test_a_run_that_failed_while_a_batch_was_read_resumes_from_there(name, count, unbroken, tally) -> None:
    """Nothing had begun: no step repeats. The last batch of an epoch is among them."""
    for _ in tally.trials("failed while a batch was read", 1):
        run = failed(name, "reading", count, **USUAL)
        found = tally.began(resumed(name, run, **USUAL))
        assert differences(found, _expected(unbroken, name, **USUAL)) == []
        assert repeated(run) == []


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (KeyboardInterrupt, "forward"),
        (SystemExit, "after forward"),
        (MemoryError, "backward"),
        ((signal.SIGINT, signal.SIGINT), "after optimizer"),
        ((signal.SIGINT,), "after forward"),
        ((signal.SIGTERM,), "on_train_epoch_end"),
        ((signal.SIGINT,), "on_validation_batch_end"),
    ],
)
def test_whatever_ends_a_run_it_resumes_exactly(error: Error, place: str, unbroken, tally) -> None:
    for _ in tally.trials("ended by another exception, an Interrupt or SIGTERM", 1):
        run = failed("everything", place, 6, error, **USUAL)
        found = tally.began(resumed("everything", run, **USUAL))
        assert differences(found, _expected(unbroken, "everything", **USUAL)) == []


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("setup", RuntimeError),
        ("on_fit_start", RuntimeError),
        ("on_train_epoch_start", RuntimeError),
        ("on_train_start", RuntimeError),
        ("on_train_start", (signal.SIGINT,)),
    ],
)
def test_an_attempt_that_ended_before_its_first_batch_loses_nothing(place, error, unbroken, tally) -> None:
    """A resumed fit that has not been put back yet is no state to save."""
    for _ in tally.trials("ended before the first batch of an attempt", 1):
        run = failed("everything", "reading", 11, **USUAL)  # in the middle of accumulating
        run = failed("everything", place, 0, error, **USUAL, resume=run.ref)
        found = tally.began(resumed("everything", run, **USUAL))
        assert differences(found, _expected(unbroken, "everything", **USUAL)) == []


def test_a_run_says_how_many_steps_repeat(unbroken) -> None:
    """One checkpoint early on; the failure is in the middle of a step."""
    rare = {"only_at": 6, "checkpoint_minutes": 60.0}
    run = failed("plain", "forward", 20, **rare)
    assert repeated(run) == [
        "no checkpoint of step 20, in whose middle the run failed: a resume continues from step 6 and repeats 14 steps"
    ]
    found = resumed("plain", run)
    assert differences(found, whole("plain")) == []
    assert ("resumed", "attempt 2 resumes from step 6 (last checkpoint) and repeats 14 steps") in found["events"]


def test_a_run_without_any_checkpoint_says_that_it_begins_again() -> None:
    run = failed("plain", "backward", 1, **USUAL)
    assert checkpoints(run) == []
    assert repeated(run) == [
        "no checkpoint of step 1, in whose middle the run failed: a resume restarts at step 0 and repeats 1 step"
    ]
    found = resumed("plain", run, **USUAL)
    words = "attempt 2 begins at step 0 and repeats 1 step: there was no checkpoint to resume from"
    assert ("resumed", words) in found["events"]


def test_an_interrupt_while_averaged_weights_validate_saves_none_of_them() -> None:
    run = failed("ema", "on_validation_batch_end", 10, (signal.SIGINT,), **USUAL)
    assert repeated(run) == [
        "no checkpoint of step 16, after which the run ended: a resume continues from step 8 and repeats 8 steps"
    ]


def test_a_killed_run_says_how_many_steps_repeat() -> None:
    run = killed("plain", "step", 20, 1.0, checkpoint_minutes=60.0, only_at=6)
    found = resumed("plain", run)
    assert ("resumed", "attempt 2 resumes from step 6 (last checkpoint) and repeats 13 steps") in found["events"]
