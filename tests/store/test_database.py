"""The central database: versions old and new, several processes at once, files that cannot be used."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from jupyter_train.exceptions import (
    StoreError,
    StoreVersionError,
)
from jupyter_train.run import RunStatus
from jupyter_train.store import Store, database, open_store
from jupyter_train.store.database import connect
from jupyter_train.store.schema import HEAD, metadata


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
