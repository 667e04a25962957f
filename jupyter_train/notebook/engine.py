"""The papermill engine: executes a notebook as a recorded run and replaces its output atomically."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import nbformat
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.iorw import write_ipynb

from jupyter_train.config.retrain import check_parameter
from jupyter_train.exceptions import StoreError
from jupyter_train.notebook.execution import NotebookExecution
from jupyter_train.notebook.provenance import NOTEBOOK_VARIABLE, PARENT_VARIABLE
from jupyter_train.store import open_store
from jupyter_train.store.folder import write_atomically
from jupyter_train.store.masked_source import mask_sources, secrets_in
from jupyter_train.store.masking import mask, mask_html, mask_tree

_log = logging.getLogger(__name__)

_MARKUP = ("text/html", "image/svg+xml")


class AtomicManager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's manager, except that a local output is replaced in one step and never half written."""

    def __init__(self, nb: Any, execution: NotebookExecution | None, masks: bool, **more: Any) -> None:
        self._execution = execution
        self._masks = masks
        super().__init__(nb, **more)

    def save(self, **_: Any) -> None:
        """Writes the notebook as it stands now."""
        if self.output_path:
            save_notebook(masked(self.nb) if self._masks else self.nb, self.output_path)
        self.last_save_time = self.now()

    def cell_start(self, cell: Any, cell_index: Any = None, **kwargs: Any) -> None:
        """Says which cell runs."""
        if self._execution is not None:
            self._execution.cell_started(cell_index)
        super().cell_start(cell, cell_index=cell_index, **kwargs)


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
        """  # fmt: skip
        about = nb.metadata.get("papermill", {})
        for name, value in about.get("parameters", {}).items():
            check_parameter(name, value)
        execution = jupyter_train_execution or _try_recording(nb, kwargs.get("input_path") or about.get("input_path"))
        target = execution.output if jupyter_train_execution is not None and execution is not None else output_path
        manager = AtomicManager(
            nb, execution, jupyter_train_execution is not None, output_path=target, progress_bar=progress_bar,
            log_output=log_output, autosave_cell_every=autosave_cell_every,
        )  # fmt: skip
        manager.notebook_start()
        with _recorded(execution, manager):
            try:
                cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **kwargs)
            finally:
                manager.cleanup_pbar()
                manager.notebook_complete()
                manager.save()
        return manager.nb


def masked(nb: Any) -> Any:
    """A copy of a notebook with secrets in its sources and text outputs replaced by dots.

    What its cells name as secrets is masked in their outputs too, where it may stand without a name.
    """
    copied = copy.deepcopy(nb)
    code = [cell for cell in copied.cells if cell.cell_type == "code"]
    sources = [cell.source for cell in code]
    known = secrets_in(sources)
    for cell, source in zip(code, mask_sources(sources), strict=True):
        cell.source = source
        for output in cell.get("outputs", []):
            _mask_output(output, known)
    for cell in copied.cells:
        cell.metadata.update(mask_tree(dict(cell.metadata), known))
        if cell.cell_type != "code":
            cell.source = mask(cell.source, known)
    copied.metadata.update(mask_tree(dict(copied.metadata), known))
    return copied


def _mask_output(output: Any, known: Collection[str]) -> None:
    if "text" in output:
        output.text = mask(output.text, known)
    if output.output_type == "error":
        traceback = mask("\n".join(output.traceback), known).split("\n")  # a text may go over several of its items
        output.update(evalue=mask(output.evalue, known), traceback=traceback)
    data = output.get("data", {})
    for kind, value in data.items():
        if kind in _MARKUP:
            data[kind] = mask_html("".join(value), known)
        elif not kind.startswith("image/"):
            data[kind] = mask_tree(value, known)


def save_notebook(nb: Any, path: Any) -> None:
    """Writes a notebook: atomically on a local path, through papermill's handlers elsewhere (`s3://`, ...)."""
    is_local = "://" not in str(path) and str(path) != "-" and Path(path).parent.is_dir()
    if is_local:
        text = nbformat.writes(nb)  # type: ignore[no-untyped-call]
        write_atomically(Path(path), text.encode("utf-8"))
    else:
        write_ipynb(nb, path)


def _try_recording(nb: Any, input_path: Any) -> NotebookExecution | None:
    """A recording for papermill used directly; without a usable store the notebook runs all the same."""
    name = str(input_path) if isinstance(input_path, str) else "notebook.ipynb"
    try:
        parameters = dict(nb.metadata.get("papermill", {}).get("parameters", {}))
        return NotebookExecution.begin(open_store(), name, parameters, shows_progress=False)
    except (StoreError, OSError) as err:
        _log.warning("this execution is not recorded: %s", err)
        return None


@contextlib.contextmanager
def _recorded(execution: NotebookExecution | None, manager: NotebookExecutionManager) -> Iterator[None]:
    """The kernel learns whose child its runs are; the recording ends as the notebook does."""
    if execution is None:
        yield
        return
    kept = {name: os.environ.get(name) for name in (PARENT_VARIABLE, NOTEBOOK_VARIABLE)}
    os.environ.update({PARENT_VARIABLE: execution.record.key, NOTEBOOK_VARIABLE: execution.record.notebook})
    try:
        with execution.following(len(manager.nb.cells)):
            yield
            execution.wait_for_runs()
    except BaseException as err:
        execution.end(manager.nb, err)
        raise
    else:
        execution.end(manager.nb, None)
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
