"""In which applications a test is carried out: in both, unless it says otherwise."""

from __future__ import annotations

import pytest

#: In JupyterLab in every check, in Notebook 7 with `--full`: what is tried is the panel's, not the application's.
notebook_in_full = pytest.mark.parametrize(
    "application", ["lab", pytest.param("notebook", marks=pytest.mark.full)], indirect=True
)
