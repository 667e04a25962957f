"""Masking a notebook after every cell reads each text once."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from jupyter_train.notebook.redacted_notebook import NotebookRedactor
from tests.notebook.written import write

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def test_what_was_masked_is_not_read_again(tmp_path: Path) -> None:
    """A notebook is saved twice a cell: an output of many megabytes is looked through once."""
    nb = nbformat.read(write(tmp_path / "loud.ipynb", ["api_key = 'zz91aabbcc'"]), 4)
    nb.cells[0].outputs = [nbformat.v4.new_output("stream", text="zz91aabbcc\n" * 10)]
    mask = NotebookRedactor()
    first, second = (mask.masked(nb).cells[0].outputs[0].text for _ in range(2))
    assert "zz91aabbcc" not in first
    assert first is second
    nb.cells[0].outputs[0].text += "token=zz91aabbcc"
    assert "zz91aabbcc" not in mask.masked(nb).cells[0].outputs[0].text
