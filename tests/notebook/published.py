"""The notebooks in `notebooks/`, and how the outputs that they hold in git are made.

`python -m tests.notebook.published [NAME ...]` executes them, all or those named, from top to bottom with a run store
of their own, and saves them with their outputs.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from tests.notebook.written import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
#: A kernel's remarks on its own start are no part of a notebook.
_QUIET_KERNELS = "c = get_config()\nc.IPKernelApp.log_level = 'ERROR'\n"


def environment(scratch: Path) -> dict[str, str]:
    """Variables for the kernels that execute them: everything they write lies in `scratch`."""
    profile = scratch / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text(_QUIET_KERNELS)
    paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
    return {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "IPYTHONDIR": str(scratch / "ipython"),
        "OMP_NUM_THREADS": "1",  # threads that wait for each other cost such small networks minutes on a busy machine
        "TMPDIR": str(scratch),
        "JUPYTER_TRAIN_STORE": str(scratch / "store" / "store.db"),
        "JUPYTER_TRAIN_HOME": str(scratch / "runs"),
    }


def execute(path: Path) -> None:
    """Executes a notebook with nbclient and saves it with its outputs; a failing cell leaves it as it is."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, 4)
    kept = notebook.metadata.copy()
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", coalesce_streams=True, record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()  # fmt: skip
    notebook.metadata = kept
    nbformat.write(notebook, path)


def text_of(notebook: Any) -> str:
    """What the outputs of an executed notebook say, as text, one after the other."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def main(names: list[str]) -> None:
    """Executes the notebooks named, or all."""
    for path in NOTEBOOKS:
        if not names or path.stem in names:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
                os.environ.update(environment(Path(scratch)))
                execute(path)
            print(f"{path.name}  {path.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main(sys.argv[1:])
