"""Curves as a picture file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from jupyter_train.exceptions import StoreError
from jupyter_train.panel.image_file import write_picture

DRAWN = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><rect width="15" height="20" fill="#f00"/></svg>'
)


def test_an_svg_is_written_as_it_is(tmp_path: Path) -> None:
    assert write_picture(DRAWN, str(tmp_path / "curves.svg")) == tmp_path / "curves.svg"
    assert (tmp_path / "curves.svg").read_text() == DRAWN


def test_a_png_is_twice_as_large_on_white(tmp_path: Path) -> None:
    picture = Image.open(io.BytesIO(write_picture(DRAWN, tmp_path / "curves.png").read_bytes())).convert("RGB")
    assert picture.size == (60, 40)
    assert (picture.getpixel((5, 5)), picture.getpixel((55, 5))) == ((255, 0, 0), (255, 255, 255))


@pytest.mark.parametrize(
    ("drawn", "name", "words"),
    [("", "a.svg", "there are no curves yet"), (DRAWN, "a.jpg", "`a.jpg`: expected a name ending in `.svg` or `.png`")],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, drawn: str, name: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        write_picture(drawn, tmp_path / name)
    assert not (tmp_path / name).exists()
