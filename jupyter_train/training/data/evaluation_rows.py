"""Rows for a model that has been trained: as they were for training, and never split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

from jupyter_train.exceptions import DataError
from jupyter_train.training.data.encoder import Encoder
from jupyter_train.training.data.row_checks import as_array, check_array, checked_weights, input_type, refuse_kind
from jupyter_train.training.data.row_inputs import RowInputs, count_of, is_sparse, with_text_names
from jupyter_train.training.data.sparse_rows import SparseRows
from jupyter_train.training.data.targets import whole_classes
from jupyter_train.training.losses import Loss


def inputs_of(data: Any, encoder: Encoder | None, is_lookup: bool) -> Dataset[Any]:
    """Inputs alone, as the model was trained on them.

    Args:
        data: An array, a frame or a scipy matrix.
        encoder: What the run has encoded by, if it has.
        is_lookup: Whether the model looks whole numbers up.

    Raises:
        DataError: They cannot be.
    """
    if is_sparse(data):
        return SparseRows(data.tocsr())  # texts and gaps are never in one
    if encoder is not None and encoder.takes(data):
        return TensorDataset(torch.from_numpy(encoder.features(data)))
    array = as_array(data)
    refuse_kind("X", array)
    if array.dtype.kind not in "fiub":
        raise DataError(f"X holds {array.dtype} values, not numbers, and the run has encoded none")
    return TensorDataset(torch.from_numpy(np.array(array, dtype=input_type(data, is_lookup))))


def evaluated(rows: RowInputs, encoder: Encoder | None, loss: Loss | None, is_lookup: bool) -> Dataset[Any]:
    """Rows with their targets, as the model was trained on them; see `inputs_of`.

    Raises:
        DataError: They cannot be.
    """
    features, targets = rows.features, rows.targets
    if rows.is_frame:
        frame = with_text_names(features)
        if encoder is None or encoder.target not in frame.columns:
            name = f"`{encoder.target}`" if encoder is not None else "COLUMN"
            raise DataError(f"the frame lacks the target {name}; give it, or `(X, y)`")
        features, targets = frame.drop(columns=[encoder.target]), frame[encoder.target]
    if count_of(features) != count_of(targets):
        raise DataError(f"X has {count_of(features):,} rows and y has {count_of(targets):,}; expected as many")
    column = as_array(targets)
    numbers = encoder.targets(column) if encoder is not None else column
    check_array("y", numbers)
    numbers = whole_classes(numbers, loss)
    others = [torch.from_numpy(np.array(numbers, dtype="int64" if numbers.dtype.kind in "iub" else "float32"))]
    if rows.weights is not None:
        others.append(torch.from_numpy(checked_weights(rows.weights, len(numbers)).astype("float32")))
    inputs = inputs_of(features, encoder, is_lookup)
    if isinstance(inputs, SparseRows):
        return SparseRows(features.tocsr(), *others)
    return TensorDataset(*inputs.tensors, *others)  # type: ignore[attr-defined]
