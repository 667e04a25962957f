"""What a run appends before its writer commits it: events, summary, media, and checkpoints at their place."""

from __future__ import annotations

import time
from typing import Any

import pytest

from jupyter_train.events import CheckpointKind, EventKind
from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import Checkpoint, HistoryPosition, Medium
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.store.row_queue import Row
from jupyter_train.store.run_buffer import RunBuffer


@pytest.fixture
def folder(store) -> RunFolder:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    return RunFolder(record.folder)


def key_of(store, folder: RunFolder) -> str:
    return str(store.in_folder(folder.path).key)


def buffer(store, folder: RunFolder, check: ReplayCheck | None = None) -> RunBuffer:
    return RunBuffer(store, key_of(store, folder), folder, lambda values: [float(v) for v in values], 2, check)


def checkpoint(folder: RunFolder, name: str) -> Checkpoint:
    path = f"checkpoints/{name}.ckpt"
    (folder.path / path).write_bytes(b"weights")
    return Checkpoint(path, CheckpointKind.LAST, 3, 1, None, 7, "ab")


def test_nothing_is_written_before_a_writer_takes_it(store, folder: RunFolder) -> None:
    buffered = buffer(store, folder)
    buffered.add(Row(0, 0.0, 1e9, [("loss", 1.0)]))
    buffered.event(EventKind.WARNING, "hello", 3)
    buffered.log("a line")
    buffered.summary(best=None)
    assert not folder.metrics.exists()
    assert folder.whole_log() == ""
    assert store.events_of(key_of(store, folder)) == []
    assert (buffered.last, buffered.degraded) == ({}, "")


def test_the_newest_progress_wins_and_a_summary_adds_up(store, folder: RunFolder) -> None:
    buffered = buffer(store, folder)
    buffered.progress(step=1, epoch=0)
    buffered.progress(step=2)
    buffered.summary(best=1, data="digits")
    buffered.summary(best=2)
    summary = buffered.current_summary()
    assert (summary["progress"], summary["best"], summary["data"]) == ({"step": 2}, 2, "digits")
    assert summary["elapsed_s"] >= 0


def test_a_comparison_is_told_its_end_and_which_steps_are_recorded(store, folder: RunFolder) -> None:
    check = ReplayCheck(2, 5, {"loss": [Point(6, 0.6, 2.0, 1e9)]})
    buffered = buffer(store, folder, check)
    buffered.thin(1)
    assert check.changes.strides == frozenset()
    buffered.thin(4)
    buffered.thin(2)
    buffered.settle(9)
    assert check.changes.strides == {2, 4}
    assert check.is_settled
    assert not check.is_over  # the writer's thread settles it, after the rows before
    first = buffer(store, folder)
    first.thin(4)
    first.settle()


def test_a_checkpoint_stands_where_its_state_was_copied(store, folder: RunFolder) -> None:
    writer = RunWriter(store, key_of(store, folder), folder)
    writer.add(Row(0, 0.0, 1e9, [("loss", 1.0)]))
    marker = writer.mark()
    writer.add(Row(1, 0.0, 1e9, [("loss", 2.0)]))
    writer.checkpoint(checkpoint(folder, "marked"), at=marker)
    writer.checkpoint(checkpoint(folder, "now"))
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(folder.metrics) as reader:
        places = {found.path: HistoryPosition.of_text(found.place).points for found in reader.checkpoints()}
    assert places == {"checkpoints/marked.ckpt": {"loss": 1}, "checkpoints/now.ckpt": {"loss": 2}}


def test_the_file_of_a_replaced_checkpoint_is_deleted_after_the_commit(store, folder: RunFolder) -> None:
    writer = RunWriter(store, key_of(store, folder), folder)
    writer.checkpoint(checkpoint(folder, "old"))
    assert writer.flush()
    writer.checkpoint(checkpoint(folder, "new"), instead_of=["checkpoints/old.ckpt"])
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["new.ckpt", "old.ckpt"]
    assert writer.close(RunStatus.FINISHED)
    assert [path.name for path in folder.checkpoints.iterdir()] == ["new.ckpt"]
    with MetricReader(folder.metrics) as reader:
        assert [found.path for found in reader.checkpoints()] == ["checkpoints/new.ckpt"]


def test_what_is_appended_is_in_the_store_once_the_run_is_closed(store, folder: RunFolder) -> None:
    writer = RunWriter(store, key_of(store, folder), folder)
    calls: list[int] = []
    writer.at_every_flush(lambda: calls.append(1))
    writer.event(EventKind.WARNING, "careful", 3, size=7)
    writer.medium(Medium(0, "a\0b", 3, "image", "media/a.png", 1, "ab", "c\0d"))
    writer.restart_history()
    writer.add(Row(0, 0.0, 1e9, [("loss", 1.0)]))
    assert writer.close(RunStatus.FINISHED)
    events: list[Any] = store.events_of(key_of(store, folder))
    assert [(event.kind, event.text, event.step, event.data) for event in events] == [
        ("warning", "careful", 3, {"size": 7})
    ]
    assert writer.last == {"loss": 1.0}
    assert calls
    with MetricReader(folder.metrics) as reader:
        assert [(medium.name, medium.caption) for medium in reader.media()] == [(r"a\x00b", r"c\x00d")]
