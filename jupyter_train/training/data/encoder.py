"""How text columns and gaps of a table become numbers, and texts of a target classes: kept with the run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jupyter_train.exceptions import DataError
from jupyter_train.store.run_folder import RunFolder, write_atomically
from jupyter_train.store.text_columns import listed
from jupyter_train.training.data.row_inputs import is_frame, with_text_names
from jupyter_train.training.data.splitting import MAX_CLASSES

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
        gaps: Those of texts in which a gap is a category of its own, the one after the texts.
        others: Those in which whatever is neither is one, the last.
        scales: Mean and standard deviation of columns of numbers that are scaled.
        target_scale: Means and standard deviations of targets that are scaled; None where they are not.
    """

    medians: dict[str, float]
    categories: dict[str, list[str]]
    target: str
    labels: list[str] | None
    columns: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)
    target_scale: tuple[list[float], list[float]] | None = None

    def features(self, data: Any) -> np.ndarray[Any, Any]:
        """A float32 matrix: numbers with gaps at the median, scaled; then one column per known category.

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
        parts += [
            one_hot(frame[name], known, name in self.gaps, name in self.others)
            for name, known in self.categories.items()
        ]
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
        mean, deviation = self.scales.get(name, (0.0, 1.0))
        return (found - mean) / deviation if name in self.scales else found

    def targets(self, column: Any) -> np.ndarray[Any, Any]:
        """The targets as numbers.

        Raises:
            DataError: One is no class that the model was trained on.
        """
        if self.target_scale is not None:
            means, deviations = map(np.asarray, self.target_scale)
            scaled: np.ndarray[Any, Any] = (np.asarray(column, dtype="float64") - means) / deviations
            return scaled
        given = np.asarray(column)
        if self.labels is None:
            return given
        numbers = {label: index for index, label in enumerate(self.labels)}
        values = given.reshape(-1).tolist()
        found = [numbers.get(str(value), numbers.get(label_of(value), -1)) for value in values]
        if -1 in found:
            odd = {label_of(value) for value, number in zip(values, found, strict=True) if number < 0}
            raise DataError(
                f"`{self.target}` holds {names_of(sorted(odd))}; the model was trained on {listed(self.labels, 20)}"
            )
        is_column = given.ndim == 2 and given.shape[1] == 1
        return np.array(found, dtype="int64").reshape(-1 if is_column else given.shape)

    def save(self, folder: RunFolder) -> None:
        """Keeps the encoder with the run."""
        write_atomically(folder.path / "encoder.json", json.dumps(vars(self)).encode())

    @classmethod
    def load(cls, folder: RunFolder) -> Encoder | None:
        """The encoder kept with a run; None when it needed none."""
        path = folder.path / "encoder.json"
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def one_hot(column: Any, known: list[str], has_gap: bool, has_other: bool) -> np.ndarray[Any, Any]:
    """A column of texts as one column for each of them, and for gaps and whatever else where these have one."""
    texts = column.astype("string").to_numpy(dtype=object, na_value="")
    is_gap = column.isna().to_numpy()
    found = [(texts == category) & ~is_gap for category in known]
    if has_gap:
        found.append(is_gap)
    if has_other:
        found.append(~np.logical_or.reduce(found) if found else np.ones(len(column), dtype=bool))
    return np.stack(found, axis=1).astype("float64") if found else np.zeros((len(column), 0))


def label_of(value: Any) -> str:
    """A class as it is kept: whole numbers without their point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def frame_of(array: np.ndarray[Any, Any], names: list[str]) -> Any:
    """An array `(n, k)` as a frame, each column of the type of its values."""
    import pandas as pd

    return pd.DataFrame({name: array[:, index] for index, name in enumerate(names)}).infer_objects()


def fit(
    features: Any, train: np.ndarray[Any, Any], target: str, is_fold: bool = False, scales: bool = False
) -> Encoder:
    """The encoder of a frame.

    Args:
        features: All rows, without the target.
        train: Numbers of the rows that it may learn from.
        target: The name of the target.
        is_fold: Whether other folds have to come to the same columns: then the texts are those of all rows, and what
            is none of them is one more.
        scales: Whether numbers get mean 0 and standard deviation 1.

    Raises:
        DataError: A column has more different texts than can be columns.
    """
    encoder = Encoder({}, {}, target, None, list(features.columns))
    for name in features.columns:
        values = features[name] if is_fold else features[name].iloc[train]
        if is_numeric(values):
            _fit_numbers(encoder, name, features[name].iloc[train].astype("float64"), scales)
            continue
        texts = sorted(values.dropna().astype("string").unique().tolist())
        if len(texts) > MAX_CLASSES:
            raise DataError(f"column `{name}` has {len(texts)} different texts; drop it or encode it yourself")
        encoder.categories[name] = texts
        encoder.gaps += [name] if values.isna().any() else []
        encoder.others += [name] if is_fold else []
    return encoder


def _fit_numbers(encoder: Encoder, name: str, values: Any, scales: bool) -> None:
    median = float(values.median())
    median = encoder.medians[name] = 0.0 if np.isnan(median) else median
    if scales:
        means, deviations = standard(values.fillna(median).to_numpy())
        encoder.scales[name] = (means[0], deviations[0])


def standard(values: np.ndarray[Any, Any]) -> tuple[list[float], list[float]]:
    """Means and standard deviations of columns as scikit-learn's `StandardScaler` takes them: 1 for a constant."""
    table = values.astype("float64").reshape(len(values), -1)
    deviations = table.std(axis=0)
    return table.mean(axis=0).tolist(), np.where(deviations > 0, deviations, 1.0).tolist()


def is_numeric(column: Any) -> bool:
    """Whether a column holds real numbers or truth values."""
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

    return bool((is_numeric_dtype(column) or is_bool_dtype(column)) and not is_complex_dtype(column))


def names_of(names: list[str]) -> str:
    """Names in backticks; the first eight of many."""
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
