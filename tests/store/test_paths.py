"""Where run folders lie by default."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jupyter_train.store.paths import runs_home

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("JUPYTER_TRAIN_HOME")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_runs_lie_beside_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("work", "tmp", "tmpabcdefgh", "scheduler"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert runs_home() == tmp_path / name / "jupyter_train_runs"


def test_of_a_folder_that_is_thrown_away_they_lie_elsewhere(
    tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = data_folder / "scheduler_staging_area" / "0b2c"
    staged.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as made:
        inside = Path(made, "notebooks")
        inside.mkdir()
        for place in (staged, Path(made), inside):
            monkeypatch.chdir(place)
            assert runs_home() == data_folder / "jupyter_train" / "runs"
        monkeypatch.setenv("JUPYTER_TRAIN_HOME", "named")
        assert runs_home() == inside / "named"
        monkeypatch.chdir(tmp_path)


@pytest.mark.timeout(300)
def test_a_run_outlives_the_staging_folder_that_nbconvert_executed_it_in(tmp_path: Path, monkeypatch) -> None:
    """As jupyter-scheduler does it: nbconvert's preprocessor, in a folder that is removed afterwards."""
    code = (
        "import nbformat, sys, tempfile\n"
        "from nbconvert.preprocessors import ExecutePreprocessor\n"
        "source = 'from jupyter_train import train\\nfrom tests.models import LitDigits, digits\\n'\n"
        "source += 'run = train(LitDigits(), digits(64), epochs=1, quiet=True)'\n"
        "nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    ExecutePreprocessor(kernel_name='python3').preprocess(nb, {'metadata': {'path': folder}})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    from jupyter_train import runs

    assert runs()[0].checkpoint.exists()
    assert len(runs()[0].metrics) > 0
