"""Encodes tables: text columns one-hot, missing values by the median, class labels by index; saved with the run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_train.exceptions import DataError
from jupyter_train.store.run_folder import RunFolder, write_atomically
from jupyter_train.store.text_columns import listed
from jupyter_train.training.data.row_inputs import is_frame, with_text_columns
from jupyter_train.training.data.splitting import MAX_CLASSES

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_POSITIONAL_NAME = re.compile(r"x\d+")


@dataclass
class Encoder:
    """The fitted encoding of a table; `encoder.json` in the run folder.

    Attributes:
        medians: Fills missing values of a numeric column.
        categories: The texts of every other column; one output column each (one-hot).
        target: The name of the target.
        labels: The classes by index; None where the targets are numbers already.
        columns: The columns that it was fitted on, in their order.
        gaps: Text columns in which a missing value is a category of its own, after the texts.
        others: Text columns in which unknown texts are a category of their own, the last.
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

    def features(self, data: pd.DataFrame | np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A float32 matrix `(n, k)`: numbers, imputed by the median and scaled, then one column per category.

        Args:
            data: A frame with the columns it was fitted on, in any order, or an array with them in that order.

        Raises:
            DataError: A column is missing, or holds texts where it held numbers.
        """
        frame = self._frame(data)
        missing = [name for name in (*self.medians, *self.categories) if name not in frame.columns]
        if missing:
            raise DataError(f"the frame lacks {quote_names(missing)}; the model was trained on it")
        parts = [self._numbers(frame[name], name, median)[:, None] for name, median in self.medians.items()]
        parts += [
            one_hot(frame[name], texts, name in self.gaps, name in self.others)
            for name, texts in self.categories.items()
        ]
        return np.concatenate(parts, axis=1).astype("float32")

    @property
    def order(self) -> list[str]:
        """The columns in the order of an array; empty where an earlier release has not saved it."""
        if self.columns or not self.categories:
            return self.columns or list(self.medians)
        names = [*self.medians, *self.categories]
        is_by_position = all(map(_POSITIONAL_NAME.fullmatch, names))
        return sorted(names, key=lambda name: int(name[1:])) if is_by_position else []

    def takes(self, data: pd.DataFrame | np.ndarray[Any, Any]) -> bool:
        """Whether `features` applies: a frame, or an array as wide as what it was fitted on."""
        if not (self.medians or self.categories):
            return False
        return is_frame(data) or (np.ndim(data) == 2 and np.shape(data)[1] == len(self.order))

    def _frame(self, data: pd.DataFrame | np.ndarray[Any, Any]) -> pd.DataFrame:
        if not is_frame(data):
            return to_frame(np.asarray(data), self.order)
        frame = with_text_columns(data)
        is_by_position = all(map(_POSITIONAL_NAME.fullmatch, self.order)) and "x0" not in frame.columns
        return frame.set_axis(self.order, axis=1) if is_by_position and len(frame.columns) == len(self.order) else frame

    def _numbers(self, column: pd.Series, name: str, median: float) -> np.ndarray[Any, Any]:
        try:
            numbers: np.ndarray[Any, Any] = column.astype("float64").fillna(median).to_numpy()
        except (TypeError, ValueError):
            raise DataError(
                f"column `{name}` holds other things than numbers; the model was trained on numbers"
            ) from None
        mean, deviation = self.scales.get(name, (0.0, 1.0))
        return (numbers - mean) / deviation if name in self.scales else numbers

    def targets(self, column: npt.ArrayLike) -> np.ndarray[Any, Any]:
        """The targets as class indices, or scaled.

        Raises:
            DataError: A class was not among those of training.
        """
        if self.target_scale is not None:
            means, deviations = map(np.asarray, self.target_scale)
            scaled: np.ndarray[Any, Any] = (np.asarray(column, dtype="float64") - means) / deviations
            return scaled
        targets = np.asarray(column)
        if self.labels is None:
            return targets
        index_of = {label: index for index, label in enumerate(self.labels)}
        values = targets.reshape(-1).tolist()
        indices = [index_of.get(str(value), index_of.get(to_label(value), -1)) for value in values]
        if -1 in indices:
            unknown = {to_label(value) for value, index in zip(values, indices, strict=True) if index < 0}
            raise DataError(
                f"`{self.target}` holds {quote_names(sorted(unknown))}; the model was trained on "
                f"{listed(self.labels, 20)}"
            )
        is_column = targets.ndim == 2 and targets.shape[1] == 1
        return np.array(indices, dtype="int64").reshape(-1 if is_column else targets.shape)

    def save(self, folder: RunFolder) -> None:
        """Writes `encoder.json` into the run folder."""
        write_atomically(folder.path / "encoder.json", json.dumps(vars(self)).encode())

    @classmethod
    def load(cls, folder: RunFolder) -> Encoder | None:
        """The encoder of a run; None when it needed none."""
        path = folder.path / "encoder.json"
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def one_hot(column: pd.Series, categories: list[str], has_gap: bool, has_unknown: bool) -> np.ndarray[Any, Any]:
    """A text column one-hot `(n, k)`: one column a category, then one for missing and one for unknown values."""
    texts = column.astype("string").to_numpy(dtype=object, na_value="")
    is_gap = column.isna().to_numpy()
    masks = [(texts == category) & ~is_gap for category in categories]
    if has_gap:
        masks.append(is_gap)
    if has_unknown:
        masks.append(~np.logical_or.reduce(masks) if masks else np.ones(len(column), dtype=bool))
    return np.stack(masks, axis=1).astype("float64") if masks else np.zeros((len(column), 0))


def to_label(value: object) -> str:
    """A class as text; whole floats without their decimal point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def to_frame(array: np.ndarray[Any, Any], names: list[str]) -> pd.DataFrame:
    """An array `(n, k)` as a frame, each column of the type of its values."""
    import pandas as pd

    return pd.DataFrame({name: array[:, index] for index, name in enumerate(names)}).infer_objects()


def fit_encoder(
    features: pd.DataFrame, train: np.ndarray[Any, Any], target: str, is_fold: bool = False, scales: bool = False
) -> Encoder:
    """The encoder of a frame.

    Args:
        features: All rows, without the target.
        train: Row numbers it is fitted on.
        target: The name of the target.
        is_fold: Whether all folds need the same columns: then categories are those of all rows, and unknown texts are
            one more.
        scales: Whether numeric columns are standardised.

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


def _fit_numbers(encoder: Encoder, name: str, values: pd.Series, scales: bool) -> None:
    median = float(values.median())
    median = encoder.medians[name] = 0.0 if np.isnan(median) else median
    if scales:
        means, deviations = mean_and_std(values.fillna(median).to_numpy())
        encoder.scales[name] = (means[0], deviations[0])


def mean_and_std(values: np.ndarray[Any, Any]) -> tuple[list[float], list[float]]:
    """Means and standard deviations of columns as scikit-learn's `StandardScaler` computes them: 1 for a constant."""
    table = values.astype("float64").reshape(len(values), -1)
    deviations = table.std(axis=0)
    return table.mean(axis=0).tolist(), np.where(deviations > 0, deviations, 1.0).tolist()


def is_numeric(column: pd.Series) -> bool:
    """Whether a column holds real numbers or booleans."""
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

    return bool((is_numeric_dtype(column) or is_bool_dtype(column)) and not is_complex_dtype(column))


def quote_names(names: list[str]) -> str:
    """Names in backticks; the first eight of many."""
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
