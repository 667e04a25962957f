"""Numbers as people read them."""

from __future__ import annotations

import pytest

from jupyter_train.panel.format import size_text

SIZES = {
    0: "0 B",
    999: "999 B",
    1536: "1.5 KB",
    999_940: "999.9 KB",
    999_960: "1.0 MB",
    3_400_000: "3.4 MB",
    5e15: "5000.0 TB",
}


@pytest.mark.parametrize("size", SIZES)
def test_a_size_has_a_unit_in_which_it_is_short(size: float) -> None:
    assert size_text(size) == SIZES[size]
