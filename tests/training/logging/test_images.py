"""Logged images as PNG, whatever they come as."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from jupyter_train.training.logging.images import to_png

GREY = np.linspace(0, 1, 6).reshape(2, 3)
BYTES = np.array([[0, 51, 102], [153, 204, 255]], dtype="uint8")


def pixels(image: Any) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(to_png(image))))


@pytest.mark.parametrize(
    "image",
    [
        GREY,
        GREY.astype("float32")[:, :, None],
        torch.from_numpy(GREY).requires_grad_(),
        torch.from_numpy(GREY).bfloat16()[None],
        BYTES,
        BYTES.astype("int64"),
        [[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]],
        Image.fromarray(BYTES),
    ],
    ids=["floats", "one channel", "tensor", "channel first", "bytes", "integers", "lists", "PIL"],
)
def test_the_same_picture_in_every_form(image: Any) -> None:
    assert np.abs(pixels(image).astype(int) - BYTES).max() <= 1


def test_channels_may_come_first_or_last() -> None:
    last = np.arange(2 * 5 * 3, dtype="uint8").reshape(2, 5, 3)
    assert np.array_equal(pixels(last), last)
    assert np.array_equal(pixels(last.transpose(2, 0, 1)), last)
    with_alpha = np.arange(2 * 5 * 4, dtype="uint8").reshape(2, 5, 4)
    assert np.array_equal(pixels(with_alpha.transpose(2, 0, 1)), with_alpha)


def test_values_out_of_range_are_cut_and_nan_is_black() -> None:
    assert pixels(np.array([[-1.0, np.nan, 1.0]])).tolist() == [[0, 0, 255]]
    assert pixels(np.array([[-1.0, 300.0, 7.0]])).tolist() == [[0, 255, 7]]


def test_a_large_picture_is_made_smaller_and_a_file_is_read(tmp_path: Path) -> None:
    assert pixels(np.zeros((3000, 1500))).shape == (1024, 512)
    Image.fromarray(BYTES).save(tmp_path / "a.png")
    assert np.array_equal(pixels(str(tmp_path / "a.png")), BYTES)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2, 2)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"an image has shape \(H, W\)"):
        to_png(np.zeros(shape))
