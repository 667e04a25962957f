"""The papermill engine: executes a notebook as a recorded run and replaces its output atomically."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

_log = logging.getLogger(__name__)


class AtomicManager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's manager, except that it writes outputs atomically and marks no cell as completed that did not run."""

    def __init__(self, nb: NotebookNode, execution: NotebookExecution | None, masks: bool, **more: object) -> None:
        self._execution = execution
        self._redactor = NotebookRedactor() if masks else None
        super().__init__(nb, **more)

    def save(self, **_: object) -> None:
        """Writes the notebook as it is now."""
        saved = self._redactor.masked(self.nb) if self._redactor is not None else self.nb
        if self._execution is not None:
            self._execution.nb, self._execution.saved = self.nb, saved
        if self.output_path:
            save_notebook(saved, str(self.output_path))
        self.last_save_time = self.now()

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **kwargs: object) -> None:
        """Notes which cell runs."""
        if self._execution is not None:
            self._execution.cell_started(cell_index)
        super().cell_start(cell, cell_index=cell_index, **kwargs)

    def notebook_complete(self, **_: object) -> None:
        """Writes the duration; unlike papermill, it does not mark every cell as completed."""
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
        nb: NotebookNode,
        kernel_name: str | None,
        output_path: str | Path | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        jupyter_train_execution: NotebookExecution | None = None,
        **kwargs: Any,
    ) -> NotebookNode:
        """Executes `nb`; the same arguments as papermill's own engines.

        Args:
            jupyter_train_execution: The execution's record; created here where papermill is called directly.
        """
        about = nb.metadata.get("papermill", {})
        for name, value in about.get("parameters", {}).items():
            check_parameter(name, value)
        if not isinstance(about.get("input_path"), str):  # papermill puts a notebook passed as an object here
            about["input_path"] = kwargs["input_path"] = None
        begun = jupyter_train_execution
        execution = begun or _try_recording(nb, about.get("input_path"))
        if begun is not None:
            output_path = begun.output
            about.update(input_path=begun.source, output_path=begun.output)
        with SignalWatch() as signals, _recorded(execution):
            manager = AtomicManager(
                nb,
                execution,
                begun is not None,
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
        executed: NotebookNode = manager.nb
        return executed

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str | None,
        log_output: bool = False,
        stdout_file: IO[str] | None = None,
        stderr_file: IO[str] | None = None,
        start_timeout: int = 60,
        execution_timeout: float | None = None,
        signals: SignalWatch | None = None,
        **kwargs: Any,
    ) -> NotebookNode:
        """Executes the cells of a notebook; the same arguments as papermill's own engine."""
        client_arguments = merge_kwargs(
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
        return RecordedClient(nb_man, signals or SignalWatch(), limit, **client_arguments).execute()


def _as_json(value: object) -> object:
    """A parameter for the notebook's metadata: NaN and infinities as strings, since no editor opens them as JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list) else value


def _try_recording(nb: NotebookNode, input_path: str | None) -> NotebookExecution | None:
    """The record of an execution by papermill itself; None where the store is not usable."""
    try:
        parameters = dict(nb.metadata.get("papermill", {}).get("parameters", {}))
        return NotebookExecution.begin(open_store(), input_path or "notebook.ipynb", parameters, shows_progress=False)
    except (StoreError, OSError) as err:
        _log.warning("this execution is not recorded: %s", err)
        return None


@contextlib.contextmanager
def _recorded(execution: NotebookExecution | None) -> Iterator[None]:
    """Passes the record to the kernel's environment, as the parent of its runs, and ends it with the notebook."""
    if execution is None:
        yield
        return
    saved = {name: os.environ.get(name) for name in (PARENT_VARIABLE, NOTEBOOK_VARIABLE)}
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
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
