"""`retrain()`: runs a notebook with papermill, recorded as a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.api.runs import opened_store
from jupyter_train.config import RetrainConfig
from jupyter_train.exceptions import OptionError
from jupyter_train.handle import Run
from jupyter_train.handle.failure import attach_run
from jupyter_train.notebook.retrain import repeat

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord


def retrain(
    notebook: str | Path, parameters: Mapping[str, Any] | None = None, output: str | Path = "", **more: Any
) -> Run:
    """Runs a notebook with papermill and records it; the same as `%retrain`.

    Args:
        notebook: Path of the notebook; never written.
        parameters: Values by name for its `parameters` cell.
        output: Path of the executed copy, or a URL that papermill writes to; in the run's folder if empty.
        **more: `kernel`, `timeout_s`, `html`.

    Raises:
        ParameterError: A name or value could carry code, or the notebook has no such parameter.
        NotebookError: The file is no notebook, its kernel is not installed, or the output cannot be written.
        CellFailedError: A cell failed; the output notebook is saved up to there.
        RepeatFailedError: It was started, and could not be executed to its end.
        TrainingInterrupted: An Interrupt or a SIGTERM ended it; the output notebook is saved up to there.
    """
    try:
        config = RetrainConfig(str(notebook), dict(parameters or {}), str(output), **more)
    except TypeError as err:
        raise OptionError(f"`retrain`: {err}") from None
    store = opened_store()
    records: list[RunRecord] = []
    try:
        return Run(store, repeat(store, config, records.append).key)
    except BaseException as err:
        attach_run(err, Run(store, records[-1].key) if records else None)
        raise
