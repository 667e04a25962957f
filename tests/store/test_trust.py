"""What the store vouches for: a checkpoint is announced once its hash is there, and forgotten with its file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import pytest

from jupyter_train.exceptions import StoreError, UntrustedError
from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter, database, open_store, trust
from jupyter_train.store.metrics.reader import Checkpoint
from jupyter_train.store.private_files import open_private, open_to_read
from jupyter_train.store.trust import file_hash
from jupyter_train.store.writer import Row
from tests.waiting import until


def written(folder: RunFolder, step: int) -> Checkpoint:
    path = folder.checkpoints / f"last-step{step}.ckpt"
    path.write_bytes(b"weights %d" % step)
    return Checkpoint(f"checkpoints/{path.name}", "last", step, 0, None, path.stat().st_size, file_hash(path))


@contextlib.contextmanager
def locked(path: Path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def test_a_checkpoint_waits_for_the_store_and_curves_do_not(monkeypatch, own_store) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    store = open_store()
    record = store.create_run("a")
    store.set_status(record.key, RunStatus.RUNNING)
    folder = RunFolder(record.folder)
    writer = RunWriter(store, record.key, folder)
    first, second = written(folder, 1), written(folder, 2)
    with locked(Path(store.place)):
        writer.checkpoint(first)
        writer.add(Row(1, 0.0, time.time(), [("loss", 1.0)]))
        until(lambda: writer.degraded)
        with MetricReader(folder.metrics) as reader:
            assert (reader.counts(), reader.checkpoints()) == ({"loss": 1}, [])
    writer.checkpoint(second, instead_of=[first.path])
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(folder.metrics) as reader:
        assert [one.path for one in reader.checkpoints()] == [second.path]
    assert not (folder.path / first.path).exists()
    assert store.anchors_of(record.key)[second.path] == second.sha256
    assert trust.checkpoint(store, record, second) == folder.path / second.path


@pytest.mark.parametrize("path", ["/etc/passwd", "../other", "checkpoints/../../other", ""])
def test_a_path_that_leads_out_of_the_folder_is_not_followed(store, path) -> None:
    with pytest.raises(UntrustedError, match="leads out of"):
        RunFolder(store.create_run("a").folder).inside(path)


def test_a_folder_that_is_there_already_is_not_taken_for_a_new_runs(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StoreError, match="exists already"):
        RunFolder.create(tmp_path, "a")


def test_a_link_is_not_read_and_a_file_takes_its_place_where_one_is_written(tmp_path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("mine")
    link.symlink_to(victim)
    with pytest.raises(OSError, match="is not followed"):
        open_to_read(link)
    os.close(open_private(link, os.O_CREAT | os.O_WRONLY | os.O_TRUNC))
    assert (victim.read_text(), link.is_symlink(), link.stat().st_mode & 0o777) == ("mine", False, 0o600)
