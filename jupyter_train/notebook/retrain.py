"""Repeats a notebook: checked, executed by papermill through our engine, recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_train.config import RetrainConfig
from jupyter_train.exceptions import CellFailedError, NotebookError
from jupyter_train.notebook.execution import NotebookExecution, describe_failure
from jupyter_train.notebook.parameters import check_known, read_notebook
from jupyter_train.run import RunRecord
from jupyter_train.store import Store
from jupyter_train.store.folder import write_atomically
from jupyter_train.store.masking import mask


def repeat(store: Store, config: RetrainConfig, on_start: Callable[[RunRecord], None]) -> RunRecord:
    """Executes a notebook with parameters and gives its record.

    Args:
        store: Where it is recorded.
        config: What is repeated.
        on_start: Told the record as soon as it is there.

    Raises:
        NotebookError: The file is no notebook, or the output would overwrite it.
        ParameterError: A parameter is not one of its own.
        CellFailedError: A cell failed; the output is saved up to there.
    """
    path = Path(config.notebook).expanduser()
    notebook = read_notebook(path)
    check_known(notebook, path, config.parameters)
    output = _output_path(path, config.output)
    execution = NotebookExecution.begin(store, str(path), config.parameters, shows_progress=True, output=output)
    on_start(execution.record)
    error = _execute(notebook, path, config, execution) or execution.failed_run()
    if config.html:
        write_html(Path(execution.output))
    if error:
        raise CellFailedError(f"{mask(error)} in `{path.name}`; the output up to there: {execution.output}")
    return store.get(execution.record.key)


def _output_path(source: Path, output: str) -> str:
    if not output:
        return ""
    target = Path(output).expanduser().absolute()
    if target.is_dir():
        target = target / source.name
    if target.resolve() == source.resolve():
        raise NotebookError(f"`{output}` is the notebook itself, which is never written; name another output")
    target.parent.mkdir(parents=True, exist_ok=True)
    return str(target)


def _execute(notebook: Any, path: Path, config: RetrainConfig, execution: NotebookExecution) -> str | None:
    """Runs it; gives where it failed, if it did."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    from jupyter_train.notebook.engine import save_notebook

    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        # the notebook goes in as an object: papermill would format braces in its path
        papermill.execute_notebook(
            notebook, None, parameters=config.parameters, engine_name=_register(), kernel_name=config.kernel or None,
            progress_bar=False, cwd=str(path.absolute().parent), execution_timeout=config.timeout_s,
            jupyter_train_execution=execution,
        )  # fmt: skip
    except PapermillExecutionError:
        return describe_failure(read_notebook(Path(execution.output))) or "a cell failed"
    except NotebookError:
        raise
    except Exception as err:
        kind = type(err).__name__
        if Path(execution.output).exists():
            failed = read_notebook(Path(execution.output))
            save_notebook(failed, execution.output)
            return describe_failure(failed) or f"{kind}: {' '.join(str(err).split())[:300]}"
        raise NotebookError(f"`{path.name}` could not be executed: {kind}: {' '.join(str(err).split())[:300]}") from err
    return None


def _register() -> str:
    """Our engine's name; registered here too, so that it works from a source tree."""
    from papermill.engines import papermill_engines

    from jupyter_train.notebook.engine import RecordedEngine

    papermill_engines.register("jupyter_train", RecordedEngine)
    return "jupyter_train"


def write_html(notebook: Path) -> Path:
    """Writes an HTML copy beside an executed notebook."""
    from nbconvert import HTMLExporter

    content, _ = HTMLExporter(template_name="lab").from_filename(str(notebook))  # type: ignore[no-untyped-call]
    target = notebook.with_suffix(".html")
    write_atomically(target, content.encode("utf-8"))
    return target
