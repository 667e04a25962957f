"""The notebook about tuning, repeated by papermill."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from jupyter_train import Study, retrain

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "tuning.ipynb"
pytestmark = [pytest.mark.filterwarnings("ignore")]


def test_the_notebook_about_tuning_runs(tmp_path: Path, store) -> None:
    run = retrain(NOTEBOOK, {"trials": 12}, tmp_path / "out.ipynb")
    assert run.status == "finished"
    (child,) = run.children
    study = Study(store, child.key)
    assert child.record.kind == "tune"
    assert len(study.trials) == 12
    cells = {cell.id: cell for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells}
    accuracy = float(cells["tuning-14"].outputs[0].text.split()[-1])
    assert accuracy >= 0.93
    assert len(json.dumps(cells["tuning-09"].outputs)) < 256_000
    assert cells["tuning-16"].outputs[0].text.startswith("%train Diagnosis(")
