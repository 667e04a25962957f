"""Kernels of these tests find the tests' own models."""

from __future__ import annotations

import pytest

from tests.notebook.written import ROOT


@pytest.fixture(autouse=True)
def tests_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
