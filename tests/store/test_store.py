"""The central database: runs found, listed, deleted; owners alive or dead; versions old and new."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from jupyter_train.exceptions import (
    AmbiguousRunError,
    RunNotFoundError,
    RunStateError,
    StoreError,
    StoreVersionError,
)
from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter, Store, database, open_store
from jupyter_train.store.database import connect
from jupyter_train.store.run_lock import RunLock, is_held
from jupyter_train.store.schema import HEAD, metadata
from jupyter_train.store.writer import Row


def test_a_run_is_found_by_ref_code_name_and_key(store) -> None:
    record = store.create_run("LitDigits")
    for word in (record.ref, record.code, "lit-digits", "LitDigits", record.key):
        assert store.find(word).key == record.key


def test_an_unknown_run_gets_a_suggestion(store) -> None:
    record = store.create_run("digits")
    with pytest.raises(RunNotFoundError, match=f"Did you mean `{record.ref}`"):
        store.find(record.ref[:-1] + "u")


def test_an_ambiguous_name_lists_the_runs(store) -> None:
    refs = {store.create_run("digits").ref for _ in range(3)}
    with pytest.raises(AmbiguousRunError) as caught:
        store.find("digits")
    assert all(ref in str(caught.value) for ref in refs)


def test_what_a_run_consists_of_does_not_make_its_name_ambiguous(store) -> None:
    study = store.create_run("digits", kind="tune")
    parts = [store.create_run("digits", kind=kind, parent=study.key) for kind in ("trial", "fold", "trial")]
    assert store.find("digits").key == study.key
    assert [store.find(part.ref).key for part in parts] == [part.key for part in parts]


def test_files_and_folders_are_private(store, own_store: Path) -> None:
    folder = RunFolder(store.create_run("digits").folder)
    RunWriter(store, store.list_runs()[0].key, folder).flush()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.metrics.stat().st_mode) == 0o600
    assert stat.S_IMODE((own_store / "store" / "store.db").stat().st_mode) == 0o600
    assert (own_store / "runs" / ".gitignore").read_text() == "*\n"


def test_what_others_write_into_a_run_s_folder_is_private_once_it_has_ended(store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    folder = RunFolder(record.folder)
    theirs = folder.path / "profile" / "trace.json"
    theirs.parent.mkdir()
    theirs.write_text("{}")
    (folder.path / "link").symlink_to(outside)
    os.mkfifo(folder.path / "pipe", 0o666)
    for path in (theirs, outside):
        path.chmod(0o744)
    assert RunWriter(store, record.key, folder).close(RunStatus.FINISHED)
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) == 0o744


def test_deleting_a_run_deletes_its_folder_and_events(store) -> None:
    record = store.create_run("digits")
    store.delete_run(record.key)
    assert not Path(record.folder).exists()
    assert store.events_of(record.key) == []
    with pytest.raises(RunNotFoundError):
        store.get(record.key)


def test_another_users_run_cannot_be_deleted(store) -> None:
    record = store.create_run("digits")
    store.update(record.key, user="somebody")
    with pytest.raises(RunStateError, match="belongs to somebody"):
        store.delete_run(record.key)


def test_a_store_written_by_a_newer_release_is_refused(store) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE jupyter_train_version SET version_num = '9999'"))
    with pytest.raises(StoreVersionError, match="pip install -U jupyter-train"):
        open_store()


def test_an_unreadable_store_says_which_file_and_what_to_do(own_store: Path) -> None:
    path = own_store / "store" / "store.db"
    path.parent.mkdir()
    path.write_bytes(b"this is no database, it only has a long enough text to look like one" * 20)
    with pytest.raises(StoreError, match="JUPYTER_TRAIN_STORE"):
        open_store()


def test_a_store_in_an_impossible_place_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JUPYTER_TRAIN_STORE", str(tmp_path / "file" / "store.db"))
    with pytest.raises(StoreError, match="set `JUPYTER_TRAIN_STORE`"):
        open_store()


def test_migrations_give_the_same_tables_as_the_schema(tmp_path: Path) -> None:
    from jupyter_train.store import database

    fresh, migrated = (connect(f"sqlite:///{tmp_path / name}.db") for name in ("fresh", "migrated"))
    database._create(fresh)
    database._migrate(migrated)

    def tables(engine: sa.Engine) -> dict[str, list[tuple[str, str, bool]]]:
        found = sa.inspect(engine)
        return {
            name: [(c["name"], str(c["type"]), bool(c["nullable"])) for c in found.get_columns(name)]
            for name in metadata.tables
        } | {f"{name} indexes": sorted(i["name"] for i in found.get_indexes(name)) for name in metadata.tables}

    assert tables(fresh) == tables(migrated)
    assert database.revision_of(fresh) == database.revision_of(migrated) == HEAD


def test_eight_processes_may_open_a_new_store_at_once(own_store: Path) -> None:
    code = "from jupyter_train.store import open_store; print(open_store().create_run('digits').ref)"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    refs = {process.communicate(timeout=60)[0].strip() for process in started}
    assert {process.returncode for process in started} == {0}
    assert len(refs) == 8


_OWNER = textwrap.dedent(
    """
    import os, sys, time
    from jupyter_train.store import *
    from jupyter_train.store.run_lock import RunLock
    from jupyter_train.store.writer import Row
    from jupyter_train.run import RunStatus
    store = open_store()
    record = store.create_run("digits")
    folder = RunFolder(record.folder)
    lock = RunLock(folder.lock); lock.acquire()
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    if "fork" in sys.argv and os.fork() == 0:
        time.sleep(60); os._exit(0)
    writer = RunWriter(store, record.key, folder)
    print(record.key, flush=True)
    step = 0
    while True:
        writer.add(Row(step, 0.0, time.time(), [("loss", float(step))]))
        step += 1
        time.sleep(0.002)
    """
)


@pytest.mark.parametrize("kind", ["plain", "fork"])
def test_a_killed_owner_is_lost_at_once_and_what_it_committed_is_there(store, kind: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER, kind], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        record = store.get(process.stdout.readline().strip())
        folder = RunFolder(record.folder)
        acknowledged = 0
        while acknowledged < 200:
            time.sleep(0.1)
            assert store.status_of(record) is RunStatus.RUNNING
            with MetricReader(folder.metrics) as reader:
                acknowledged = reader.counts().get("loss", 0)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert store.status_of(store.get(record.key)) is RunStatus.LOST
        with MetricReader(folder.metrics) as reader:
            points = reader.points("loss")
            assert reader._query("PRAGMA integrity_check") == [("ok",)]
        assert len(points) >= acknowledged
        assert [point.step for point in points] == list(range(len(points)))
    finally:
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None or kind == "fork" else None


def test_a_lock_is_exclusive_and_free_after_release(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "owner.lock")
    lock.acquire()
    assert is_held(tmp_path / "owner.lock")
    with pytest.raises(RunStateError, match="another live process"):
        RunLock(tmp_path / "owner.lock").acquire(timeout_s=0.05)
    lock.release()
    assert not is_held(tmp_path / "owner.lock")


def test_a_full_disk_degrades_the_run_and_loses_nothing(store) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    writer.add(Row(0, 0.0, 0.0, [("loss", 0.0)]))
    assert writer.flush()
    connection = writer._appender._open()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own "disk full"
    for step in range(1, 5000):
        writer.add(Row(step, 0.0, 0.0, [("loss", float(step))]))
    assert not writer.flush()
    assert "full" in store.get(record.key).degraded
    connection.execute("PRAGMA max_page_count=1000000")
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(RunFolder(record.folder).metrics) as reader:
        assert [point.step for point in reader.points("loss")] == list(range(5000))
    assert (store.get(record.key).degraded, store.get(record.key).status) == ("", RunStatus.FINISHED)


def test_a_locked_store_degrades_the_run_and_loses_nothing(store, own_store: Path) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    folder = RunFolder(record.folder)
    writer = RunWriter(store, record.key, folder)
    assert writer.flush()
    lock = sqlite3.connect(folder.metrics, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    writer._appender._open().execute("PRAGMA busy_timeout=10")
    for step in range(300):
        writer.add(Row(step, 0.0, 0.0, [("loss", float(step))]))
    assert not writer.flush()
    assert "locked" in writer.degraded
    lock.execute("COMMIT")
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(folder.metrics) as reader:
        assert len(reader.points("loss")) == 300
    kinds = [event.kind for event in store.events_of(record.key)]
    assert kinds == ["recovered"]


def test_nan_is_an_event_with_its_step(store) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    for step in range(10):
        writer.add(Row(step, 0.0, 0.0, [("train_loss", float("nan") if step >= 7 else 1.0)]))
    writer.close(RunStatus.FINISHED)
    assert [(e.kind, e.step, e.text) for e in store.events_of(record.key)] == [
        ("nan", 7, "train_loss became NaN at step 7")
    ]


def test_a_run_nobody_ever_started_is_lost_after_a_minute(store) -> None:
    record = store.create_run("digits")
    assert store.status_of(record) is RunStatus.QUEUED
    record.created_at -= 61
    assert store.status_of(record) is RunStatus.LOST


def test_a_locked_central_store_is_said_in_words(store, own_store: Path, monkeypatch) -> None:
    record = store.create_run("digits")
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    impatient = Store(database.connect(store.url))
    lock = sqlite3.connect(store.engine.url.database, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    for change in (
        lambda: impatient.create_run("other"),
        lambda: impatient.set_status(record.key, RunStatus.RUNNING),
        lambda: impatient.list_runs(),
    ):
        with pytest.raises(StoreError, match=r"does not answer \(database is locked\).*JUPYTER_TRAIN_STORE"):
            change()
    lock.execute("COMMIT")
    assert [one.status for one in impatient.list_runs()] == [RunStatus.QUEUED]
