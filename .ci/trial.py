"""What `.ci/floors` and `.ci/pythons` share: a fresh environment, the demo and a share of the tests in it, a report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "tests" / "packaging"

#: Not tried at its floor: the releases that are built for a machine without a GPU differ from one index to the next, so
#: the one of the README's commands stands for all.
TORCH = "torch==2.13.0"

#: Together they reach every dependency: the store and its migrations, searches, the server, frames, images, W&B,
#: LightningCLI files. papermill, nbconvert, ipykernel and Lightning itself are tried by the demo.
SHARE = (
    "tests/test_imports.py",
    "tests/store/test_runs.py",
    "tests/tuning/test_methods.py",
    "tests/server/test_routes.py",
    "tests/magics/test_cli_files.py",
    "tests/panel/test_bundle.py",
    "tests/mirrors/test_wandb.py",
    "tests/training/data/test_encoder.py",
    "tests/training/data/test_fingerprint.py",
)
_TEST_TOOLS = ("pytest", "pytest-jupyter[server]", "pytest-timeout", "pytest-xdist", "jsonschema", "matplotlib")


def project() -> dict[str, Any]:
    """The table `[project]` of pyproject.toml."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def floors() -> dict[str, str]:
    """The lowest release that each dependency may have, by the dependency as pyproject.toml writes it."""
    lowest = {}
    for line in project()["dependencies"]:
        matched = re.match(r"([\w.-]+(?:\[[\w,-]+\])?)>=([\w.]+)", line)
        if matched is None:
            raise SystemExit(f"pyproject.toml: `{line}` has no floor; write `NAME>=RELEASE`")
        lowest[matched[1]] = matched[2]
    return lowest


class Environment:
    """A fresh virtual environment of a Python, removed at the end."""

    def __init__(self, python: str) -> None:
        """Makes it, with a pip of today: the one in Python may be years old."""
        self._folder = tempfile.TemporaryDirectory(prefix="jupyter-train-trial-")
        self.folder = Path(self._folder.name)
        self.bin = self.folder / "venv" / "bin"
        self._say([python, "-m", "venv", str(self.bin.parent)])
        self.pip("--upgrade", "pip")

    def __enter__(self) -> Environment:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def pip(self, *arguments: str) -> int:
        """Installs; the exit code."""
        return self._say([str(self.bin / "python"), "-m", "pip", "install", "-qq", *arguments])

    def releases(self, names: Sequence[str]) -> dict[str, str]:
        """What is installed of these."""
        probe = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
        plain = [name.partition("[")[0] for name in names]
        done = subprocess.run([self.bin / "python", "-c", probe, *plain], capture_output=True, text=True, check=True)
        return dict(zip(names, json.loads(done.stdout).values(), strict=True))

    def demo(self) -> str:
        """Runs `jupyter train demo` from the installed package; "passed" or its last line."""
        command = [self.bin / "jupyter", "train", "demo", "-o", self.folder / "demo"]
        return _outcome(self._run(command, cwd=self.folder))

    def tests(self) -> str:
        """Runs the share of the tests; pytest's last line."""
        command = [self.bin / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *SHARE]
        done = self._run(command, cwd=ROOT)
        last = done.stdout.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        counts = re.sub(r" in [\d.:()hms ]+", "", last[0].strip("= "))
        return counts if done.returncode == 0 else f"failed: {counts}"

    def _run(self, command: Sequence[Any], cwd: Path) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {"PATH": f"{self.bin}{os.pathsep}{environment.get('PATH', '')}"}
        environment |= {"JUPYTER_TRAIN_STORE": str(self.folder / "store.db")}
        environment |= {"JUPYTER_TRAIN_HOME": str(self.folder / "runs")}
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        print(done.stdout[-4000:], done.stderr[-4000:], flush=True)
        return done

    def _say(self, command: Sequence[str]) -> int:
        print("$", *command, flush=True)
        return subprocess.run(command, check=False).returncode


def _outcome(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == 0:
        return "passed"
    return "failed: " + ((done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"])[0]


def try_out(environment: Environment, *requirements: str) -> dict[str, str]:
    """Installs the package with these, then the demo and the tests: what came of each."""
    began = time.monotonic()
    if environment.pip(str(ROOT), *requirements, *_TEST_TOOLS):
        return {"install": "failed"}
    outcome = {"install": "passed", "demo": environment.demo(), "tests": environment.tests()}
    print(f"took {time.monotonic() - began:.0f} s: {outcome}", flush=True)
    return outcome


def has_failed(outcome: dict[str, str]) -> bool:
    """Whether anything of a trial did."""
    return any(value.startswith("failed") for value in outcome.values())


def write(name: str, report: dict[str, Any]) -> None:
    """Keeps a report beside the tests of packaging, to be committed."""
    path = REPORTS / name
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
