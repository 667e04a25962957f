"""The version is written once, in `jupyter_train/__init__.py`; what repeats it agrees."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from typing import Any

import jupyter_train
from tests.packaging.conftest import ROOT


def test_pyproject_takes_the_version_from_the_package(pyproject: dict[str, Any]) -> None:
    assert "version" in pyproject["project"]["dynamic"]
    assert pyproject["tool"]["hatch"]["version"] == {"path": "jupyter_train/__init__.py"}
    assert importlib.metadata.version("jupyter-train") == jupyter_train.__version__


def test_the_extension_has_the_version_of_the_package() -> None:
    package = json.loads((ROOT / "labextension" / "package.json").read_text())
    lock = json.loads((ROOT / "labextension" / "package-lock.json").read_text())
    assert {package["version"], lock["version"], lock["packages"][""]["version"]} == {jupyter_train.__version__}


def test_the_newest_release_of_the_changelog_is_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / ".github" / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == jupyter_train.__version__


def test_the_version_is_known_without_importing_anything_but_pythons_own() -> None:
    probe = "import sys; before = set(sys.modules); import jupyter_train; jupyter_train.__version__; "
    probe += "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["jupyter_train"]
