"""Each durable call of a run fails once: training continues, nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import random
from typing import Any

import pytest

from jupyter_train import doctor, runs
from jupyter_train.exceptions import RunStateError
from jupyter_train.store import run_queries
from jupyter_train.training.checkpoints.format import is_valid
from tests.faults.children import Child
from tests.faults.counts import share
from tests.faults.layer import KILL, FaultLayer
from tests.faults.training import carry_out, checkpoints, differences, resumed, rows_of, whole

#: One epoch with two checkpoints: few enough calls to fail each of them.
SMALL = {"epochs": 1, "only_at": 4, "record": "code=none"}
pytestmark = [pytest.mark.timeout(3600)]


def with_a_fault(number: int, kind: str, length: int = 1) -> dict[str, Any]:
    """A whole run in which one call fails, from its first row on; what it gave, or how it was refused."""
    import os

    from jupyter_train.exceptions import StoreError
    from jupyter_train.execution import inline
    from tests.faults import training

    layer = FaultLayer(number, kind, length, os.environ["JUPYTER_TRAIN_HOME"])
    theirs, tell = inline.attempt, training.told

    def attempt(*arguments: Any) -> Any:
        layer.install()
        return theirs(*arguments)

    def told(run: Any) -> dict[str, Any]:
        layer.rest()
        return tell(run)

    inline.attempt, training.told = attempt, told
    try:
        found = carry_out("plain", None, dict(SMALL))
    except StoreError as err:
        found = {"refused": str(err)}
    return {**found, "calls": layer.calls, "made": layer.made, "failed": layer.failed}


@pytest.mark.parametrize("kind", ["EIO", "ENOSPC"])
def test_a_durable_call_that_fails_loses_nothing(kind: str, tally) -> None:
    expected = whole("plain", **SMALL)
    untouched = Child(with_a_fault, 0, kind).result()
    assert untouched["calls"] > 60
    numbers = list(range(1, untouched["calls"] + 8))
    chosen = numbers if share(0, 1) else sorted(random.Random(kind).sample(numbers, 8))
    for number in tally.trials(f"{kind} on every durable call in turn", chosen):
        found = Child(with_a_fault, number, kind).result()
        if "refused" in found:
            assert found["failed"], found
            continue
        where = (number, found["failed"])
        assert found["status"] == "finished", where
        assert found["weights"] == expected["weights"], where
        assert found["rows"] == expected["rows"], where
        assert found["doctor"] == [], where


def test_a_disk_that_is_full_for_a_while_delays_the_record_and_loses_nothing(tally) -> None:
    expected = whole("plain", **SMALL)
    for number in tally.trials("disk full for a while, then freed", range(10, 40, 3 if share(0, 1) else 15)):
        found = Child(with_a_fault, number, "ENOSPC", 25).result()
        assert len(found["failed"]) >= 20
        assert found["status"] == "finished"
        assert (found["weights"], found["rows"], found["doctor"]) == (expected["weights"], expected["rows"], [])


def test_a_kill_at_any_durable_call_loses_nothing_and_resumes_exactly(monkeypatch, tally) -> None:
    monkeypatch.setattr(run_queries, "QUEUED_TIMEOUT_S", 0.0)
    expected = whole("plain", **SMALL)
    made = Child(with_a_fault, 0, KILL).result()["made"]
    chosen = range(1, len(made)) if share(0, 1) else _telling(made)
    for number in tally.trials("kill -9 at every durable call in turn", chosen):
        if Child(with_a_fault, number, KILL).result() is not None:
            continue  # this run needed fewer calls: how often the writer commits depends on the machine
        assert [one.message for one in doctor.diagnose() if one.level is doctor.Level.BAD] == [], number
        run = runs()[0]
        if run.status == "finished":  # it died after its last word
            assert rows_of(run) == expected["rows"], number
            continue
        assert run.status == "lost"
        if run.record.started_at is None:
            with pytest.raises(RunStateError, match="neither model nor data"):
                run.resume()
            continue
        announced = checkpoints(run)
        assert all(is_valid(run.folder / one.path, one.sha256) for one in announced), number
        found = resumed("plain", run, **SMALL)
        assert differences(found, expected) == [], number


def _telling(made: list[str]) -> list[int]:
    """The calls before which a file is there and empty, and some others; most of all are writes to one file."""
    others = [number for number, what in enumerate(made, 1) if what != "write"]
    behind = [number + 1 for number, what in enumerate(made, 1) if what == "open"]
    return sorted({*behind, *random.Random(KILL).sample(others, 10)})
