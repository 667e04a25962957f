"""Checked and split rows become Datasets: types, encodings fitted on the training rows, one line for the panel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch.nn.functional import cross_entropy

from jupyter_train.exceptions import DataError
from jupyter_train.training.data.checked_rows import CheckedRows, TableOptions
from jupyter_train.training.data.sparse_rows import SparseRows
from jupyter_train.training.data.splitting import RowNumbers, Split
from jupyter_train.training.data.tabular import make_parts

NUMBERS = RowNumbers(np.arange(6), np.array([6, 7]), np.array([], dtype="int64"))
SPLIT = Split((0.8, 0.2, 0.0))
FEATURES = np.arange(16, dtype="float32").reshape(8, 2)
CLASSES = np.arange(8) % 2


def test_arrays_become_tensors_of_their_rows() -> None:
    parts = make_parts(CheckedRows(FEATURES, CLASSES), TableOptions(), SPLIT, NUMBERS)
    inputs, targets = parts.validation.tensors
    assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
    assert inputs.tolist() == FEATURES[6:].tolist()
    assert targets.tolist() == [0, 1]
    assert (len(parts.train), parts.test, parts.encoder, parts.classes) == (6, None, None, 2)
    assert parts.description == "rows: 6 train / 2 validation, stratified"


def test_weights_are_the_third_tensor() -> None:
    rows = CheckedRows(FEATURES, CLASSES, weights=np.arange(8))
    parts = make_parts(rows, TableOptions(), SPLIT, NUMBERS)
    assert parts.validation.tensors[2].tolist() == [6.0, 7.0]
    assert parts.description.endswith(" · weighted")


def test_a_matrix_stays_sparse() -> None:
    rows = CheckedRows(sparse.csr_matrix(FEATURES), CLASSES)
    parts = make_parts(rows, TableOptions(), SPLIT, NUMBERS)
    assert isinstance(parts.train, SparseRows)
    assert parts.validation[1][0].tolist() == [14.0, 15.0]


def test_a_frame_is_encoded_by_its_training_rows() -> None:
    frame = pd.DataFrame({"size": [1.0, 3.0, np.nan, 1.0, 3.0, 2.0, 90.0, 80.0], "colour": [*"rgrgrg", "x", "r"]})
    parts = make_parts(CheckedRows(frame, CLASSES, target_name="kind"), TableOptions(encode=True), SPLIT, NUMBERS)
    assert parts.encoder.medians == {"size": 2.0}
    assert parts.encoder.categories == {"colour": ["g", "r"]}
    assert parts.validation.tensors[0].tolist() == [[90.0, 0.0, 0.0], [80.0, 0.0, 1.0]]
    assert parts.description.endswith(" · 3 columns after encoding")


def test_the_encoder_of_an_earlier_attempt_is_used_again() -> None:
    frame = pd.DataFrame({"colour": [*"rgrgrgrg"]})
    texts = np.array([*"nynynyny"])
    options = TableOptions(encode=True, loss=cross_entropy)
    encoder = make_parts(CheckedRows(frame, texts), options, SPLIT, NUMBERS).encoder
    assert encoder.labels == ["n", "y"]
    other = CheckedRows(pd.DataFrame({"colour": [*"gggggggg"]}), np.array([*"yyyyyyyy"]))
    parts = make_parts(other, TableOptions(encode=True, loss=cross_entropy, encoder=encoder), SPLIT, NUMBERS)
    assert parts.train.tensors[0].tolist() == [[1.0, 0.0]] * 6
    assert parts.train.tensors[1].tolist() == [1] * 6
    assert vars(parts.encoder) == vars(encoder)


def test_a_target_is_scaled_by_its_training_rows() -> None:
    targets = np.array([0.0, 2, 0, 2, 0, 2, 100, 1])
    parts = make_parts(CheckedRows(FEATURES, targets), TableOptions(scale="standard+target"), SPLIT, NUMBERS)
    assert parts.train.tensors[1].tolist() == [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]
    assert parts.validation.tensors[1].tolist() == [99.0, 0.0]
    assert parts.encoder.target_scale == ([1.0], [1.0])
    with pytest.raises(DataError, match="is for numbers"):
        make_parts(CheckedRows(FEATURES, CLASSES), TableOptions(scale="standard+target"), SPLIT, NUMBERS)
