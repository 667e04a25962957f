"""Datasets for `run.test`, `run.validate` and `run.predict`: encoded as for training, never split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

from jupyter_train.exceptions import DataError
from jupyter_train.training.data.encoder import Encoder
from jupyter_train.training.data.row_checks import check_array, check_kind, input_dtype, to_array, to_row_weights
from jupyter_train.training.data.row_inputs import RowInputs, is_sparse, row_count, with_text_columns
from jupyter_train.training.data.sparse_rows import SparseRows
from jupyter_train.training.data.targets import to_class_numbers
from jupyter_train.training.losses import Loss


def make_input_dataset(data: object, encoder: Encoder | None, has_embedding: bool) -> Dataset[Any]:
    """A Dataset of inputs, encoded as for training.

    Args:
        data: An array, a frame or a scipy matrix.
        encoder: The run's encoder, if it has one.
        has_embedding: Whether the model has an embedding: whole numbers stay integers.

    Raises:
        DataError: They hold something that the run cannot encode.
    """
    if is_sparse(data):
        return SparseRows(data.tocsr())  # texts and gaps are never in one
    if encoder is not None and encoder.takes(data):
        return TensorDataset(torch.from_numpy(encoder.features(data)))
    array = to_array(data)
    check_kind("X", array)
    if array.dtype.kind not in "fiub":
        raise DataError(f"X holds {array.dtype} values, not numbers, and the run has encoded none")
    return TensorDataset(torch.from_numpy(np.array(array, dtype=input_dtype(data, has_embedding))))


def make_evaluation_dataset(
    rows: RowInputs, encoder: Encoder | None, loss: Loss | None, has_embedding: bool
) -> Dataset[Any]:
    """A Dataset of inputs, targets and weights, encoded as for training; see `make_input_dataset`.

    Raises:
        DataError: The target is missing, lengths differ, or something cannot be encoded.
    """
    features, targets = rows.features, rows.targets
    if rows.is_frame:
        frame = with_text_columns(features)
        if encoder is None or encoder.target not in frame.columns:
            name = f"`{encoder.target}`" if encoder is not None else "COLUMN"
            raise DataError(f"the frame lacks the target {name}; give it, or `(X, y)`")
        features, targets = frame.drop(columns=[encoder.target]), frame[encoder.target]
    if row_count(features) != row_count(targets):
        raise DataError(f"X has {row_count(features):,} rows and y has {row_count(targets):,}; expected as many")
    raw_targets = to_array(targets)
    numbers = encoder.targets(raw_targets) if encoder is not None else raw_targets
    check_array("y", numbers)
    numbers = to_class_numbers(numbers, loss)
    columns = [torch.from_numpy(np.array(numbers, dtype="int64" if numbers.dtype.kind in "iub" else "float32"))]
    if rows.weights is not None:
        columns.append(torch.from_numpy(to_row_weights(rows.weights, len(numbers)).astype("float32")))
    inputs = make_input_dataset(features, encoder, has_embedding)
    if isinstance(inputs, SparseRows):
        return SparseRows(features.tocsr(), *columns)
    return TensorDataset(*inputs.tensors, *columns)  # type: ignore[attr-defined]
