"""Curves as columns: rounded so that they stay apart, bounded whatever their number, beside those of a parent."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from jupyter_train.panel import curves
from jupyter_train.store import MetricReader
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Bucket, Point
from jupyter_train.store.metrics.reader import SPREAD


def recorded(path: Path, **series: list[float]) -> Path:
    """A file with these series, a value at every second step."""
    appender = MetricAppender(path)
    for name, values in series.items():
        for step, value in enumerate(values):
            appender.append(name, Point(2 * step, step / 10, value, 1e9))
    appender.commit()
    appender.close()
    return path


def bucket(low: float, high: float, finite: int = 1) -> Bucket:
    return Bucket(0, 1, 0.0, 0.1, low, 0, high, 1, (low + high) / 2, finite)


def test_a_window_is_read_with_a_point_on_either_side(tmp_path: Path) -> None:
    path = recorded(tmp_path / "m.db", train_loss=[1.0, 0.5, 0.25, 0.125], val_loss=[2.0, 1.0])
    found = curves.between(path, 2, 3)
    assert (found["first"], found["last"]) == (2, 3)
    [family] = found["families"]
    assert family["name"] == "loss"
    shown = {one["name"]: (one["role"], one["steps"], one["values"]) for one in family["series"]}
    assert shown == {
        "train_loss": ("train", "0,2,4", "1,0.5,0.25"),
        "val_loss": ("val", "0,2", "2,1"),
    }
    assert all(one["count"] in (4, 2) for one in family["series"])


def test_a_long_window_has_four_hundred_points_that_stand_for_several(tmp_path: Path) -> None:
    path = recorded(tmp_path / "m.db", loss=[math.sin(step) for step in range(5_000)])
    [family] = curves.between(path, 0, 10**6)["families"]
    [one] = family["series"]
    columns = {name: one[name].split(",") for name in ("steps", "values", "lows", "highs")}
    assert {len(column) for column in columns.values()} == {len(columns["steps"])}
    assert 100 < len(columns["steps"]) <= 402
    assert float(min(columns["lows"], key=float)) == pytest.approx(-1.0, abs=0.01)


def test_series_beyond_the_limit_and_deviations_are_not_drawn(tmp_path: Path) -> None:
    many = {f"m{number}": [1.0] for number in range(curves.MAX_SERIES + 5)}
    path = recorded(tmp_path / "m.db", **{f"loss{SPREAD}": [0.1]}, **many)
    found = curves.between(path, 0, 10)["families"]
    names = [one["name"] for family in found for one in family["series"]]
    assert names == list(many)[: curves.MAX_SERIES]


@pytest.mark.parametrize(
    ("first", "last", "is_fine"), [(0, 0, True), (3, 9, True), (4, 3, False), (-1, 3, False), (0, 1 << 52, False)]
)
def test_a_window_that_no_run_has_is_refused(first: int, last: int, is_fine: bool) -> None:
    if is_fine:
        curves.check_window(first, last)
    else:
        with pytest.raises(ValueError, match="expected steps from 0 to below"):
            curves.check_window(first, last)


@pytest.mark.parametrize(
    ("picture", "digits"),
    [
        ([], 0),
        ([bucket(1.0, 1.0)], 0),
        ([bucket(0.0, 1000.0)], 0),
        ([bucket(1000.0, 1000.5)], 4),
        ([bucket(1e6, 1e6 + 1e-3)], 6),
        ([bucket(1.0, 1.0 + 1e-15)], 15),
        ([bucket(math.nan, math.nan, 0)], 0),
        ([bucket(-math.inf, math.inf)], 0),
    ],
)
def test_values_are_told_apart_to_a_thousandth_of_what_they_cover(picture: list[Bucket], digits: int) -> None:
    assert curves.digits_of(picture) == digits


def test_values_that_change_little_keep_their_digits(tmp_path: Path) -> None:
    path = recorded(tmp_path / "m.db", loss=[1234.5678, 1234.5679, math.nan])
    with MetricReader(path) as reader:
        found = curves.series(reader, "loss", 3, reader.picture("loss", 10))
    assert found["values"] == [1234.5678, 1234.5679, None]
    assert found["last"] is None
    assert "lows" not in found


def test_the_mean_of_several_fits_has_a_band_of_one_deviation(tmp_path: Path) -> None:
    path = recorded(tmp_path / "m.db", val_loss=[1.0, 0.5], **{f"val_loss{SPREAD}": [0.25, 0.125]})
    with MetricReader(path) as reader:
        counts = reader.counts()
        picture = reader.picture("val_loss", 10)
        found = curves.with_spread(reader, "val_loss", counts, picture, 10)
        assert (found["lows"], found["highs"]) == ([0.75, 0.375], [1.25, 0.625])
        alone = curves.with_spread(reader, "val_loss", {"val_loss": 2}, picture, 10)
        assert "lows" not in alone
        uneven = curves.with_spread(reader, "val_loss", counts, picture[:1], 10)
        assert "lows" not in uneven


def test_a_fork_is_drawn_beside_its_parent_up_to_where_it_began(tmp_path: Path) -> None:
    path = recorded(tmp_path / "m.db", loss=[4.0, 3.0, 2.0, 1.0], lr=[0.1] * 4, acc=[0.5])
    found = curves.of_parent(path, "digits-k3f9", 4, ["loss", "lr", "other"], 100)
    [one] = found
    assert (one["name"], one["role"], one["like"]) == ("loss of digits-k3f9", "parent", "loss")
    assert one["steps"][:3] == [0, 2, 4]
    assert one["last"] == one["values"][-1]


def test_series_are_grouped_by_chart_loss_first_and_rate_last() -> None:
    found = [{"name": name} for name in ("lr", "val_acc", "train_loss", "acc")]
    found.append({"name": "train_loss of digits", "like": "train_loss"})
    grouped = {family["name"]: [one["name"] for one in family["series"]] for family in curves.families(found)}
    assert list(grouped.items()) == [
        ("loss", ["train_loss", "train_loss of digits"]),
        ("acc", ["val_acc", "acc"]),
        ("lr", ["lr"]),
    ]


def test_columns_travel_as_texts() -> None:
    assert curves.column_text([1, None, 0.5]) == "1,,0.5"
    assert [curves.column_text(value) for value in ("loss", 3, None)] == ["loss", 3, None]
    found = [{"name": "loss", "series": [{"name": "a", "like": "b", "steps": [1, 2]}]}]
    assert curves.packed(found) == [{"name": "loss", "series": [{"name": "a", "steps": "1,2"}]}]
