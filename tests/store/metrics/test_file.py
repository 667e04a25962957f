"""The file of a run's curves: private, its tables made at once, opened only where nothing else is behind its name."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_train.exceptions import FencedError
from jupyter_train.store.metrics.file import check_attempt, create, has_tables, open_for_reading

TABLES = {"meta", "series", "blocks", "media", "checkpoints", "attempts", "superseded"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create(tmp_path / "metrics.db").close()
    return tmp_path / "metrics.db"


def test_a_new_file_has_its_tables_and_is_for_its_user_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        connection = create(tmp_path / "metrics.db")
    finally:
        os.umask(umask)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == TABLES
    assert has_tables(connection)
    connection.close()
    assert stat.S_IMODE((tmp_path / "metrics.db").stat().st_mode) == 0o600


def test_a_file_that_is_there_keeps_what_it_has(path: Path) -> None:
    for _ in range(2):
        connection = create(path)
        connection.execute("INSERT OR IGNORE INTO series VALUES (1, 'loss', 3)")
        assert connection.execute("SELECT name, count FROM series").fetchall() == [("loss", 3)]
        connection.close()


def test_a_file_of_an_earlier_release_gets_the_columns_it_lacks(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("ALTER TABLE checkpoints DROP COLUMN attempt")
        connection.execute("ALTER TABLE checkpoints DROP COLUMN place")
        connection.execute("INSERT INTO checkpoints VALUES ('a.ckpt', 'last', 3, 1, NULL, 7, 'ab')")
    connection.close()
    connection = create(path)
    assert connection.execute("SELECT attempt, place FROM checkpoints").fetchall() == [(1, "")]
    connection.close()


def test_a_file_without_tables_is_told_from_one_with(tmp_path: Path) -> None:
    (tmp_path / "metrics.db").touch()
    connection = open_for_reading(tmp_path / "metrics.db")
    assert not has_tables(connection)
    connection.close()


def test_a_failed_creation_leaves_the_file_unlocked(tmp_path: Path) -> None:
    (tmp_path / "metrics.db").write_bytes(b"no database at all" * 500)
    with pytest.raises(sqlite3.DatabaseError):
        create(tmp_path / "metrics.db")
    (tmp_path / "metrics.db").unlink()
    create(tmp_path / "metrics.db").close()


def test_a_reader_changes_nothing(path: Path) -> None:
    connection = open_for_reading(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM series")
    connection.close()


def test_a_damaged_name_still_is_a_name(path: Path) -> None:
    connection = create(path)
    connection.execute("INSERT INTO series VALUES (1, CAST(x'6cff' AS TEXT), 3)")
    connection.close()
    reading = open_for_reading(path)
    assert reading.execute("SELECT name FROM series").fetchall() == [("l\ufffd",)]
    reading.close()


def _link(path: Path) -> None:
    path.rename(path.with_name("other.db"))
    path.symlink_to("other.db")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _with_view(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE VIEW other AS SELECT * FROM series")
    connection.close()


def _with_super_journal(path: Path) -> None:
    path.with_name("metrics.db-journal").write_bytes(b"x" * 512 + bytes.fromhex("d9d505f920a163d7"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_link, "no regular file but a link or a pipe"),
        (_pipe, "no regular file but a link or a pipe"),
        (_with_view, "views or triggers"),
        (_with_super_journal, "its journal names another file"),
    ],
)
def test_what_is_behind_a_name_is_looked_at_before_it_is_opened(
    path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(path)
    with pytest.raises(sqlite3.Error, match=words):
        open_for_reading(path)


def test_the_writer_does_not_follow_a_journal_that_names_another_file_either(path: Path) -> None:
    _with_super_journal(path)
    with pytest.raises(sqlite3.OperationalError, match="its journal names another file"):
        create(path)


def test_an_earlier_attempt_is_told_that_a_later_one_has_begun(path: Path) -> None:
    connection = create(path)
    check_attempt(connection, 1)
    connection.execute("INSERT INTO meta VALUES ('attempt', '2')")
    check_attempt(connection, 2)
    with pytest.raises(FencedError, match="attempt 2 of this run has begun elsewhere; attempt 1 records no more"):
        check_attempt(connection, 1)
    connection.close()
