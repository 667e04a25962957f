"""`retrain()`: a notebook as a run, and the run of an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_train.api.retrain import retrain
from jupyter_train.exceptions import CellFailedError, NotebookError, OptionError, ParameterError
from jupyter_train.handle.failure import take_run
from tests.notebook.written import write

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def test_the_run_of_a_failed_cell_is_attached_to_the_error(tmp_path: Path) -> None:
    with pytest.raises(CellFailedError) as caught:
        retrain(write(tmp_path / "nightly.ipynb", ["1/0"]))
    run = take_run(caught.value)
    assert run is not None
    assert (run.status, run.record.kind) == ("failed", "retrain")


def test_nothing_is_recorded_of_what_cannot_be_executed(tmp_path: Path, store) -> None:
    source = write(tmp_path / "nightly.ipynb", ["1"], "x = 1")
    for call, error, words in [
        (lambda: retrain(source, zork=1), OptionError, "^`retrain`: .*zork"),
        (lambda: retrain("nothing.ipynb"), NotebookError, "there is no notebook `nothing.ipynb`"),
        (lambda: retrain(source, {"y": 1}), ParameterError, "y"),
    ]:
        with pytest.raises(error, match=words) as caught:
            call()
        assert take_run(caught.value) is None
    assert store.list_runs() == []
