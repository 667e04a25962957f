"""A run's log: bounded in memory and on disk, the newest lines always there, nothing lost by a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_train.store.log_file import LogFile
from jupyter_train.store.run_folder import RunFolder


def test_lines_are_written_in_order_and_appended_to(tmp_path: Path) -> None:
    for text in ("one\ntwo", "three\n"):
        log = LogFile(RunFolder(tmp_path))
        log.append(text)
        log.flush()
    assert (tmp_path / "log.txt").read_text() == "one\ntwo\nthree\n"
    assert (tmp_path / "log.txt").stat().st_mode & 0o777 == 0o600


def test_a_flood_keeps_the_newest_lines_and_says_how_many_are_left_out(tmp_path: Path) -> None:
    log = LogFile(RunFolder(tmp_path))
    for number in range(50_000):
        log.append(f"{number:06d} " + "x" * 93)
    assert log._waiting <= LogFile.MAX_WAITING
    log.flush()
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert lines[-1].startswith("049999")
    assert lines[0] == f"… {50_000 - (len(lines) - 1):,} lines left out"


def test_a_full_log_becomes_the_older_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(LogFile, "MAX_BYTES", 1000)
    log = LogFile(RunFolder(tmp_path))
    for number in range(200):
        log.append(f"line {number:04d}")
        log.flush()
    sizes = [(tmp_path / name).stat().st_size for name in ("log.txt", "log-older.txt")]
    assert max(sizes) <= 1000
    kept = ((tmp_path / "log-older.txt").read_text() + (tmp_path / "log.txt").read_text()).split("\n")
    assert kept[-2] == "line 0199"
    assert [line for line in kept if line] == [f"line {n:04d}" for n in range(200 - len(kept) + 1, 200)]


def test_one_endless_line_is_cut(tmp_path: Path) -> None:
    log = LogFile(RunFolder(tmp_path))
    log.append("x" * (5 * LogFile.MAX_WAITING))
    log.flush()
    assert (tmp_path / "log.txt").stat().st_size <= LogFile.MAX_WAITING + 1


def test_lines_wait_for_a_disk_that_refuses(tmp_path: Path) -> None:
    log = LogFile(RunFolder(tmp_path))
    (tmp_path / "log.txt").mkdir()
    log.append("kept")
    for _ in range(2):
        with pytest.raises(OSError, match="directory"):
            log.flush()
    (tmp_path / "log.txt").rmdir()
    log.flush()
    assert (tmp_path / "log.txt").read_text() == "kept\n"
