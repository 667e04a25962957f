"""Building where Node is missing or too old says so in one message; what is built already needs no Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.packaging.conftest import BUILD, ROOT, Distributions

_NEEDED = json.loads((ROOT / "labextension" / "package.json").read_text())["engines"]["node"].removeprefix(">=")


@pytest.fixture
def unpacked(distributions: Distributions, tmp_path: Path) -> Path:
    with tarfile.open(distributions.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    return next(path for path in tmp_path.iterdir() if path.is_dir())


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The only folder on the PATH: git, which the build asks what to leave out, and what a test adds."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "env"):
        (folder / name).symlink_to(shutil.which(name) or pytest.fail(f"no `{name}`"))
    return folder


def _build(folder: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": str(programs)}
    return subprocess.run(
        [*BUILD, "-t", "wheel", "-d", folder / "dist"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _node(programs: Path, answer: str) -> Path:
    node = programs / "node"
    node.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
    node.chmod(0o755)
    return node


def test_an_sdist_builds_its_wheel_without_node(unpacked: Path, programs: Path) -> None:
    done = _build(unpacked, programs)
    assert done.returncode == 0, done.stderr
    assert list((unpacked / "dist").glob("*.whl"))


def test_without_node_the_build_says_what_is_needed(unpacked: Path, programs: Path) -> None:
    shutil.rmtree(unpacked / "jupyter_train" / "labextension")
    done = _build(unpacked, programs)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "seen:    no `node` on the PATH" in done.stderr
    assert f"needed:  Node {_NEEDED} or newer, with npm" in done.stderr
    assert f'"nodejs>={_NEEDED}"' in done.stderr


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ("v16.20.2", "Node 16.20.2 at `{node}`"),
        (f"v{_NEEDED}.1.0", f"Node {_NEEDED}.1.0 at `{{node}}`, but no `npm` on the PATH"),
        ("nvm: no version set", "`{node} --version` answers `nvm: no version set`"),
    ],
)
def test_a_node_that_cannot_build_is_named(unpacked: Path, programs: Path, answer: str, seen: str) -> None:
    shutil.rmtree(unpacked / "jupyter_train" / "labextension")
    node = _node(programs, answer)
    done = _build(unpacked, programs)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"seen:    {seen.format(node=node)}" in done.stderr.splitlines()[1]
