"""Damaged curves and rows: what is changed is found and said, everything else is shown.

Across modules (verified_blobs, readable_rows, panel): what one replaces another has to report.
"""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from pathlib import Path

import pytest

from jupyter_train import get_run, runs
from jupyter_train.exceptions import DamagedError
from jupyter_train.handle import Run
from jupyter_train.panel.bundle import as_text
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.store import MetricReader, RunFolder, open_store
from jupyter_train.store.metrics import rewind
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import POINTS_PER_BLOCK, Point, pack
from jupyter_train.store.metrics.reader import Checkpoint, HistoryPosition
from jupyter_train.store.runs import Event

COUNT = 5000
RECORDED = [Point(step, step / 100, math.sin(step), 1e9 + step) for step in range(COUNT)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path / "metrics.db")


def filled(path: Path) -> Path:
    appender = MetricAppender(path)
    for point in RECORDED:
        appender.append("loss", point)
    appender.commit()
    appender.close()
    return path


def change(path: Path, sql: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(sql, values).rowcount > 0
    connection.close()


def spoil(path: Path, level: int, number: int, place: int = 100) -> None:
    """Changes one bit of a block."""
    connection = sqlite3.connect(path)
    query = "SELECT rows FROM blocks WHERE level = ? AND number = ?"
    blob = bytearray(connection.execute(query, (level, number)).fetchone()[0])
    connection.close()
    blob[place] ^= 1
    change(path, "UPDATE blocks SET rows = ? WHERE level = ? AND number = ?", bytes(blob), level, number)


def without_checksum(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE blocks SET rows = substr(rows, 1, length(rows) - 8)")
    connection.close()


@pytest.mark.parametrize("place", [0, 2048, 4096, 8191, 8192, 8199])
def test_a_changed_bit_loses_its_block_and_is_said(path: Path, place: int) -> None:
    spoil(path, 0, 3, place)
    with MetricReader(path) as reader:
        points = reader.points("loss")
        assert reader.damage == ["256 values of `loss`"]
        assert reader.counts() == {"loss": COUNT}
        assert reader.points("loss", 1100) == RECORDED[1100:]
    assert points == RECORDED[: 3 * POINTS_PER_BLOCK] + RECORDED[4 * POINTS_PER_BLOCK :]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_picture_shows_everything_else_where_it_belongs(path: Path, level: int) -> None:
    with MetricReader(path) as reader:
        whole = {most: reader.picture("loss", most) for most in (8, 100, 1000, COUNT)}
    spoil(path, level, 0)
    with MetricReader(path) as reader:
        for most, picture in whole.items():
            shown = reader.picture("loss", most)
            assert len(shown) == len(picture)
            assert level == 0 or shown == picture  # made anew of the points
            assert shown[-1] == picture[-1]
        assert next(one.last_step for one in reader.window("loss", 3000, 3010, 400)) == 2999
        assert reader.damage == (["256 values of `loss`"] if level == 0 else [])


def test_blocks_without_a_checksum_are_read_as_they_are(path: Path) -> None:
    without_checksum(path)
    with MetricReader(path) as reader:
        assert reader.points("loss") == RECORDED
        assert reader.damage == []
        assert len(reader.picture("loss", 150)) <= 150


def test_a_release_that_knows_no_checksum_reads_the_same_columns(path: Path) -> None:
    connection = sqlite3.connect(path)
    [blob] = connection.execute("SELECT rows FROM blocks WHERE level = 0 AND number = 0").fetchone()
    count = len(blob) // 32  # as releases before the checksum counted and cut
    values = array("d", blob[8 * count * 2 : 8 * count * 3])
    assert (count, list(values)) == (256, [point.value for point in RECORDED[:256]])
    values = (1, 0, 0, 256, pack(RECORDED[:256])[:-8])  # and wrote: five columns
    connection.execute("INSERT OR REPLACE INTO blocks VALUES (?,?,?,?,?)", values)
    connection.commit()
    connection.close()
    with MetricReader(path) as reader:
        assert reader.points("loss") == RECORDED


@pytest.mark.parametrize("count", [0, 44, COUNT - 1, COUNT + 1, 10**6, 2**61, -5])
def test_a_wrong_number_of_points_is_not_believed(path: Path, count: int) -> None:
    change(path, "UPDATE series SET count = ?", count)
    with MetricReader(path) as reader:
        points = reader.points("loss")
        assert points == RECORDED[: len(points)]
        assert len(points) >= COUNT - POINTS_PER_BLOCK
        assert reader.damage or points == RECORDED
        reader.picture("loss", 100)


def test_a_missing_block_is_said(path: Path) -> None:
    change(path, "DELETE FROM blocks WHERE level = 0 AND number = 2")
    with MetricReader(path) as reader:
        assert len(reader.points("loss")) == COUNT - 256
        assert reader.damage == ["256 values of `loss`"]


def test_a_resumed_writer_does_not_write_damage_again_as_if_it_were_right(path: Path) -> None:
    spoil(path, 0, COUNT // POINTS_PER_BLOCK)
    appender = MetricAppender(path, attempt=2)
    appender.append("loss", Point(COUNT, 1.0, 2.0, 1e9))
    appender.commit()
    appender.close()
    with MetricReader(path) as reader:
        assert reader.points("loss", 4 * POINTS_PER_BLOCK)[-1].value == 2.0
        whole = COUNT // POINTS_PER_BLOCK * POINTS_PER_BLOCK
        assert reader.points("loss") == [*RECORDED[:whole], Point(COUNT, 1.0, 2.0, 1e9)]


def test_a_history_taken_back_expects_nothing_of_what_is_damaged(path: Path) -> None:
    spoil(path, 0, 10)
    place = HistoryPosition({"loss": 2000}, 0).to_text()
    rewind.begin_attempt(path, 2, Checkpoint("a.ckpt", "last", 2000, 1, None, 1, "", place=place))
    expected = rewind.expected_of(path, 2)["loss"]
    assert expected == RECORDED[2000:2560] + RECORDED[2816:]
    with MetricReader(path) as reader:
        assert reader.points("loss") == RECORDED[:2000]


def test_damage_is_said_in_the_panel_in_python_and_by_repr(own_store) -> None:
    record = open_store().create_run("digits")
    path = filled(RunFolder(record.folder).metrics)
    spoil(path, 0, 3)
    with pytest.warns(UserWarning, match="256 values of `loss` cannot be read: damaged"):
        metrics = get_run(record.ref).metrics
    assert len(metrics) == COUNT - 256
    change(path, "UPDATE series SET name = CAST(x'6cff73' AS TEXT)")
    shot = snapshot(open_store(), record.key)
    assert "256 values of `l\ufffds`" in shot["degraded"]
    assert "256 values" in as_text(shot)
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8000)
    assert "cannot be read" in snapshot(open_store(), record.key)["degraded"]
    with pytest.raises(DamagedError, match="cannot be read"):
        _ = Run(open_store(), record.key).metrics


def test_a_damaged_row_is_named_so_however_it_is_looked_up(own_store) -> None:
    store = open_store()
    record = store.create_run("digits")
    change(own_store / "store" / "store.db", "UPDATE runs SET config = '{\"epochs\": 5' WHERE key = ?", record.key)
    with pytest.raises(DamagedError):
        store.settle(record.key)
    with pytest.raises(DamagedError):
        store.in_folder(Path(record.folder))


BAD_ROWS = {
    "status": "'run\x07ing'",
    "config": "'{\"epochs\": 5'",
    "summary": "'{\"best\": 3}'",
    "tags": "'3'",
    "created_at": "1e300",
    "folder": "x'ff00'",
    "name": "NULL",
    "attempt": "'x'",
    "key": "3",
    "code": "CAST(x'ff' AS TEXT)",
}


@pytest.mark.parametrize("column", BAD_ROWS)
def test_one_bad_row_hides_one_run_and_is_said(own_store, column: str) -> None:
    from jupyter_train import doctor
    from jupyter_train.server.rows import RowChanges, rows_of

    store = open_store()
    keys = [store.create_run("digits").key for _ in range(3)]
    path = own_store / "store" / "store.db"
    for sql in ("PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')"):
        connection = sqlite3.connect(path)
        connection.executescript(f"PRAGMA writable_schema = ON; {sql};")
        connection.close()
    change(path, f"UPDATE runs SET {column} = {BAD_ROWS[column]} WHERE key = ?", keys[1])
    table = runs()
    shown = len(table)
    assert (shown, "1 run is not shown" in repr(table), "1 run is not shown" in table._repr_html_()) == (2, True, True)
    rows, words = rows_of(open_store(), 100, "/")
    changes = RowChanges("/")
    streamed = [*changes.look(open_store())[0]]
    is_seen = column in ("config", "attempt")  # a list shows neither
    assert len(rows) == len(streamed) >= 2
    assert is_seen or "1 run is not shown" in words
    assert words == changes.message
    assert any("1 of 3 runs cannot be shown" in one.message for one in doctor.diagnose())
    with pytest.raises((DamagedError, LookupError)):
        store.get(keys[1])
    json.dumps(rows)


def test_a_bad_event_hides_one_event_and_is_said(own_store) -> None:
    store = open_store()
    key = store.create_run("digits").key
    store.add_events(key, [Event(1.0, step, "note", f"at {step}", {}) for step in range(3)])
    change(own_store / "store" / "store.db", "UPDATE events SET data = '{' WHERE step = 1")
    assert [one.text for one in store.events_of(key)] == [
        "at 0",
        "at 2",
        "1 events of this run are damaged, and not shown",
    ]


def test_a_page_that_cannot_be_read_hides_only_its_rows(own_store) -> None:
    store = open_store()
    keys = [store.create_run("digits", note="x" * 300).key for _ in range(60)]
    path = own_store / "store" / "store.db"
    connection = sqlite3.connect(path)
    [size] = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    place = content.index(keys[30].encode() + b"digits") // size * size
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    found = open_store().list_runs()
    assert 40 < len(found) < 60
    assert found.unreadable + len(found) == 60
    assert {record.key for record in found} < set(keys)


def test_a_window_before_a_damaged_block_shows_that_window(path: Path) -> None:
    zero(path, 0, 5)
    with MetricReader(path) as reader:
        shown = reader.window("loss", 300, 400, 200)
    assert (shown[0].first_step, shown[-1].last_step) == (299, 401)


def zero(path: Path, level: int, number: int) -> None:
    change(path, "UPDATE blocks SET rows = zeroblob(100) WHERE level = ? AND number = ?", level, number)


@pytest.mark.parametrize("gone", ["epoch", "step"])
def test_a_best_value_that_lacks_something_costs_itself_and_not_the_panel(store, gone: str) -> None:
    record = store.create_run("digits")
    best = {"metric": "loss", "value": 1.0, "epoch": 1, "step": 3, "mode": "min"}
    del best[gone]
    store.update(record.key, summary={"best": best, "progress": {"trial": 1}})
    shot = snapshot(store, record.key)
    assert shot["best"] is None
    assert record.ref in as_text(shot)
