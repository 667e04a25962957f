"""`jupyter train doctor`: ends with words whatever it finds, in a bounded time, and shows no secret."""

from __future__ import annotations

import sqlite3
import time

import pytest

from jupyter_train import doctor, train
from jupyter_train.cli import main
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, open_store
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from tests.models import LitDigits, digits


def ended(count: int, points: int = 300) -> list[RunFolder]:
    store = open_store()
    folders = []
    for _ in range(count):
        record = store.create_run("digits")
        store.set_status(record.key, RunStatus.FAILED, ended_at=time.time())
        folders.append(RunFolder(record.folder))
        appender = MetricAppender(folders[-1].metrics)
        for step in range(points):
            appender.append("loss", Point(step, 0.0, 1.0, 1e9))
        appender.commit()
        appender.close()
    return folders


def said(**more: float | None) -> str:
    return "\n".join(found.message for found in doctor.diagnose(**more))


def test_one_changed_byte_of_a_checkpoint_is_found_where_there_is_time() -> None:
    run = train(LitDigits(), digits(64), epochs=1, quiet=True)
    assert f"`{run.ref}`" not in said(limit_s=None)
    path = run.checkpoint
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"`{run.ref}`: `checkpoints/{path.name}` is not the file that was recorded" in said(limit_s=None)
    assert f"`{run.ref}`" not in said()


@pytest.mark.parametrize("url", ["banana://x", "oracle://x/y", "sqlite+nothing:///x"])
def test_a_store_that_cannot_be_opened_is_said_in_one_line(url: str, monkeypatch, capsys) -> None:
    monkeypatch.setenv("JUPYTER_TRAIN_STORE", url)
    assert main(["runs", "list"]) == 3
    shown = capsys.readouterr().err
    assert shown.startswith("jupyter train: `JUPYTER_TRAIN_STORE` names no store that can be opened (")
    assert shown.count("\n") == 1
    assert main(["doctor"]) == 3
    assert "names no store that can be opened" in capsys.readouterr().out


def test_a_changed_value_is_found(own_store) -> None:
    folders = ended(2)
    content = bytearray(folders[0].metrics.read_bytes())
    place = content.index(b"crc\x01") - 500  # among the times of the block
    content[place] ^= 1
    folders[0].metrics.write_bytes(content)
    assert [one.message for one in doctor.diagnose() if one.level is doctor.Level.BAD] == [
        f"`{open_store().list_runs()[1].ref}`: its curves are damaged, and not shown: 44 values of `loss`"
    ]


@pytest.mark.parametrize("is_there", [True, False], ids=["empty", "missing"])
def test_curves_that_are_gone_are_said_of_a_run_that_had_some(own_store, is_there) -> None:
    """A run that was killed before it recorded anything has an empty file, too, and nothing is wrong with it."""
    folders = ended(2)
    for folder in folders:
        folder.metrics.unlink()
        if is_there:
            folder.metrics.touch()
    recorded = open_store().list_runs()[1]
    open_store().update(recorded.key, summary={"progress": {"step": 300}})
    assert [one.message for one in doctor.diagnose() if one.level is doctor.Level.BAD] == [
        f"`{recorded.ref}`: its curves are gone: `metrics.db` is missing or empty"
    ]


def test_what_there_was_no_time_for_is_said(own_store) -> None:
    ended(3)
    assert "there was time to check 0 of 3 run folders" in said(limit_s=0.0)
    assert "no time" not in said(limit_s=None)
    assert "there was time" not in said()


@pytest.mark.parametrize("content", [b"", b"\xff" * 20_000, b"SQLite format 3\0" + b"\x01" * 5000])
def test_it_ends_with_words_whatever_the_store_is(own_store, content, capsys) -> None:
    folders = ended(1)
    (own_store / "store" / "store.db").write_bytes(content)
    folders[0].metrics.write_bytes(content)
    code = main(["doctor"])
    out = capsys.readouterr().out.splitlines()
    assert out[-1] in ("all is well", "something is wrong")
    assert (code == 0) is (out[-1] == "all is well") is (content == b"")
    assert not any("Traceback" in line for line in out)


def test_curves_that_are_no_file_of_curves_are_said(own_store) -> None:
    folders = ended(3)
    folders[0].metrics.write_bytes(b"\xff" * 9000)
    folders[1].metrics.unlink()
    folders[1].metrics.mkdir()
    bad = [one.message.split("`")[1] for one in doctor.diagnose() if one.level is doctor.Level.BAD]
    assert set(bad) == {record.ref for record in open_store().list_runs()[1:]}


def test_what_breaks_off_is_said_and_the_rest_is_looked_at(own_store, monkeypatch) -> None:
    def broken(*_: object):
        raise RuntimeError("on\x1b[2J purpose")
        yield

    monkeypatch.setattr(doctor, "_check_environment", broken)
    words = said()
    assert "not everything could be checked: RuntimeError: on?[2J purpose" in words
    assert "the run store's integrity: ok" in words


def test_secrets_and_codes_of_terminals_are_not_shown(own_store) -> None:
    ended(1)
    connection = sqlite3.connect(own_store / "store" / "store.db")
    with connection:
        connection.execute("UPDATE runs SET folder = ?", ("/gone/\x1b[31mghp_canary000000000000000000000000000003",))
    connection.close()
    shown = doctor.Finding(doctor.Level.BAD, "see \x1b[31mghp_canary000000000000000000000000000003")
    assert "canary" not in shown.message
    assert "\x1b" not in shown.message
    assert "canary" not in said()
