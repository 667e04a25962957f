"""The papermill engine: executes a notebook as a recorded run and replaces its output atomically."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterator
from typing import Any

from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.log import logger as papermill_log
from papermill.utils import merge_kwargs, remove_args

from jupyter_train.config.retrain import check_parameter
from jupyter_train.exceptions import StoreError
from jupyter_train.notebook.client import RecordedClient
from jupyter_train.notebook.execution import NotebookExecution
from jupyter_train.notebook.output import save_notebook
from jupyter_train.notebook.provenance import NOTEBOOK_VARIABLE, PARENT_VARIABLE
from jupyter_train.notebook.redacted_notebook import NotebookRedactor
from jupyter_train.notebook.signals import SignalWatch
from jupyter_train.store import open_store

_log = logging.getLogger(__name__)


class AtomicManager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's manager, except that a local output is never half written, and what never ran is not completed."""

    def __init__(self, nb: Any, execution: NotebookExecution | None, masks: bool, **more: Any) -> None:
        self._execution = execution
        self._mask = NotebookRedactor() if masks else None
        super().__init__(nb, **more)

    def save(self, **_: Any) -> None:
        """Writes the notebook as it stands now."""
        saved = self._mask.masked(self.nb) if self._mask is not None else self.nb
        if self._execution is not None:
            self._execution.nb, self._execution.saved = self.nb, saved
        if self.output_path:
            save_notebook(saved, str(self.output_path))
        self.last_save_time = self.now()

    def cell_start(self, cell: Any, cell_index: Any = None, **kwargs: Any) -> None:
        """Says which cell runs."""
        if self._execution is not None:
            self._execution.cell_started(cell_index)
        super().cell_start(cell, cell_index=cell_index, **kwargs)

    def notebook_complete(self, **_: Any) -> None:
        """Writes how long it took; papermill calls every cell completed besides, where none is marked as failed."""
        self.end_time = self.now()
        about = self.nb.metadata.papermill
        about["end_time"] = self.end_time.isoformat()
        if self.start_time is not None:
            about["duration"] = (self.end_time - self.start_time).total_seconds()
        self.complete_pbar()
        self.cleanup_pbar()
        self.save()


class RecordedEngine(NBClientEngine):  # type: ignore[misc]
    """nbclient's engine inside a recorded notebook execution."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: Any,
        output_path: Any = None,
        progress_bar: Any = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        jupyter_train_execution: NotebookExecution | None = None,
        **kwargs: Any,
    ) -> Any:
        """Executes `nb`; the same arguments as papermill's own engines.

        Args:
            jupyter_train_execution: A recording already begun; else one is made for this execution.
        """
        about = nb.metadata.get("papermill", {})
        for name, value in about.get("parameters", {}).items():
            check_parameter(name, value)
        if not isinstance(about.get("input_path"), str):  # papermill keeps a notebook that is given as an object whole
            about["input_path"] = kwargs["input_path"] = None
        given = jupyter_train_execution
        execution = given or _try_recording(nb, about.get("input_path"))
        if given is not None:
            output_path = given.output
            about.update(input_path=given.source, output_path=given.output)
        with SignalWatch() as signals, _recorded(execution):
            manager = AtomicManager(
                nb,
                execution,
                given is not None,
                output_path=output_path,
                progress_bar=progress_bar,
                log_output=log_output,
                autosave_cell_every=autosave_cell_every,
            )
            about["parameters"] = _as_json(about.get("parameters", {}))
            manager.notebook_start()
            try:
                cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, signals=signals, **kwargs)
            finally:
                manager.cleanup_pbar()
                manager.notebook_complete()
            signals.check()
        return manager.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: Any,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: float | None = None,
        signals: SignalWatch | None = None,
        **kwargs: Any,
    ) -> Any:
        """Executes the cells of a notebook; the same arguments as papermill's own engine."""
        given = merge_kwargs(
            remove_args(["input_path", "timeout", "startup_timeout"], **kwargs),
            startup_timeout=start_timeout,
            kernel_name=kernel_name,
            log=papermill_log,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
        )
        timeout_s = execution_timeout or kwargs.get("timeout") or 0
        limit = timeout_s if timeout_s > 0 else None
        return RecordedClient(nb_man, signals or SignalWatch(), limit, **given).execute()


def _as_json(value: Any) -> Any:
    """A parameter as it stands in the notebook's metadata: NaN and infinities are no JSON, and no editor opens them."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list) else value


def _try_recording(nb: Any, input_path: str | None) -> NotebookExecution | None:
    """A recording for papermill used directly; without a usable store the notebook runs all the same."""
    try:
        parameters = dict(nb.metadata.get("papermill", {}).get("parameters", {}))
        return NotebookExecution.begin(open_store(), input_path or "notebook.ipynb", parameters, shows_progress=False)
    except (StoreError, OSError) as err:
        _log.warning("this execution is not recorded: %s", err)
        return None


@contextlib.contextmanager
def _recorded(execution: NotebookExecution | None) -> Iterator[None]:
    """The kernel learns whose child its runs are; the recording ends as the notebook does."""
    if execution is None:
        yield
        return
    kept = {name: os.environ.get(name) for name in (PARENT_VARIABLE, NOTEBOOK_VARIABLE)}
    os.environ.update({PARENT_VARIABLE: execution.record.key, NOTEBOOK_VARIABLE: execution.record.notebook})
    try:
        with execution.following():
            yield
            execution.wait_for_runs()
    except BaseException as err:
        execution.end(err)
        raise
    else:
        execution.end(None)
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
