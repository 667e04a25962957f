"""The check of a store and its run folders: what is damaged, in words, and an end in time."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from jupyter_train.events import CheckpointKind
from jupyter_train.exceptions import StoreError
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter
from jupyter_train.store.integrity_check import TimeBudget, folder_problems, sqlite_verdict
from jupyter_train.store.metrics.reader import Checkpoint
from jupyter_train.store.records import Event
from jupyter_train.store.trust import file_hash
from jupyter_train.store.writer import Row

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def folder(store) -> RunFolder:
    """A finished run with 300 values and a checkpoint."""
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    folder = RunFolder(record.folder)
    writer = RunWriter(store, record.key, folder)
    for step in range(300):
        writer.add(Row(step, 0.0, time.time(), [("loss", step)]))
    path = folder.checkpoints / "last.ckpt"
    path.write_bytes(b"weights")
    writer.checkpoint(
        Checkpoint("checkpoints/last.ckpt", CheckpointKind.LAST, 300, 1, None, path.stat().st_size, file_hash(path))
    )
    assert writer.close(RunStatus.FINISHED)
    return folder


def problems(folder: RunFolder, limit_s: float | None = None, has_recorded: bool = True) -> list[str]:
    return list(folder_problems(folder, TimeBudget(limit_s), has_recorded))


def change(folder: RunFolder, sql: str) -> None:
    connection = sqlite3.connect(folder.metrics)
    with connection:
        assert connection.execute(sql).rowcount > 0
    connection.close()


def test_nothing_is_said_of_a_sound_folder(folder: RunFolder) -> None:
    assert problems(folder) == []


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE blocks SET rows = zeroblob(10) WHERE level = 0 AND number = 0", "not shown: 256 values of `loss`"),
        ("UPDATE blocks SET rows = zeroblob(10) WHERE level = 1", "the overview of its curves is damaged"),
        ("UPDATE series SET count = -1", "how many values they have is not known"),
        ("UPDATE checkpoints SET size = 'x'", "its record is damaged: 1 checkpoints"),
    ],
)
def test_damaged_curves_are_told_apart(folder: RunFolder, sql: str, words: str) -> None:
    change(folder, sql)
    assert any(words in problem for problem in problems(folder)), problems(folder)


@pytest.mark.parametrize("content", [b"", None])
def test_curves_that_are_gone_matter_where_there_were_some(folder: RunFolder, content: bytes | None) -> None:
    folder.metrics.unlink() if content is None else folder.metrics.write_bytes(content)
    folder.metrics.with_name("metrics.db-journal").unlink(missing_ok=True)
    assert problems(folder) == ["its curves are gone: `metrics.db` is missing or empty"]
    assert problems(folder, has_recorded=False) == []


def test_a_file_that_is_no_database_cannot_be_read(folder: RunFolder) -> None:
    folder.metrics.write_bytes(b"no database at all" * 500)
    [problem] = problems(folder)
    assert problem.startswith("its curves cannot be read (")


@pytest.mark.parametrize(
    ("content", "limit_s", "is_found"),
    [(b"weights!", 60.0, True), (b"Weights", None, True), (b"Weights", 60.0, False), (None, 60.0, True)],
)
def test_a_checkpoint_is_hashed_where_there_is_time(
    folder: RunFolder, content: bytes | None, limit_s: float | None, is_found: bool
) -> None:
    path = folder.checkpoints / "last.ckpt"
    path.unlink() if content is None else path.write_bytes(content)
    expected = ["`checkpoints/last.ckpt` is not the file that was recorded"] if is_found else []
    assert problems(folder, limit_s) == expected


def test_the_check_of_a_folder_ends_in_time(folder: RunFolder) -> None:
    with pytest.raises(TimeoutError):
        problems(folder, -1.0)


def test_a_budget_without_a_limit_never_ends() -> None:
    budget = TimeBudget(None)
    budget.check()
    assert (budget.is_limited, budget.is_over) == (False, False)
    spent = TimeBudget(-1.0)
    assert (spent.is_limited, spent.is_over) == (True, True)
    with pytest.raises(TimeoutError):
        spent.check()


def test_a_query_past_the_limit_is_interrupted() -> None:
    connection = sqlite3.connect(":memory:")
    TimeBudget(0.05).limit(connection)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        connection.execute(ENDLESS).fetchone()


def test_a_store_is_sound_or_it_is_said_what_is_not(store) -> None:
    key = store.create_run("digits").key
    store.add_events(key, [Event(1.0, None, "note", f"{number} " * 100, {}) for number in range(1000)])
    assert sqlite_verdict(store.engine, TimeBudget(60.0)) == "ok"
    assert sqlite_verdict(store.engine, TimeBudget(-1.0)) == ""
    path = Path(store.engine.url.database)
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection = sqlite3.connect(path)
    [size] = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    place = content.index(b"123 123 123") // size * size
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    try:
        verdict = sqlite_verdict(store.engine, TimeBudget(None))
    except StoreError as err:
        verdict = str(err)
    assert verdict != "ok"
    assert "\n" not in verdict
