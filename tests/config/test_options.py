"""Typed text as data."""

from __future__ import annotations

import pytest

from jupyter_train.config.options import literal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("10", 10),
        ("true", True),
        ("None", None),
        ("[0, 1]", [0, 1]),
        ("adam", "adam"),
        ("1.", 1.0),
        ("bf16-mixed", "bf16-mixed"),
        ("{'days': 1}", {"days": 1}),
        ("__import__('os')", "__import__('os')"),
    ],
)
def test_literals_are_read_as_data_never_as_code(text: str, value: object) -> None:
    assert literal(text) == value
