"""Killed and resumed runs end as unbroken ones: same weights, optimizer states and rows, bit for bit."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.faults.counts import share
from tests.faults.subjects import SUBJECTS
from tests.faults.training import checkpoints, differences, killed, killed_midway, may_have_workers, resumed, whole
from tests.shares import in_full

pytestmark = [pytest.mark.timeout(3600)]

#: Each stands for a kind: of schedule, optimizer, order, loader, callback, validation, end.
EVERY_CHECK = (
    *("metrics", "batch norm", "onecycle", "plateau per step", "manual", "everything", "swa", "averaged by a callback"),
    *(
        "augmented, 2 workers",
        "persistent workers",
        "stream",
        "weighted",
        "own batches",
        "buckets by torch",
        "combined",
    ),
    *("val in the epoch", "early stop"),
)


@pytest.mark.parametrize("name", in_full(SUBJECTS, but=EVERY_CHECK))
def test_a_killed_run_resumes_exactly(name: str, tally) -> None:
    dice = random.Random(name)
    for workers in _workers(name):
        changes = {} if workers is None else {"workers": workers}
        expected = whole(name, **changes)
        for _ in tally.trials(f"killed at a random step, {workers or 0} workers: {name}", share(1, 10)):
            step, grace_s = dice.randrange(2, SUBJECTS[name].steps), dice.choice([0.0, 0.5])
            found = tally.began(resumed(name, killed_midway(name, "step", step, grace_s, **changes), **changes))
            _is_exact(found, expected)


@pytest.mark.parametrize(
    "name",
    in_full(
        [
            "onecycle",
            "buckets by random",
            "buckets by numpy",
            "buckets by torch",
            "endless sampler",
            "weights set anew",
        ],
        but=["onecycle", "buckets by random"],
    ),
)
def test_a_run_killed_in_its_second_epoch_keeps_its_order(name: str, tally) -> None:
    """Loaders that something has read before the epochs, or that draw by themselves, have another order in each."""
    for workers in tally.trials("killed in the second epoch", [0, 2] if share(0, 1) else [2]):
        expected = whole(name, workers=workers)
        run = killed(name, "step", 13, "newest", workers=workers)
        _is_exact(tally.began(resumed(name, run, workers=workers)), expected)


def _workers(name: str) -> list[int | None]:
    """Without worker processes and with two; in a share of the check subjects take turns."""
    if not may_have_workers(name):
        return [None]
    return [0, 2] if share(0, 1) else [(0, 2)[list(SUBJECTS).index(name) % 2]]


def _is_exact(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert differences(found, expected) == []
    assert found["attempts"][-1]["from_step"] > 0, "it began at step 0, which proves nothing"
    assert not [words for words in found["verified"] if words.startswith("diverged")]


@pytest.mark.parametrize("grace_s", in_full([0.0, 0.6], but=[0.6]))
@pytest.mark.parametrize(("name", "validations"), [("metrics", 3), ("val in the epoch", 6)])
def test_a_run_killed_inside_validation_resumes_exactly(name, validations, grace_s, tally) -> None:
    expected = whole(name)
    counts = range(1, validations + 1) if share(0, 1) else [2]
    for count in tally.trials("killed inside validation", counts):
        found = tally.began(resumed(name, killed_midway(name, "validation", count, grace_s)))
        assert differences(found, expected) == []


@pytest.mark.parametrize("name", in_full(["metrics", "plateau per epoch", "accumulated"], but=["accumulated"]))
def test_a_run_killed_at_the_last_batch_of_an_epoch_resumes_exactly(name: str, tally) -> None:
    expected = whole(name)
    per_epoch = SUBJECTS[name].steps // 3
    for epoch in tally.trials("killed at the last batch of an epoch", range(1, 4) if share(0, 1) else [2]):
        found = tally.began(resumed(name, killed(name, "step", epoch * per_epoch, "newest")))
        _is_exact(found, expected)


@pytest.mark.parametrize(("name", "step"), [("combined", 12), ("loaders anew", 17)])
def test_a_run_killed_where_a_loader_starts_again_resumes_exactly(name: str, step: int) -> None:
    """The shorter of two loaders is at its end; every epoch has loaders of its own."""
    assert differences(resumed(name, killed(name, "step", step, "newest")), whole(name)) == []


def test_a_run_killed_at_its_last_step_resumes_exactly(tally) -> None:
    """`max_steps` ends a run inside an epoch, whose end still follows."""
    expected = whole("max steps")
    for grace_s in tally.trials("killed at max_steps", [0.0, 0.6]):
        found = tally.began(resumed("max steps", killed_midway("max steps", "step", 19, grace_s)))
        assert differences(found, expected) == []


def test_a_run_killed_ten_times_resumes_exactly(tally) -> None:
    expected = whole("metrics", epochs=8)
    run = killed("metrics", "step", 5, "newest", epochs=8)
    for step in tally.trials("killed again and again", range(11, 61, 5 if share(0, 1) else 16)):
        run = killed("metrics", "step", step, "newest", epochs=8, resume=run.ref)
    found = resumed("metrics", run, epochs=8)
    assert differences(found, expected) == []
    assert len(found["attempts"]) >= 4
    steps = [one["from_step"] for one in found["attempts"]]
    assert steps == sorted(steps)


@pytest.mark.parametrize("workers", in_full([(0, 2), (2, 0), (1, 4)], but=[(2, 0)]))
def test_another_number_of_workers_gives_the_same(workers: tuple[int, int], tally) -> None:
    from tests.faults import training

    expected = whole("augmented")
    for _ in tally.trials("number of workers changed across the resume", range(1)):
        run = training.killed(f"augmented, {workers[0]} workers" if workers[0] else "augmented", "step", 13, "newest")
        found = tally.began(resumed(f"augmented, {workers[1]} workers" if workers[1] else "augmented", run))
        assert differences(found, expected) == []


@pytest.mark.parametrize(
    "engines", in_full([("lean", "lightning"), ("lightning", "lean")], but=[("lean", "lightning")])
)
def test_a_run_resumes_exactly_with_the_other_loop(engines: tuple[str, str], tally) -> None:
    expected = whole("metrics", engine=engines[0])
    assert differences(whole("metrics", engine=engines[1]), expected) == []
    for step in tally.trials("killed with one loop, gone on with by the other", [5, 13, 20]):
        run = killed("metrics", "step", step, "newest", engine=engines[0])
        assert differences(tally.began(resumed("metrics", run, engine=engines[1])), expected) == []


def test_the_steps_between_checkpoint_and_kill_are_compared() -> None:
    """One checkpoint early on; much was recorded after it."""
    expected = whole("plain")
    run = killed("plain", "step", 20, 1.0, checkpoint_minutes=60.0, only_at=6)
    assert max(one.step for one in checkpoints(run)) == 6
    found = resumed("plain", run)
    assert differences(found, expected) == []
    assert found["verified"] == ["verified exact: 32 values up to step 18 are the same, bit for bit"]


def test_what_cannot_be_made_exact_is_caught() -> None:
    """A generator that is found nowhere."""
    run = killed("hidden", "step", 20, 1.0, checkpoint_minutes=60.0, only_at=6)
    found = resumed("hidden", run)
    assert found["verified"][0].startswith("diverged at step 6: `train_loss`")
    assert [text for kind, text in found["events"] if kind == "order"] == [
        "`Hidden` draws from a generator of its own (`mine`); a resumed run may differ"
    ]


def test_a_finished_run_made_longer_is_the_longer_run() -> None:
    expected = whole("cosine", epochs=5)
    short = whole("cosine", epochs=3)
    assert differences(whole("cosine", epochs=5, resume=short["ref"]), expected) == []


def test_a_run_of_32_steps_killed_at_every_step_resumes_exactly(tally) -> None:
    expected = whole("plain", epochs=4)
    for step in tally.trials("kill at every step of a 32-step run", range(1, 33) if share(0, 1) else [2, 8, 20, 31]):
        found = tally.began(
            resumed("plain", killed("plain", "step", step, "newest" if step > 1 else 0.0, epochs=4), epochs=4)
        )
        assert differences(found, expected) == []


@pytest.mark.full
def test_a_run_of_2000_steps_killed_anywhere_resumes_exactly(tally) -> None:
    """With a checkpoint every 0.2 s, and every row recorded however fast it trains."""
    usual = {"epochs": 250, "usual": True, "record_every": 1, "checkpoint_minutes": 0.003}
    expected = whole("plain", **usual)
    dice = random.Random(2000)
    for _ in tally.trials("kill at a random step of a 2,000-step run", share(20, 200)):
        run = killed_midway("plain", "step", dice.randrange(400, 2000), 0.0, **usual)
        _is_exact(tally.began(resumed("plain", run, **usual)), expected)


@pytest.mark.parametrize("name", ["plain", "augmented"])
def test_stock_lightning_for_comparison(name: str, tmp_path, tally) -> None:
    """What the same kills do to a run of stock Lightning is counted, not judged."""
    from tests.faults import stock
    from tests.faults.children import Child

    expected = Child(stock.carry_out, name, str(tmp_path / "whole"), 4, 0, False).result()
    again = Child(stock.carry_out, name, str(tmp_path / "again"), 4, 0, False).result()
    assert again == expected, "stock Lightning is repeatable when it is not interrupted"
    for step in range(1, 33) if share(0, 1) else [8, 20]:
        exact = stock.is_exact(name, tmp_path / f"{step}", 4, step, expected)
        tally.note(f"stock Lightning, kill at every step of a 32-step run ({name})", tried=1, passed=int(exact))
