"""Writes an executed notebook: to a file, atomically, or to a URL through papermill's handlers."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_train.exceptions import NotebookError, RepeatFailedError, did_you_mean
from jupyter_train.notebook.redacted_notebook import NotebookRedactor
from jupyter_train.store.private_files import create_new_file
from jupyter_train.store.run_folder import write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: `s3://…`, and `s3:/…`, which is hardly a folder; `C:/` is a folder.
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+:)/")
#: A URL typed without its slashes.
_MISTYPED_URL = re.compile(r"(s3|gs|gcs|az|adl|abfs|abfss|hdfs|https?|github):")


def is_url(target: str) -> bool:
    """Whether a target is a URL."""
    return _URL.match(target) is not None


def output_of(notebook: NotebookNode, source: Path, output: str) -> str:
    """The path or URL of `-o`, checked to be writable: a URL by writing the notebook to it.

    Raises:
        NotebookError: It cannot be written, or is the notebook itself.
    """
    if not output:
        return ""
    if output == "-":
        raise NotebookError("`-o -`: the output is a file or a URL; name one, such as `-o out.ipynb`")
    if is_url(output):
        _check_url(notebook, output)
        return output
    if mistyped := _MISTYPED_URL.match(output):
        raise NotebookError(f"`-o {output}`: write `{mistyped[1]}://{output[mistyped.end() :]}`")
    target = Path(output).expanduser().absolute()
    if target.is_dir():
        target = target / source.name
    if target.resolve() == source.resolve():
        raise NotebookError(f"`{output}` is the notebook itself, which is never written; name another output")
    _check_file(target)
    return str(target)


def _check_file(target: Path) -> None:
    probe = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(create_new_file(probe))
        probe.unlink()
    except OSError as err:
        raise NotebookError(f"cannot write the output `{target}` ({err.strerror}); name another with `-o`") from err


def _check_url(notebook: NotebookNode, output: str) -> None:
    from papermill.iorw import papermill_io

    if papermill_io.get_handler(output) is papermill_io.get_handler("local"):
        match = _URL.match(output)
        scheme = f"{match['scheme']}//" if match else ""
        # papermill 2 offers no list of its handlers
        known = sorted({prefix for prefix, _ in papermill_io._handlers if prefix.endswith("://")})
        raise NotebookError(
            f"`{output}`: papermill writes to {', '.join(known)} and to files, not to `{scheme}`."
            f"{did_you_mean(scheme.lower(), known) if scheme.lower() in known else ''}"
        )
    try:
        save_notebook(NotebookRedactor().masked(notebook), output)
    except Exception as err:  # the handler, its library or the server may raise anything
        raise NotebookError(f"cannot write the output `{output}`: {_one_line(err)}") from err


def save_notebook(nb: NotebookNode, target: str) -> None:
    """Writes a notebook: a file atomically, a URL through papermill's handler."""
    if is_url(target):
        from papermill.iorw import write_ipynb

        write_ipynb(nb, target)
        return
    import nbformat

    text = nbformat.writes(nb)  # type: ignore[no-untyped-call]
    write_atomically(Path(target), text.encode("utf-8", "surrogatepass"))


def write_html(nb: NotebookNode, name: str, target: Path) -> None:
    """Writes an executed notebook as HTML.

    Raises:
        RepeatFailedError: It cannot be converted or written.
    """
    try:
        from nbconvert import HTMLExporter

        exporter = HTMLExporter(template_name="lab")  # type: ignore[no-untyped-call]
        content, _ = exporter.from_notebook_node(nb, {"metadata": {"name": name}})
        write_atomically(target, content.encode("utf-8", "replace"))
    except Exception as err:  # a template or the disk may raise anything
        raise RepeatFailedError(f"the HTML copy `{target}` could not be written: {_one_line(err)}") from err


def _one_line(err: Exception) -> str:
    return f"{type(err).__name__}: {' '.join(str(err).split())[:300]}"
