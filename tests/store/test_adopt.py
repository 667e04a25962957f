"""A run folder whose row is gone is taken in again; nothing in it can be unpickled for that."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from jupyter_train import get_run, runs
from jupyter_train.cli import main
from jupyter_train.exceptions import RunStateError, StoreError
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter, open_store, pending_end
from jupyter_train.store.adopt import adopt, recoverable_fields
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.writer import Row


def recorded(store, status: RunStatus | None = RunStatus.FINISHED):
    """A run with some rows, its lock still held where it has not ended."""
    record = store.create_run("digits", config={"epochs": 3}, note="good", tags=["a"])
    folder = RunFolder(record.folder)
    lock = RunLock(folder.lock)
    lock.acquire()
    now = time.time()
    store.set_status(record.key, RunStatus.RUNNING, 1, started_at=now, heartbeat_at=now, payload="0" * 64)
    writer = RunWriter(store, record.key, folder)
    for step in range(10):
        writer.add(Row(step, 0.0, now, [("val_loss", 1.0 / (step + 1))]))
    writer.summary(best={"metric": "val_loss", "value": 0.1, "epoch": 2, "step": 9, "mode": "min"})
    writer.flush()
    if status is not None:
        writer.close(status)
        lock.release()
    return record, lock, writer


def delete_store(store) -> None:
    Path(store.engine.url.database).unlink()


def test_a_folder_is_taken_in_again_with_all_that_it_says_of_its_run(store, capsys) -> None:
    record, _, _ = recorded(store)
    delete_store(store)
    assert len(runs()) == 0
    assert main(["doctor", "--adopt", record.folder]) == 0
    run = get_run("digits")
    assert capsys.readouterr().out.startswith(f"`{run.ref}` is in the run store again (finished)")
    again = run.record
    for name in ("key", "ref", "kind", "config", "note", "tags", "created_at", "folder", "attempt"):
        assert getattr(again, name) == getattr(record, name), name
    assert again.payload == ""  # what its process was given is unpickled by nobody
    assert (run.best["value"], len(run.metrics), run.last) == (0.1, 10, {"val_loss": 0.1})
    assert main(["doctor", "--adopt", record.folder]) == 2
    assert "the run store has this run" in capsys.readouterr().err


def test_a_run_that_trains_while_its_store_is_made_again_continues_recording(store) -> None:
    record, lock, writer = recorded(store, None)
    delete_store(store)
    writer.event("note", "waits")
    assert not writer.flush()
    assert main(["doctor", "--adopt", record.folder]) == 0
    assert get_run(record.key).status == "running"
    assert writer.close(RunStatus.FINISHED)
    lock.release()
    assert get_run(record.key).status == "finished"
    assert "waits" in [event.text for event in get_run(record.key).events]


def test_a_folder_that_says_nothing_of_its_run_is_taken_in_by_its_name(store, tmp_path: Path) -> None:
    record, _, _ = recorded(store)
    moved = tmp_path / "runs" / "Old Digits-k3f9-01a21b0f"
    shutil.copytree(record.folder, moved)
    with sqlite3.connect(moved / "metrics.db") as connection:
        connection.execute("DELETE FROM meta WHERE name = 'run'")
    assert main(["doctor", "--adopt", str(moved)]) == 0
    run = get_run("old-digits")
    assert run.key != record.key
    assert len(run.metrics) == 10


REFUSED = {
    "nothing": (lambda path: shutil.rmtree(path), "is no run folder"),
    "no database": (lambda path: (path / "metrics.db").write_bytes(b"no database at all" * 500), "cannot be read"),
    "a link": (lambda path: _make_link(path / "metrics.db"), "is no run folder"),
}


def _make_link(path: Path) -> None:
    path.rename(path.with_name("other.db"))
    path.symlink_to("other.db")


def _set_meta(path: Path, text: str) -> None:
    with sqlite3.connect(path / "metrics.db") as connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'run'", (text,))


@pytest.mark.parametrize("how", REFUSED)
def test_what_is_no_run_folder_is_refused_in_one_line(store, capsys, how: str) -> None:
    record, _, _ = recorded(store)
    delete_store(store)
    damage, words = REFUSED[how]
    damage(Path(record.folder))
    assert main(["doctor", "--adopt", record.folder]) == 3
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert open_store().list_runs() == []


def test_words_of_a_wrong_kind_are_left_out(store) -> None:
    record, _, _ = recorded(store)
    delete_store(store)
    _set_meta(Path(record.folder), '{"key": "../../etc", "name": ["x"], "config": 3, "attempt": "1", "tags": {}}')
    assert main(["doctor", "--adopt", record.folder]) == 0
    [run] = runs()
    assert (run.record.name, run.config, run.record.tags) == ("digits", {}, [])


def test_a_summary_of_a_wrong_shape_does_not_keep_a_folder_out(store) -> None:
    record, _, _ = recorded(store)
    connection = sqlite3.connect(RunFolder(record.folder).metrics)
    with connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'summary'", ('{"progress": 3, "last": 4}',))
    connection.close()
    delete_store(store)
    assert main(["doctor", "--adopt", str(record.folder)]) == 0
    [run] = runs()
    assert run.record.summary["last"]["val_loss"] == 0.1


@pytest.mark.parametrize(
    "changes",
    [
        {"created_at": math.nan},
        {"created_at": 1e300},
        {"attempt": 10**30},
        {"attempt": -1},
        {"tags": [1, 2]},
        {"kind": "../../x"},
        {"key": 5},
        {"config": 5},
    ],
    ids=str,
)
def test_fields_that_cannot_be_are_left_out(store, changes: dict[str, object]) -> None:
    record, _, _ = recorded(store)
    connection = sqlite3.connect(RunFolder(record.folder).metrics)
    with connection:
        [text] = connection.execute("SELECT value FROM meta WHERE name = 'run'").fetchone()
        connection.execute("UPDATE meta SET value = ? WHERE name = 'run'", (json.dumps(json.loads(text) | changes),))
    connection.close()
    delete_store(store)
    assert main(["doctor", "--adopt", str(record.folder)]) == 0
    [run] = runs()
    assert run.record.note == "good"
    assert record.folder in (run.record.folder, str(run.folder))


def test_a_run_without_an_owner_is_lost_unless_its_folder_says_how_it_ended(store) -> None:
    record, lock, writer = recorded(store, None)
    delete_store(store)
    lock.release()
    found = adopt(open_store(), Path(record.folder))
    assert (found.status, found.ended_at, found.key) == (RunStatus.LOST, found.summary["progress"]["at"], record.key)
    delete_store(store)
    end = pending_end.AttemptEnd(1, RunStatus.STOPPED, 1e9, "stopped", "", {"ended_with": "NaN"})
    pending_end.save_recorded(RunFolder(record.folder).lock, end)
    found = adopt(open_store(), Path(record.folder))
    assert (found.status, found.ended_at, found.message) == (RunStatus.STOPPED, 1e9, "stopped")
    assert found.ended_with == "NaN"
    writer.close(RunStatus.STOPPED)


def test_a_folder_is_taken_in_once(store) -> None:
    record, _, _ = recorded(store)
    with pytest.raises(RunStateError, match=f"the run store has this run: `{record.ref}`"):
        adopt(store, Path(record.folder))
    with pytest.raises(StoreError, match="is no run folder"):
        adopt(store, Path(record.folder).parent)


def test_what_is_kept_for_it_is_of_the_run_and_not_of_an_attempts_process(store) -> None:
    record, _, _ = recorded(store)
    kept = recoverable_fields(store.get(record.key))
    assert (kept["key"], kept["note"], kept["config"]) == (record.key, "good", {"epochs": 3})
    assert not {"payload", "folder", "status", "user", "host", "pid"} & kept.keys()
