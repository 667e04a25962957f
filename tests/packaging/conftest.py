"""The repository, its pyproject.toml, and a wheel and an sdist built from it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
BUILD = (sys.executable, "-m", "hatchling", "build")


class Distributions(NamedTuple):
    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Built by the project's backend, with the build tools of the `test` extra."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([*BUILD, "-t", "wheel", "-t", "sdist", "-d", folder], cwd=ROOT, check=True, capture_output=True)
    return Distributions(next(folder.glob("*.whl")), next(folder.glob("*.tar.gz")))
