"""What a comparison with an earlier attempt's values comes to, case by case."""

from __future__ import annotations

import pytest

from jupyter_train.events import VERDICT_EVENTS
from jupyter_train.handle import Run
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import WEIGHTS
from jupyter_train.store.replay_check import (
    AttemptDifferences,
    Comparison,
    MissingValue,
    ReplayCheck,
    is_expected_absence,
    verdict_message,
)
from jupyter_train.store.writer import Row

LOSS = frozenset({"train_loss", WEIGHTS})


@pytest.mark.parametrize(
    ("absence", "changes", "last_step", "expected"),
    [
        (MissingValue("acc", 7), AttemptDifferences(), None, False),
        (MissingValue("acc", 7), AttemptDifferences(), 8, False),
        (MissingValue("acc", 8), AttemptDifferences(), 8, True),  # shorter
        (MissingValue("acc", 7), AttemptDifferences(strides=frozenset({2})), None, True),
        (MissingValue("acc", 8), AttemptDifferences(strides=frozenset({2})), None, False),
        (MissingValue("acc", 8), AttemptDifferences(strides=frozenset({2, 3})), None, True),  # the stride grew
        (MissingValue("acc", 18), AttemptDifferences(ended_at=19), None, True),  # longer: the end is elsewhere
        (MissingValue("acc", 17), AttemptDifferences(ended_at=19), None, False),
        (
            MissingValue("acc", 7, is_whole_series=True),
            AttemptDifferences(removed_callbacks=frozenset({"Norms"})),
            None,
            True,
        ),
        (MissingValue("acc", 7, is_whole_series=True), AttemptDifferences(), None, False),
        (MissingValue("acc", 7), AttemptDifferences(removed_callbacks=frozenset({"Norms"})), None, False),
        (MissingValue(WEIGHTS, 7), AttemptDifferences(), None, True),
    ],
)
def test_some_absences_are_explained(absence, changes, last_step, expected) -> None:
    assert is_expected_absence(absence, changes, last_step) is expected


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Comparison(0, 0, 5), "not verified: nothing had been recorded after the checkpoint"),
        (Comparison(3, 0, 5), "not verified: nothing that had been recorded after the checkpoint came again"),
        (
            Comparison(3, 0, 9, compared={"lr": 3}),
            "not verified: only `lr` was compared, which says nothing about the weights",
        ),
        (
            Comparison(6, 3, 9, compared={"lr": 2, "acc": 1}),
            "not verified so far: only `lr`, `acc` were compared, which say nothing about the weights",
        ),
        (
            Comparison(6, 0, 9, compared={"lr": 3, "train_loss": 3}, evidence=LOSS),
            "verified exact: 6 values up to step 9 are the same, bit for bit",
        ),
        (
            Comparison(1, 0, 9, compared={"train_loss": 1}, evidence=LOSS),
            "verified exact: 1 value up to step 9 is the same, bit for bit",
        ),
        (
            Comparison(3, 0, 9, compared={"lr": 3, WEIGHTS: 1}),
            "verified exact: 3 values up to step 9 are the same, bit for bit",
        ),
        (
            Comparison(0, 0, 9, compared={WEIGHTS: 1}),
            "verified exact: the weights up to step 9 are the same, bit for bit",
        ),
        (Comparison(6, 2, 9, compared={"train_loss": 4}, evidence=LOSS), "exact so far: 4 of 6 values, up to step 9"),
        (
            Comparison(6, 0, 9, compared={"train_loss": 4}, missing={"acc": 3}, evidence=LOSS),
            "not verified: `acc` of step 3 was recorded before and did not come again",
        ),
        (
            Comparison(6, 0, 9, compared={"train_loss": 4}, missing={"acc": 3, "f1": 5}, evidence=LOSS),
            "not verified: `acc` of step 3, `f1` of step 5 were recorded before and did not come again",
        ),
        (
            Comparison(6, 0, 9, compared={"acc": 4}, different={"acc": 6}, missing={"f1": 3}),
            "diverged at step 6: `acc` differs from what was recorded before",
        ),
        (
            Comparison(6, 0, 9, compared={"acc": 4, WEIGHTS: 1}, different={WEIGHTS: 8, "acc": 6}),
            "diverged at step 6: the weights, `acc` differ from what was recorded before (first `acc`)",
        ),
        (
            Comparison(6, 0, 9, compared={WEIGHTS: 1}, different={WEIGHTS: 8}),
            "diverged at step 8: the weights differ from what was recorded before",
        ),
    ],
)
def test_the_verdict_follows_from_what_was_compared(found, words) -> None:
    assert verdict_message(found) == words


def points(*steps: int, value: float = 0.5) -> list[Point]:
    return [Point(step, 0.0, value, 0.0) for step in steps]


def test_what_was_known_to_be_inexact_belongs_to_a_verdict_that_is_not_exact() -> None:
    verification = ReplayCheck(2, 0, {"lr": points(0), "train_loss": points(0)})
    verification.remarks.append("`Mine` draws by itself")
    verification.see("lr", *points(0))
    assert verification.message.endswith("nothing about the weights; `Mine` draws by itself")
    verification.say_evidence(frozenset({"train_loss"}))
    verification.see("train_loss", *points(0))
    assert verification.message == (
        "verified exact: 2 values up to step 0 are the same, bit for bit; "
        "what follows may differ: `Mine` draws by itself"
    )


def test_a_row_that_is_passed_over_is_missing_at_once_and_one_at_the_end_when_the_run_ends() -> None:
    verification = ReplayCheck(2, 0, {"acc": points(1, 2, 3), "val": points(3)})
    verification.see("acc", *points(1))
    verification.see("acc", *points(3))
    assert verification.message.startswith("not verified: `acc` of step 2 was recorded before")
    assert not verification.is_over
    verification.settle(4)
    assert verification.is_over
    assert verification.message.startswith("not verified: `acc` of step 2, `val` of step 3 were recorded before")


def test_hashes_of_one_step_are_distinguished_by_their_batch() -> None:
    before = [Point(1, 2.0, 5.0, 0.0), Point(1, 3.0, 6.0, 0.0), Point(2, 4.5, 7.0, 0.0)]
    verification = ReplayCheck(2, 0, {WEIGHTS: before})
    assert verification.weights_at == [2.0, 3.0, 4.5]
    verification.see(WEIGHTS, Point(1, 3.0, 6.0, 0.0))
    verification.see(WEIGHTS, Point(2, 4.5, 7.0, 0.0))
    assert verification.message == "verified exact: the weights up to step 2 are the same, bit for bit"


def test_a_hash_that_could_not_be_taken_proves_nothing() -> None:
    verification = ReplayCheck(2, 0, {WEIGHTS: points(1, value=float("nan"))})
    verification.see(WEIGHTS, *points(1, value=float("nan")))
    assert verification.verdict == "not verified"


def recorded(store, verification, *rows: Row):
    """Writes rows as an attempt that is verified; gives the run's record."""
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    writer = RunWriter(store, record.key, RunFolder(record.folder), verification=verification)
    for row in rows:
        writer.add(row)
        writer.flush()
    writer.settle(9)
    writer.close(RunStatus.FINISHED)
    return store.get(record.key)


def test_a_divergence_is_one_event_and_the_series_that_follow_are_named_in_the_summary(store) -> None:
    names = ("loss", "acc", "val", WEIGHTS)
    verification = ReplayCheck(2, 0, {name: points(1, 2) for name in names})
    rows = [Row(step, 0.0, 0.0, [(name, 0.25)]) for step in (1, 2) for name in names]
    record = recorded(store, verification, *rows)
    events = [event for event in store.events_of(record.key) if event.kind in VERDICT_EVENTS]
    assert [(event.kind, event.step) for event in events] == [("diverged", 1)]
    assert events[0].text == "attempt 2 diverged at step 1: `loss` differs from what was recorded before"
    assert record.summary["resume"]["words"] == (
        "diverged at step 1: `loss`, `acc`, `val`, the weights differ from what was recorded before (first `loss`)"
    )


def test_hashes_of_weights_are_shown_nowhere(store) -> None:
    record = recorded(store, None, Row(1, 0.0, 0.0, [("loss", 0.5), (WEIGHTS, float("nan"))]))
    assert record.summary["last"] == {"loss": 0.5}
    assert [event for event in store.events_of(record.key) if event.kind == "nan"] == []
    with MetricReader(RunFolder(record.folder).metrics) as reader:
        assert reader.counts() == {"loss": 1}
        assert list(reader.since({})) == ["loss"]
        assert reader.last() == {"loss": 0.5}
        assert len(reader.points(WEIGHTS)) == 1
    assert list(Run(store, record.key).metrics.columns) == ["epoch", "loss"]
    shown = snapshot(store, record.key)
    assert [one["name"] for family in shown["families"] for one in family["series"]] == ["loss"]
    assert shown["hidden_series"] == 0
