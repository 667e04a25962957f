"""Rows are checked before they are split: what comes out can be trained on, what cannot is one line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch.nn.functional import cross_entropy

from jupyter_train.config.cross_validation import Fold, parse_folds
from jupyter_train.exceptions import DataError
from jupyter_train.training.data.checked_rows import CheckedRows, TableOptions, check_rows
from jupyter_train.training.data.row_inputs import to_row_inputs
from jupyter_train.training.data.splitting import Split

X = np.ones((4, 2))
Y = np.arange(4) % 2
SPLIT = Split((0.8, 0.2, 0.0))
FRAME = pd.DataFrame({"size": [1.0, 2, 3, 4], "who": [*"aabb"], "kind": [0, 1, 0, 1]})


def checked(data, split: Split = SPLIT, **options) -> CheckedRows:
    return check_rows(to_row_inputs(data, options.get("target")), TableOptions(**options), split)


def test_inputs_are_float32_unless_an_embedding_looks_them_up() -> None:
    assert checked((X, Y)).features.dtype == "float32"
    assert checked((X.astype("int64"), Y)).features.dtype == "float32"
    assert checked((X.astype("int64"), Y), has_embedding=True).features.dtype == "int64"
    assert checked((torch.ones(4, 2, dtype=torch.uint8), Y)).features.dtype == "uint8"
    assert checked((sparse.csr_matrix(X), Y)).features.dtype == "float32"


def test_class_numbers_of_a_column_of_floats_are_whole() -> None:
    rows = checked((X, Y.astype("float64")[:, None]), loss=cross_entropy)
    assert (rows.targets.dtype, rows.targets.tolist()) == ("int64", [0, 1, 0, 1])


def test_what_has_to_be_encoded_is_a_frame() -> None:
    assert list(checked((X, Y), scale="standard").features.columns) == ["x0", "x1"]
    gap = np.array([[1.0, np.nan]] * 4)
    assert checked((gap, Y), encode=True).features["x1"].isna().all()


def test_a_frame_gives_its_target_and_its_groups() -> None:
    rows = checked(FRAME, Split((1.0, 0.0, 0.0), Fold(parse_folds("2:group=who"), 0)), target="kind")
    assert (list(rows.features.columns), rows.target_name) == (["size"], "kind")
    assert rows.groups.tolist() == [*"aabb"]
    assert rows.targets.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((X, Y[:3]), {}, "expected the same number of rows"),
        ((X[:1], Y[:1]), {}, "the data has 1 rows"),
        ((np.full((4, 2), np.nan), Y), {}, "X has 8 NaN values in columns 0, 1"),
        ((sparse.csr_matrix(X), Y), {"scale": "standard"}, "would leave no zeros"),
        ((X, np.array(["a", None, "b", "c"], dtype=object)), {"encode": True}, "y has 1 empty values"),
        ((X, Y, [1.0]), {}, "expected the weights of 4 rows"),
        (FRAME, {}, "a DataFrame needs its target; add `--target kind`"),
        (FRAME, {"target": "kid"}, "no such column. Did you mean `kind`?"),
        (FRAME, {"target": "kind"}, "not numbers: `who`"),
        (FRAME.assign(kind=[0, None, 1, 1]), {"target": "kind"}, "has 1 empty rows"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(data, options, message: str) -> None:
    with pytest.raises(DataError) as error:
        checked(data, **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
