"""Repeats a notebook: checked, executed by papermill through our engine, recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def repeat(store: Store, config: RetrainConfig, on_start: Callable[[RunRecord], None]) -> RunRecord:
    """Executes a notebook with parameters and gives its record.

    Args:
        store: Where it is recorded.
        config: What is repeated.
        on_start: Told the record as soon as it is there.

    Raises:
        NotebookError: The file is no notebook, its kernel is not here, or the output cannot be written.
        ParameterError: A parameter is not one of its own.
        CellFailedError: A cell failed; the output is saved up to there.
        RepeatFailedError: It was begun, and could not be executed to its end.
        TrainingInterrupted: An Interrupt or a SIGTERM ended it; the output is saved up to there.
    """
    path = Path(config.notebook).expanduser()
    if is_url(config.notebook):
        raise NotebookError(f"`{config.notebook}` is a URL; a notebook is repeated from a file: fetch it first")
    notebook = read_notebook(path)
    kernel = kernel_of(notebook, path, config.kernel)
    unread = check_known(notebook, path, config.parameters, kernel)
    with SignalWatch():
        output = output_of(notebook, path, config.output)
        execution = NotebookExecution.begin(store, str(path), config.parameters, shows_progress=True, output=output)
        on_start(execution.record)
        for name in unread:
            _say(f"`{name}` is set in a way that papermill cannot read; it is given all the same")
        problem = ""
        try:
            _execute(notebook, path, config, kernel, execution)
        except KeyboardInterrupt as err:
            words = str(err) or "interrupted"
            raise TrainingInterrupted(f"{words} in `{path.name}`; the output up to there: {execution.output}") from None
        finally:
            problem = _try_html(execution, path) if config.html else ""
    if execution.failure:
        more = f"; {problem}" if problem else ""
        raise CellFailedError(
            f"{mask(execution.failure)} in `{path.name}`; the output up to there: {execution.output}{more}"
        )
    if problem:
        raise RepeatFailedError(problem)
    return store.get(execution.record.key)


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def _execute(notebook: Any, path: Path, config: RetrainConfig, kernel: Kernel, execution: NotebookExecution) -> None:
    """Runs it to its end, or to where a cell fails.

    Raises:
        RepeatFailedError: Something else failed than a cell.
    """
    import papermill

    notebook.metadata.setdefault("kernelspec", {**kernel._asdict()})
    try:
        # the notebook goes in as an object: papermill would format braces in its path
        with quiet_papermill():
            papermill.execute_notebook(
                notebook,
                None,
                parameters=config.parameters,
                engine_name=_register(),
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
            words = one_line(f"{type(err).__name__}: {err}", 300)
            raise RepeatFailedError(f"`{path.name}` could not be executed to its end: {words}") from err
    except BaseException as err:
        execution.end(err)
        raise


def _try_html(execution: NotebookExecution, path: Path) -> str:
    """Writes an HTML copy beside the executed notebook, or in the run's folder where that is a URL.

    Gives what went wrong, which is also said where nobody waits for it.
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
        _say(str(err))
        return str(err)
    return ""


def _register() -> str:
    """Our engine's name; registered here too, so that it works from a source tree."""
    from papermill.engines import papermill_engines

    from jupyter_train.notebook.engine import RecordedEngine

    papermill_engines.register("jupyter_train", RecordedEngine)
    return "jupyter_train"
