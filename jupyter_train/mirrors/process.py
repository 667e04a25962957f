"""Starts a mirror in its own process and session; its output goes to the run folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_train.events import EventKind
from jupyter_train.store.environment_variables import variables
from jupyter_train.store.paths import STORE_VARIABLE
from jupyter_train.store.private_files import open_to_append

if TYPE_CHECKING:
    from jupyter_train.store import RunWriter


def start_mirror(kind: str, store_url: str, run: str, option: str | bool, writer: RunWriter) -> None:
    """Starts `python -m jupyter_train.mirrors.KIND` for a run; a failure is an event, never an error."""
    command = [sys.executable, "-m", f"jupyter_train.mirrors.{kind}", "--run", run]
    if isinstance(option, str):
        command += ["--project", option]
    package_parent = str(Path(__file__).resolve().parents[2])
    paths = [package_parent, os.environ.get("PYTHONPATH", "")]
    environment = variables() | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    environment[STORE_VARIABLE] = store_url  # not in the arguments: every user of the machine can read those
    try:
        with open_to_append(writer.folder.path / f"mirror-{kind}.txt") as output:
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
                cwd=writer.folder.path,
                umask=0o077,
            )
    except OSError as err:
        writer.event(EventKind.MIRROR, f"{kind}: not started ({err.strerror}); training continues")
