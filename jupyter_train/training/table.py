"""Arrays and data frames as tensors: checked, encoded if asked, split by seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import TensorDataset

from jupyter_train.exceptions import DataError, did_you_mean
from jupyter_train.store.folder import RunFolder, write_atomically
from jupyter_train.training.splitting import MOST_CLASSES, Split, is_classes, split_rows


@dataclass
class Parts:
    """Row-wise parts of a table; `validation` and `test` may be empty."""

    train: TensorDataset
    validation: TensorDataset | None
    test: TensorDataset | None
    words: str
    encoder: Encoder | None = None
    classes: int = 0


@dataclass
class Encoder:
    """How text columns and gaps become numbers; fitted on the training part, plain JSON on disk."""

    medians: dict[str, float]
    categories: dict[str, list[str]]
    target: str
    labels: list[str] | None

    def features(self, frame: Any) -> np.ndarray[Any, Any]:
        """A float32 matrix: numbers with gaps at the median, then one column per known category.

        Raises:
            DataError: A column the encoder was fitted on is missing.
        """
        missing = [name for name in (*self.medians, *self.categories) if name not in frame.columns]
        if missing:
            raise DataError(f"the frame lacks {_names(missing)}; the model was trained on it")
        parts = [
            frame[name].astype("float64").fillna(median).to_numpy()[:, None] for name, median in self.medians.items()
        ]
        for name, known in self.categories.items():
            column = frame[name].astype("string").to_numpy(dtype=object)
            parts.append(np.stack([column == category for category in known], axis=1).astype("float64"))
        return np.concatenate(parts, axis=1).astype("float32")

    def targets(self, column: Any) -> np.ndarray[Any, Any]:
        """The target column as numbers."""
        if self.labels is None:
            return np.asarray(column)
        numbers = {label: index for index, label in enumerate(self.labels)}
        return np.array([numbers.get(str(value), -1) for value in column], dtype="int64")

    def save(self, folder: RunFolder) -> None:
        """Keeps the encoder with the run."""
        write_atomically(folder.path / "encoder.json", json.dumps(vars(self)).encode())

    @classmethod
    def load(cls, folder: RunFolder) -> Encoder | None:
        """The encoder kept with a run; None when it needed none."""
        path = folder.path / "encoder.json"
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def parts_of_frame(frame: Any, target: str | None, split: Split, seed: int, encode: bool) -> Parts:
    """A DataFrame's rows, split and turned into tensors.

    Raises:
        DataError: No target, an unknown one, no rows, or columns that are text or have gaps.
    """
    columns = [str(name) for name in frame.columns]
    frame = frame.set_axis(columns, axis=1)
    if target is None:
        raise DataError(f"a DataFrame needs its target; add `--target {columns[-1] if columns else 'COLUMN'}`")
    if target not in columns:
        raise DataError(
            f"`--target {target}`: no such column.{did_you_mean(target, columns)} Columns: {_names(columns)}"
        )
    _check_rows(len(frame))
    groups = split.groups_of(frame)
    frame = frame.drop(columns=[split.group]) if split.group else frame
    if frame[target].isna().any():
        count = int(frame[target].isna().sum())
        raise DataError(f"the target `{target}` has {count} empty rows; drop them: `df.dropna(subset=[{target!r}])`")
    if not encode:
        _refuse_columns(frame, target)
    train, validation, test = split_rows(np.asarray(frame[target]), split, seed, groups)
    encoder = _fit(frame.iloc[train], frame[target], target)
    features = encoder.features(frame)
    targets = encoder.targets(frame[target])
    parts = _parts(features, targets, (train, validation, test))
    if encoder.categories or encoder.labels or any(frame[name].isna().any() for name in encoder.medians):
        parts.words += f" · {features.shape[1]} columns after encoding"
    parts.encoder = encoder
    return parts


def _is_numeric(column: Any) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return bool(is_numeric_dtype(column) or is_bool_dtype(column))


def _refuse_columns(frame: Any, target: str) -> None:
    text = [name for name in frame.columns if not _is_numeric(frame[name])]
    gaps = [name for name in frame.columns if name not in text and name != target and frame[name].isna().any()]
    problems = []
    if text:
        problems.append(f"not numbers: {_names(text)}")
    if gaps:
        problems.append(f"with empty (NaN) rows: {_names(gaps)}")
    if problems:
        raise DataError(f"columns {'; '.join(problems)}. Add `--encode auto`, or prepare them yourself")


def _fit(train: Any, target: Any, name: str) -> Encoder:
    medians: dict[str, float] = {}
    categories: dict[str, list[str]] = {}
    for column in (column for column in train.columns if column != name):
        values = train[column]
        if _is_numeric(values):
            median = float(values.astype("float64").median())
            medians[column] = 0.0 if np.isnan(median) else median
        else:
            known = sorted(values.dropna().astype("string").unique().tolist())
            if len(known) > MOST_CLASSES:
                raise DataError(f"column `{column}` has {len(known)} different texts; drop it or encode it yourself")
            categories[column] = known
    labels = None if _is_numeric(target) else sorted({str(value) for value in target})
    return Encoder(medians, categories, name, labels)


def parts_of_arrays(features: Any, targets: Any, split: Split, seed: int, encode: bool) -> Parts:
    """Arrays or tensors `(n, ...)` and `(n, ...)`, split and turned into tensors.

    Arrays of inputs become float32; a tensor of integers stays one (tokens for an embedding). Targets become
    int64 or float32.

    Raises:
        DataError: Lengths differ, no rows, text, or NaN.
    """
    x, y = _as_array(features, "X"), _as_array(targets, "y")
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise DataError(f"X has shape {x.shape} and y has shape {y.shape}; expected the same number of rows")
    _check_rows(len(x))
    if encode and (x.dtype.kind in "OUS" or y.dtype.kind in "OUS" or _gaps(x)):
        return _encoded_arrays(x, y, split, seed)
    for name, array in (("X", x), ("y", y)):
        _refuse_array(name, array)
    keeps_type = isinstance(features, torch.Tensor) and not features.is_floating_point()
    return _parts(x, y, split_rows(y, split, seed), str(x.dtype) if keeps_type else "float32")


def _encoded_arrays(x: Any, y: Any, split: Split, seed: int) -> Parts:
    import pandas as pd

    if x.ndim != 2:
        raise DataError(f"`--encode auto` needs a table; X has shape {x.shape}")
    frame = pd.DataFrame({f"x{i}": x[:, i] for i in range(x.shape[1])}).infer_objects()
    return parts_of_frame(frame.assign(y=y), "y", split, seed, encode=True)


def _as_array(values: Any, name: str) -> np.ndarray[Any, Any]:
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.dtype == object:
        try:
            array = np.asarray(values, dtype="float64")
        except (TypeError, ValueError):
            return np.asarray(values, dtype=object)
    return array


def _gaps(array: np.ndarray[Any, Any]) -> int:
    return int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0


def _refuse_array(name: str, array: np.ndarray[Any, Any]) -> None:
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} holds {array.dtype} values, not numbers. Add `--encode auto`, or encode it yourself")
    if gaps := _gaps(array):
        where = ""
        if array.ndim == 2:
            columns = np.flatnonzero(np.isnan(array).any(axis=0))
            where = f" in column{'s' if len(columns) > 1 else ''} {', '.join(map(str, columns[:8]))}"
        fix = "Add `--encode auto`, or fill them yourself" if name == "X" else "Drop those rows"
        raise DataError(f"{name} has {gaps} NaN values{where}. {fix}")


def _check_rows(rows: int) -> None:
    if rows < 2:
        raise DataError(f"the data has {rows} rows; expected at least 2 (one to train on, one to validate with)")


def _parts(features: Any, targets: Any, rows: tuple[Any, Any, Any], input_type: str = "float32") -> Parts:
    x = torch.from_numpy(np.array(features, dtype=input_type))  # a copy: frames give read-only arrays
    is_class = is_classes(targets)
    y = torch.from_numpy(np.array(targets, dtype="int64" if targets.dtype.kind in "iub" else "float32"))
    sets = [TensorDataset(x[index], y[index]) if len(index) else None for index in map(torch.from_numpy, rows)]
    names = ("train", "validation", "test")
    words = " / ".join(f"{len(index):,} {name}" for name, index in zip(names, rows, strict=True) if len(index))
    kind = ", stratified" if is_class else ""
    assert sets[0] is not None
    classes = len(np.unique(targets)) if is_class else 0
    return Parts(sets[0], sets[1], sets[2], f"rows: {words}{kind}", classes=classes)


def _names(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
