"""Build hook: a readable message where Node is missing or too old for the JupyterLab extension."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_BUILT = Path("jupyter_train", "labextension")
_SOURCE = Path("labextension")


class NodeCheck(BuildHookInterface):
    """Runs before `jupyter-builder` and looks at Node where that hook is about to call npm."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Ends the build with one message, or returns."""
        root = Path(self.root)
        needed = json.loads((root / _SOURCE / "package.json").read_text())["engines"]["node"].removeprefix(">=")
        if _calls_npm(root, version) and (seen := _problem(int(needed))):
            self.app.abort(_MESSAGE.format(seen=seen, needed=needed))


_MESSAGE = """\
jupyter_train: the JupyterLab extension cannot be built from source.
  seen:    {seen}
  needed:  Node {needed} or newer, with npm, on the PATH
  type:    `conda install -c conda-forge "nodejs>={needed}"`, `brew install node` or `apt-get install nodejs npm`,
           see `node --version`, and type the same command again
A built wheel or sdist of jupyter_train needs no Node."""


def _calls_npm(root: Path, version: str) -> bool:
    """Whether `jupyter-builder` will build: the conditions of `npm_builder` and of its table in pyproject.toml."""
    if os.getenv("SKIP_JUPYTER_BUILDER") or os.getenv("HATCH_JUPYTER_BUILDER_SKIP_NPM") == "1":
        return False
    if version == "editable":
        from hatch_jupyter_builder.utils import is_stale

        return is_stale(root / _BUILT, root / _SOURCE / "src")
    return not (root / _BUILT / "package.json").exists()


def _problem(needed: int) -> str:
    """What is wrong with Node, empty where nothing is."""
    node = shutil.which("node")
    if node is None:
        return "no `node` on the PATH"
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    answer = done.stdout.strip()
    release = re.match(r"v(\d+)\.", answer)
    if release is None:
        return f"`{node} --version` answers `{answer or done.stderr.strip()}`"
    if int(release[1]) < needed:
        return f"Node {answer.removeprefix('v')} at `{node}`"
    return "" if shutil.which("npm") else f"Node {answer.removeprefix('v')} at `{node}`, but no `npm` on the PATH"
