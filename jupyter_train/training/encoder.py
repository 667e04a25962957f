"""How text columns and gaps of a table become numbers, and texts of a target classes: kept with the run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jupyter_train.exceptions import DataError
from jupyter_train.store.folder import RunFolder, write_atomically
from jupyter_train.store.text import listed
from jupyter_train.training.given import is_frame, with_text_names
from jupyter_train.training.splitting import MOST_CLASSES

_POSITION = re.compile(r"x\d+")


@dataclass
class Encoder:
    """How text columns and gaps become numbers; plain JSON on disk.

    Attributes:
        medians: What fills the gaps of a column of numbers.
        categories: The texts of every other column; one output column each.
        target: The name of the target.
        labels: The classes, whose number is their place; None where the targets are numbers already.
        columns: The columns that it was fitted on, in their order.
    """

    medians: dict[str, float]
    categories: dict[str, list[str]]
    target: str
    labels: list[str] | None
    columns: list[str] = field(default_factory=list)

    def features(self, data: Any) -> np.ndarray[Any, Any]:
        """A float32 matrix: numbers with gaps at the median, then one column per known category.

        Args:
            data: A frame with the columns it was fitted on, in any order, or an array with them in that order.

        Raises:
            DataError: A column is missing, or holds texts where it held numbers.
        """
        frame = self._frame(data)
        missing = [name for name in (*self.medians, *self.categories) if name not in frame.columns]
        if missing:
            raise DataError(f"the frame lacks {names_of(missing)}; the model was trained on it")
        parts = [self._numbers(frame[name], name, median)[:, None] for name, median in self.medians.items()]
        parts += [_one_hot(frame[name], known) for name, known in self.categories.items()]
        return np.concatenate(parts, axis=1).astype("float32")

    @property
    def order(self) -> list[str]:
        """The columns in the order of an array; empty where an earlier release has not kept it."""
        if self.columns or not self.categories:
            return self.columns or list(self.medians)
        names = [*self.medians, *self.categories]
        is_by_position = all(map(_POSITION.fullmatch, names))
        return sorted(names, key=lambda name: int(name[1:])) if is_by_position else []

    def takes(self, data: Any) -> bool:
        """Whether `features` is for this: a frame, or an array as wide as what it was fitted on."""
        if not (self.medians or self.categories):
            return False
        return is_frame(data) or (np.ndim(data) == 2 and np.shape(data)[1] == len(self.order))

    def _frame(self, data: Any) -> Any:
        if not is_frame(data):
            return frame_of(np.asarray(data), self.order)
        frame = with_text_names(data)
        is_by_position = all(map(_POSITION.fullmatch, self.order)) and "x0" not in frame.columns
        return frame.set_axis(self.order, axis=1) if is_by_position and len(frame.columns) == len(self.order) else frame

    def _numbers(self, column: Any, name: str, median: float) -> np.ndarray[Any, Any]:
        try:
            found: np.ndarray[Any, Any] = column.astype("float64").fillna(median).to_numpy()
        except (TypeError, ValueError):
            raise DataError(
                f"column `{name}` holds other things than numbers; the model was trained on numbers"
            ) from None
        return found

    def targets(self, column: Any) -> np.ndarray[Any, Any]:
        """The targets as numbers.

        Raises:
            DataError: One is no class that the model was trained on.
        """
        if self.labels is None:
            return np.asarray(column)
        numbers = {label: index for index, label in enumerate(self.labels)}
        found = [numbers.get(str(value), numbers.get(label_of(value), -1)) for value in np.asarray(column).tolist()]
        if -1 in found:
            odd = {
                label_of(value) for value, number in zip(np.asarray(column).tolist(), found, strict=True) if number < 0
            }
            raise DataError(
                f"`{self.target}` holds {names_of(sorted(odd))}; the model was trained on {listed(self.labels[:20])}"
            )
        return np.array(found, dtype="int64")

    def save(self, folder: RunFolder) -> None:
        """Keeps the encoder with the run."""
        write_atomically(folder.path / "encoder.json", json.dumps(vars(self)).encode())

    @classmethod
    def load(cls, folder: RunFolder) -> Encoder | None:
        """The encoder kept with a run; None when it needed none."""
        path = folder.path / "encoder.json"
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _one_hot(column: Any, known: list[str]) -> np.ndarray[Any, Any]:
    texts = column.astype("string").to_numpy(dtype=object, na_value="")
    is_gap = column.isna().to_numpy()[:, None]
    if not known:
        return np.zeros((len(column), 0))
    found: np.ndarray[Any, Any] = np.stack([texts == category for category in known], axis=1) & ~is_gap
    return found.astype("float64")


def label_of(value: Any) -> str:
    """A class as it is kept: whole numbers without their point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def frame_of(array: np.ndarray[Any, Any], names: list[str]) -> Any:
    """An array `(n, k)` as a frame, each column of the type of its values."""
    import pandas as pd

    return pd.DataFrame({name: array[:, index] for index, name in enumerate(names)}).infer_objects()


def fit(features: Any, train: np.ndarray[Any, Any], target: str, labels: list[str] | None) -> Encoder:
    """The encoder of a frame.

    Args:
        features: All rows, without the target.
        train: Numbers of the rows that it may learn from.
        target: The name of the target.
        labels: Its classes, where they are numbered.

    Raises:
        DataError: A column has more different texts than can be columns.
    """
    medians: dict[str, float] = {}
    categories: dict[str, list[str]] = {}
    known = features.iloc[train]
    for name in features.columns:
        values = known[name]
        if is_numeric(values):
            median = float(values.astype("float64").median())
            medians[name] = 0.0 if np.isnan(median) else median
        else:
            texts = sorted(values.dropna().astype("string").unique().tolist())
            if len(texts) > MOST_CLASSES:
                raise DataError(f"column `{name}` has {len(texts)} different texts; drop it or encode it yourself")
            categories[name] = texts
    return Encoder(medians, categories, target, labels, list(features.columns))


def is_numeric(column: Any) -> bool:
    """Whether a column holds real numbers or truth values."""
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

    return bool((is_numeric_dtype(column) or is_bool_dtype(column)) and not is_complex_dtype(column))


def names_of(names: list[str]) -> str:
    """Names in backticks; the first eight of many."""
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
