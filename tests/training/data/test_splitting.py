"""Rows are split by seed: every row is in one part, classes keep their shares, groups and parts stay whole."""

from __future__ import annotations

import numpy as np
import pytest

from jupyter_train.config.cross_validation import Fold, parse_folds
from jupyter_train.exceptions import DataError
from jupyter_train.training.data.splitting import MAX_CLASSES, Split, is_classes, split_rows

CLASSES = np.arange(120) % 3


@pytest.mark.parametrize("shares", [(0.8, 0.2, 0.0), (0.6, 0.2, 0.2), (0.5, 0.0, 0.5)])
def test_every_row_is_in_one_part(shares) -> None:
    parts = split_rows(CLASSES, Split(shares), 5)
    assert sorted(np.concatenate(parts)) == list(range(120))
    assert [len(part) / 120 for part in parts] == pytest.approx(shares, abs=0.01)
    assert all((np.diff(part) > 0).all() for part in parts)


def test_the_seed_decides_and_classes_keep_their_shares() -> None:
    first, same, another = (split_rows(CLASSES, Split((0.75, 0.25, 0.0)), seed).validation for seed in (1, 1, 2))
    assert first.tolist() == same.tolist() != another.tolist()
    assert np.bincount(CLASSES[first]).tolist() == [10, 10, 10]


def test_parts_stay_as_they_came() -> None:
    parts = split_rows(CLASSES, Split((1.0, 0.0, 0.0), part_sizes=(100, 15, 5)), 1)
    assert [part.tolist() for part in parts] == [[*range(100)], [*range(100, 115)], [*range(115, 120)]]


def test_a_group_is_never_in_two_parts() -> None:
    groups = np.arange(120) // 6
    split = Split((0.8, 0.0, 0.2), Fold(parse_folds("4:group=who"), 1))
    parts = [set(groups[part]) for part in split_rows(CLASSES, split, 3, groups)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="leaves no row for one of its parts"):
        split_rows(np.zeros(2), Split((0.2, 0.8, 0.0)), 1)


def test_what_counts_as_classes() -> None:
    assert is_classes(np.array(["a", "b"]))
    assert is_classes(np.array([True, False]))
    assert not is_classes(np.array([0.5, 1.5]))
    assert not is_classes(np.zeros((4, 2), dtype="int64"))
    assert not is_classes(np.arange(MAX_CLASSES + 1))
