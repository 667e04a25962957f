"""Row numbers of train, validation and test: by shares (`--split`), or by fold (`--cv`)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jupyter_train.config.cross_validation import Fold
from jupyter_train.exceptions import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

#: More different values are no classes.
MAX_CLASSES = 1000


@dataclass(frozen=True)
class Split:
    """How rows are split.

    Attributes:
        shares: Of training, validation and test.
        fold: The fold that validates, in place of a share.
        part_sizes: Numbers of training, validation and test rows, in this order, where data came in parts; else empty.
    """

    shares: tuple[float, float, float]
    fold: Fold | None = None
    part_sizes: tuple[int, ...] = ()

    @property
    def group(self) -> str:
        """The column whose rows stay together; empty where there is none."""
        return self.fold.folds.group if self.fold is not None else ""

    def groups_of(self, frame: pd.DataFrame) -> np.ndarray[Any, Any] | None:
        """The group of every row; None where there are no groups.

        Raises:
            DataError: The frame has no such column.
        """
        if not self.group:
            return None
        if self.group not in frame.columns:
            close = did_you_mean(self.group, [str(name) for name in frame.columns])
            raise DataError(f"`--cv {self.fold and self.fold.folds.count}:group={self.group}`: no such column.{close}")
        return np.asarray(frame[self.group])


class RowNumbers(NamedTuple):
    """Row numbers of the three parts, each sorted; empty where a part has none."""

    train: np.ndarray[Any, Any]
    validation: np.ndarray[Any, Any]
    test: np.ndarray[Any, Any]


def is_classes(targets: np.ndarray[Any, Any]) -> bool:
    """True for integer, bool or text targets `(n,)` with at most `MAX_CLASSES` different values."""
    return targets.ndim == 1 and targets.dtype.kind in "iubOUS" and len(np.unique(targets.astype(str))) <= MAX_CLASSES


def split_rows(
    targets: np.ndarray[Any, Any], split: Split, seed: int, groups: np.ndarray[Any, Any] | None = None
) -> RowNumbers:
    """Row numbers of train, validation and test, by seed; stratified when the targets are classes.

    A test part is put aside first, whole, and is the same for every fold.

    Raises:
        DataError: There are too few rows, or groups, for the shares or the folds.
    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(targets))
    if split.part_sizes:
        return RowNumbers(*np.split(rows, np.cumsum([*split.part_sizes, 0])[:2]))
    labels = targets.astype(str) if is_classes(targets) else None
    _, for_validation, for_test = split.shares
    if split.fold is not None:
        fold_pool, test = _set_test_aside(rows, split, labels, seed, groups)
        train, validation = fold_rows(
            targets[fold_pool], split.fold, seed, groups[fold_pool] if groups is not None else None
        )
        return RowNumbers(fold_pool[train], fold_pool[validation], test)
    train, rest = _cut_share(train_test_split, rows, for_validation + for_test, labels, seed)
    if for_test == 0 or len(rest) < 2:
        return RowNumbers(train, rest, rest[:0])
    if for_validation == 0:
        return RowNumbers(train, rest[:0], rest)
    validation, test = _cut_share(train_test_split, rest, for_test / (for_validation + for_test), labels, seed)
    return RowNumbers(train, validation, test)


def _set_test_aside(
    rows: np.ndarray[Any, Any],
    split: Split,
    labels: np.ndarray[Any, Any] | None,
    seed: int,
    groups: np.ndarray[Any, Any] | None,
) -> tuple[Any, Any]:
    """Rows for the folds, and the test part: the last rows of a time series, whole groups of grouped rows."""
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    share = split.shares[2]
    if share <= 0:
        return rows, rows[:0]
    assert split.fold is not None
    if split.fold.folds.kind == "time":
        end = len(rows) - max(1, round(share * len(rows)))
        return rows[:end], rows[end:]
    if groups is not None:
        try:
            pool, held = next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(rows, groups=groups))
        except ValueError as err:
            raise DataError(f"`--split` cannot put these groups aside for a test: {err}") from None
        return np.sort(pool), np.sort(held)
    return _cut_share(train_test_split, rows, share, labels, seed)


def fold_rows(
    targets: np.ndarray[Any, Any], fold: Fold, seed: int, groups: np.ndarray[Any, Any] | None = None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Row numbers that train and that validate in one fold (scikit-learn's splitters).

    Args:
        targets: `(n, ...)`; classes are stratified by default.
        fold: The fold, and the kind of folds.
        seed: Shuffles the rows.
        groups: One a row, for folds by group.

    Raises:
        DataError: There are too few rows, or groups, for the folds.
    """
    from sklearn import model_selection as sk

    folds, count = fold.folds, fold.folds.count
    kind = folds.kind
    if kind == "auto":
        is_stratifiable = is_classes(targets) and np.unique(targets.astype(str), return_counts=True)[1].min() >= count
        kind = "stratified" if is_stratifiable else "plain"
    splitters: dict[str, Callable[[], Any]] = {
        "stratified": lambda: sk.StratifiedKFold(count, shuffle=True, random_state=seed),
        "plain": lambda: sk.KFold(count, shuffle=True, random_state=seed),
        "time": lambda: sk.TimeSeriesSplit(count),
        "group": lambda: sk.GroupKFold(count),
    }
    labels = targets.astype(str) if kind == "stratified" else None
    groups = groups if kind == "group" else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # too few rows of a class
            splits = list(splitters[kind]().split(np.zeros(len(targets)), labels, groups))
    except (ValueError, UserWarning) as err:
        raise DataError(f"`--cv {count}` cannot deal these {len(targets):,} rows: {err}") from None
    train, validation = splits[fold.number]
    return train, validation


def _cut_share(
    train_test_split: Callable[..., Any],
    rows: np.ndarray[Any, Any],
    share: float,
    labels: np.ndarray[Any, Any] | None,
    seed: int,
) -> tuple[Any, Any]:
    if share <= 0:
        return rows, rows[:0]
    share = max(share, 1 / len(rows))
    if math.ceil(share * len(rows)) >= len(rows):
        raise DataError(f"`--split` leaves no row for one of its parts: there are {len(rows):,} rows to deal")
    strata = None
    if labels is not None:
        counts = np.unique(labels[rows], return_counts=True)[1]
        held = max(1, round(share * len(rows)))
        if counts.min() >= 2 and min(held, len(rows) - held) >= len(counts):
            strata = labels[rows]
    kept, held_out = train_test_split(rows, test_size=share, random_state=seed, stratify=strata)
    return np.sort(kept), np.sort(held_out)
