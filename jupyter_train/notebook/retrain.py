"""Retrains a notebook: checks it, executes it with papermill's `jupyter_train` engine, records it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_train.config import RetrainConfig
from jupyter_train.exceptions import (
    CellFailedError,
    JupyterTrainError,
    NotebookError,
    RepeatFailedError,
    TrainingInterrupted,
)
from jupyter_train.notebook.execution import NotebookExecution
from jupyter_train.notebook.loading import Kernel, kernel_of, read_notebook
from jupyter_train.notebook.output import is_url, output_of, write_html
from jupyter_train.notebook.parameters import check_known, quiet_papermill
from jupyter_train.notebook.signals import SignalWatch
from jupyter_train.run import RunRecord
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.redaction import mask, one_line

if TYPE_CHECKING:
    from nbformat import NotebookNode


def repeat(store: Store, config: RetrainConfig, on_start: Callable[[RunRecord], None]) -> RunRecord:
    """Executes a notebook with parameters and returns its record.

    Args:
        store: The store.
        config: The notebook and the options.
        on_start: Called with the record as soon as it is created.

    Raises:
        NotebookError: The file is no notebook, its kernel is not installed, or the output cannot be written.
        ParameterError: The notebook has no such parameter.
        CellFailedError: A cell failed; the output up to it is saved.
        RepeatFailedError: The execution failed for another reason than a cell.
        TrainingInterrupted: SIGINT or SIGTERM ended it; the output up to then is saved.
    """
    path = Path(config.notebook).expanduser()
    if is_url(config.notebook):
        raise NotebookError(f"`{config.notebook}` is a URL; `%retrain` executes a file: download it first")
    notebook = read_notebook(path)
    kernel = kernel_of(notebook, path, config.kernel)
    unread_by_papermill = check_known(notebook, path, config.parameters, kernel)
    with SignalWatch():
        output = output_of(notebook, path, config.output)
        execution = NotebookExecution.begin(store, str(path), config.parameters, shows_progress=True, output=output)
        on_start(execution.record)
        for name in unread_by_papermill:
            _print_message(f"`{name}` is assigned in a way that papermill cannot read; it is passed all the same")
        problem = ""
        try:
            _execute(notebook, path, config, kernel, execution)
        except KeyboardInterrupt as err:
            reason = str(err) or "interrupted"
            raise TrainingInterrupted(
                f"{reason} in `{path.name}`; the output up to there: {execution.output}"
            ) from None
        finally:
            problem = _try_html(execution, path) if config.html else ""
    if execution.failure:
        html_problem = f"; {problem}" if problem else ""
        raise CellFailedError(
            f"{mask(execution.failure)} in `{path.name}`; the output up to there: {execution.output}{html_problem}"
        )
    if problem:
        raise RepeatFailedError(problem)
    return store.get(execution.record.key)


def _print_message(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def _execute(
    notebook: NotebookNode, path: Path, config: RetrainConfig, kernel: Kernel, execution: NotebookExecution
) -> None:
    """Executes the notebook with papermill; a failed cell sets `execution.failure`.

    Raises:
        RepeatFailedError: The execution failed for another reason than a cell.
    """
    import papermill

    notebook.metadata.setdefault("kernelspec", {**kernel._asdict()})
    try:
        # passed as an object: papermill would format braces in a path
        with quiet_papermill():
            papermill.execute_notebook(
                notebook,
                None,
                parameters=config.parameters,
                engine_name=_register_engine(),
                kernel_name=kernel.name,
                language=kernel.language,
                progress_bar=False,
                cwd=str(path.absolute().parent),
                execution_timeout=config.timeout_s,
                jupyter_train_execution=execution,
            )
    except JupyterTrainError as err:
        execution.end(err)
        raise
    except Exception as err:
        execution.end(err)
        if not execution.failure:
            reason = one_line(f"{type(err).__name__}: {err}", 300)
            raise RepeatFailedError(f"`{path.name}` could not be executed to its end: {reason}") from err
    except BaseException as err:
        execution.end(err)
        raise


def _try_html(execution: NotebookExecution, path: Path) -> str:
    """Writes an HTML copy beside the executed notebook, or in the run's folder where that is a URL.

    Returns a message where that fails, which is also printed.
    """
    if execution.saved is None:
        return ""
    target = Path(execution.output)
    if is_url(execution.output):
        target = RunFolder(execution.record.folder).notebook / path.name
    target = target.with_suffix(".html")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_html(execution.saved, path.stem, target)
    except (RepeatFailedError, OSError) as err:
        _print_message(str(err))
        return str(err)
    return ""


def _register_engine() -> str:
    """Registers the engine and returns its name: a source tree has no entry points."""
    from papermill.engines import papermill_engines

    from jupyter_train.notebook.engine import RecordedEngine

    papermill_engines.register("jupyter_train", RecordedEngine)
    return "jupyter_train"
