"""Rows to evaluate and predict on are encoded as those of training were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch.nn.functional import cross_entropy

from jupyter_train.exceptions import DataError
from jupyter_train.training.data.encoder import Encoder
from jupyter_train.training.data.evaluation_rows import make_evaluation_dataset, make_input_dataset
from jupyter_train.training.data.row_inputs import to_row_inputs

X = np.ones((3, 2))
ENCODER = Encoder({"size": 1.0}, {"colour": ["g", "r"]}, "kind", ["n", "y"], ["size", "colour"])
FRAME = pd.DataFrame({"colour": ["r", "g"], "size": [2.0, np.nan], "kind": ["y", "n"]})


def test_inputs_have_the_type_of_training() -> None:
    assert make_input_dataset(X, None, False).tensors[0].dtype == torch.float32
    assert make_input_dataset(X.astype("int64"), None, True).tensors[0].dtype == torch.int64
    assert make_input_dataset(sparse.csr_matrix(X), None, False)[0][0].tolist() == [1.0, 1.0]


def test_a_frame_is_encoded_with_its_target() -> None:
    inputs, targets = make_evaluation_dataset(to_row_inputs(FRAME), ENCODER, cross_entropy, False).tensors
    assert inputs.tolist() == [[2.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    assert targets.tolist() == [1, 0]


def test_weights_come_third_and_a_matrix_stays_sparse() -> None:
    dataset = make_evaluation_dataset(to_row_inputs((sparse.csr_matrix(X), [0, 1, 0], [1, 2, 3])), None, None, False)
    assert [value.tolist() for value in dataset[1]] == [[1.0, 1.0], 1, 2.0]


@pytest.mark.parametrize(
    ("data", "encoder", "message"),
    [
        (FRAME.drop(columns="kind"), ENCODER, "the frame lacks the target `kind`"),
        (FRAME, None, "the frame lacks the target COLUMN"),
        ((X, [1, 2]), None, "X has 3 rows and y has 2"),
        ((np.array([["a"]] * 3), [0, 1, 0]), None, "the run has encoded none"),
        (FRAME.assign(kind="z"), ENCODER, "`kind` holds `z`; the model was trained on"),
    ],
)
def test_what_was_not_trained_on_is_one_line(data, encoder, message: str) -> None:
    with pytest.raises(DataError) as error:
        make_evaluation_dataset(to_row_inputs(data), encoder, None, False)
    assert message in str(error.value)
