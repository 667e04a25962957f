"""Values that no model can be trained on are named in one line, with what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from jupyter_train.exceptions import DataError
from jupyter_train.training.data.row_checks import (
    check_array,
    check_frame,
    count_missing,
    count_nan,
    input_dtype,
    to_array,
    to_row_weights,
)

NUMBERS = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})


def test_columns_of_numbers_are_fine_and_texts_and_gaps_where_they_are_encoded() -> None:
    check_frame(NUMBERS, encode=False, target=pd.DataFrame({"y": [0, 1]}))
    check_frame(NUMBERS.assign(city=["Rome", None], gap=[1.0, np.nan]), encode=True)


FRAMES = {
    "no input": (pd.DataFrame(index=range(2)), False, "the target is the only column"),
    "text": (NUMBERS.assign(city=["Rome", "Oslo"]), False, "columns not numbers: `city`. Add `--encode auto`"),
    "gaps": (NUMBERS.assign(gap=[1.0, np.nan]), False, "columns with empty (NaN) rows: `gap`. Add `--encode auto`"),
    "both": (
        NUMBERS.assign(city=["Rome", "Oslo"], gap=[1.0, np.nan]),
        False,
        "columns not numbers: `city`; with empty (NaN) rows: `gap`.",
    ),
    "infinite": (
        NUMBERS.assign(big=[1.0, np.inf]),
        False,
        "with infinite rows (or too large for float32): `big`. Replace those: `df.replace([np.inf, -np.inf], np.nan)` "
        "and add `--encode auto`",
    ),
    "too large": (NUMBERS.assign(big=[1.0, 1e39]), True, "too large for float32): `big`. Replace those"),
    "dates": (NUMBERS.assign(day=pd.to_datetime(["2026-01-01"] * 2)), True, "columns of dates or times: `day`"),
    "dates as objects": (
        NUMBERS.assign(day=pd.Series([pd.Timestamp("2026-01-01").date()] * 2, dtype=object)),
        True,
        "columns of dates or times: `day`",
    ),
    "lists": (NUMBERS.assign(tags=[[1], [2, 3]]), True, "columns of lists or arrays: `tags`"),
    "complex": (NUMBERS.assign(wave=[1j, 2j]), True, "columns of complex numbers: `wave`"),
}


@pytest.mark.parametrize("case", FRAMES)
def test_columns_that_cannot_become_numbers_are_named(case: str) -> None:
    frame, encode, words = FRAMES[case]
    with pytest.raises(DataError) as caught:
        check_frame(frame, encode)
    assert words in str(caught.value)


def test_texts_of_the_target_are_named_too() -> None:
    with pytest.raises(DataError, match="columns not numbers: `label`"):
        check_frame(NUMBERS, False, pd.DataFrame({"label": ["a", "b"]}))


@pytest.mark.parametrize(
    ("values", "array"),
    [
        (torch.ones(2, requires_grad=True), [1.0, 1.0]),
        (sparse.csr_matrix([[0, 3]]), [[0, 3]]),
        (np.ma.masked_array([1, 2], mask=[False, True]), [1.0, np.nan]),
        (np.ma.masked_array([1, 2]), [1, 2]),
        (pd.Series([1, None], dtype="Int64"), [1.0, np.nan]),
        ([1, 2.5], [1.0, 2.5]),
        (["a", None], ["a", None]),
    ],
)
def test_values_become_an_array(values: Any, array: list[Any]) -> None:
    found = to_array(values)
    assert isinstance(found, np.ndarray)
    assert found.dtype == object or found.dtype.kind in "fiu"
    np.testing.assert_array_equal(found, np.asarray(array, dtype=found.dtype))


def test_missing_values_are_counted() -> None:
    assert count_nan(np.array([1.0, np.nan, np.nan])) == 2
    assert count_nan(np.array([1, 2])) == count_nan(np.array(["nan"])) == 0
    assert count_missing(np.array(["a", None, np.nan], dtype=object)) == 2
    assert count_missing(np.array(["a", "nan"])) == 0


@pytest.mark.parametrize(
    ("inputs", "has_embedding", "dtype"),
    [
        (np.zeros(2), False, "float32"),
        (np.zeros(2, dtype="int32"), False, "float32"),
        (np.zeros(2, dtype="int32"), True, "int64"),
        (np.zeros(2), True, "float32"),
        (pd.DataFrame({"a": [1]}), True, "float32"),
        (torch.zeros(2, dtype=torch.int32), False, "int32"),
        (torch.zeros(2, dtype=torch.float64), False, "float32"),
    ],
)
def test_inputs_are_floats_unless_they_are_indices(inputs: Any, has_embedding: bool, dtype: str) -> None:
    assert input_dtype(inputs, has_embedding) == dtype


ARRAYS = {
    "texts": (np.array(["a"]), "X holds <U1 values, not numbers. Add `--encode auto`"),
    "gaps": (np.array([[1, np.nan], [np.nan, np.nan]]), "X has 3 NaN values in columns 0, 1. Add `--encode auto`"),
    "infinite": (
        np.array([[1, 2], [3, np.inf]]),
        "X has 1 values that are infinite, or too large for float32 in column 1",
    ),
    "too large": (np.array([-1e39]), "X has 1 values that are infinite, or too large for float32. Replace"),
    "complex": (np.array([1j]), "X holds complex numbers (complex128)"),
    "dates": (np.array(["2026-01-01"], dtype="datetime64[D]"), "X holds dates or times (datetime64[D])"),
    "records": (np.zeros(1, dtype=[("a", "f8")]), "make a table of it: `pd.DataFrame(X)`"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_an_array_that_holds_no_finite_numbers_is_refused(case: str) -> None:
    array, words = ARRAYS[case]
    with pytest.raises(DataError) as caught:
        check_array("X", array)
    assert words in str(caught.value)


def test_gaps_of_the_target_are_dropped_not_encoded() -> None:
    check_array("y", np.array([1.5, 2.0]))
    check_array("y", np.array([], dtype="float64"))
    with pytest.raises(DataError, match=r"y has 1 NaN values\. Drop those rows"):
        check_array("y", np.array([1.0, np.nan]))


def test_weights_are_one_number_a_row() -> None:
    assert to_row_weights([0, 1, 2], 3).tolist() == [0, 1, 2]
    assert to_row_weights(np.ones((3, 1)), 3).tolist() == [1, 1, 1]
    for weights, words in [
        ([1, 2], "expected the weights of 3 rows"),
        (np.ones((3, 2)), "has shape (3, 2)"),
        ([0, 0, 0], "are negative, or all 0"),
        ([1, -1, 1], "are negative, or all 0"),
        ([1, np.nan, 1], "w has 1 NaN values"),
    ]:
        with pytest.raises(DataError) as caught:
            to_row_weights(weights, 3)
        assert words in str(caught.value)
