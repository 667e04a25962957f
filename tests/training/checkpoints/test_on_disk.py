"""Checkpoints of a run on disk: their names, which replaces which, and what a resume would repeat."""

from __future__ import annotations

import pytest

from jupyter_train.events import CheckpointKind
from jupyter_train.store.metrics.reader import Checkpoint
from jupyter_train.training.checkpoints.on_disk import WrittenCheckpoints, count_steps


def row(kind: str, step: int) -> Checkpoint:
    return Checkpoint(f"checkpoints/{kind}-step{step}.ckpt", kind, step, 1, None, 7, "ab")


def test_a_name_is_never_given_twice(recording) -> None:
    written = WrittenCheckpoints(recording.folder)
    assert written.new_path("last", 7) == "checkpoints/last-step7.ckpt"
    assert written.new_path("last", 7) == "checkpoints/last-step7-2.ckpt"
    (recording.folder.checkpoints / "best-step7.ckpt").touch()
    assert written.new_path("best", 7) == "checkpoints/best-step7-2.ckpt"


def test_a_new_last_replaces_the_one_before_it(recording) -> None:
    written = WrittenCheckpoints(recording.folder)
    assert written.last_arrived("a", 3) == []
    assert written.last_arrived("b", 5) == ["a"]
    assert written.last_arrived("c", 7) == ["b"]


def test_a_resumed_run_replaces_the_last_of_the_attempt_before(recording) -> None:
    for found in (row("last", 5), row("best", 9), row(CheckpointKind.SUPERSEDED, 90)):
        recording.writer.checkpoint(found)
    assert len(recording.checkpoints) == 3
    written = WrittenCheckpoints(recording.folder)
    written.prepare_resume()
    assert not written.needs_first
    assert written.describe_repeated(12, "x").endswith("continues from step 9 and repeats 3 steps")
    assert written.last_arrived("checkpoints/last-step11.ckpt", 11) == ["checkpoints/last-step5.ckpt"]


def test_a_fork_without_a_checkpoint_of_its_own_needs_one_at_once(recording) -> None:
    written = WrittenCheckpoints(recording.folder)
    written.prepare_resume()
    assert written.needs_first
    assert written.describe_repeated(7, "x") == ""
    written.arrived(1)
    assert not written.needs_first


@pytest.mark.parametrize(
    ("arrived", "words"),
    [
        (
            [],
            "after which the run failed: a resume restarts at step 0 and repeats 2,000 steps",
        ),
        ([1999], "a resume continues from step 1,999 and repeats 1 step"),
        ([1999, 5], "a resume continues from step 1,999 and repeats 1 step"),
        ([2000], ""),
    ],
)
def test_what_a_resume_repeats_is_said(recording, arrived: list[int], words: str) -> None:
    written = WrittenCheckpoints(recording.folder)
    for step in arrived:
        written.arrived(step)
    said = written.describe_repeated(2000, "after which the run failed")
    assert said.endswith(words)
    assert bool(said) == bool(words)


def test_steps_are_counted() -> None:
    assert [count_steps(steps) for steps in (1, 2, 2000)] == ["1 step", "2 steps", "2,000 steps"]
