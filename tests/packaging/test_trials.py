"""What `.ci/floors` and `.ci/pythons` tried last is what pyproject.toml says today, and it passed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests.packaging.conftest import ROOT

_HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def floors(pyproject: dict[str, Any]) -> dict[str, str]:
    """Each dependency's floor, read as pip reads it."""
    lowest = {}
    for requirement in map(Requirement, pyproject["project"]["dependencies"]):
        (lowest[requirement.name],) = (each.version for each in requirement.specifier if each.operator == ">=")
    return lowest


@pytest.mark.full  # `.ci/run --all` has just written the report
def test_the_floors_tried_are_those_of_pyproject_and_pass(floors: dict[str, str]) -> None:
    report = json.loads((_HERE / "floors.json").read_text())
    assert {name.partition("[")[0]: floor for name, floor in report["floors"].items()} == floors
    above = {name for name, floor in report["floors"].items() if Version(report["installed"][name]) != Version(floor)}
    assert above <= {"torch"}
    assert report["demo"] == "passed"
    assert re.fullmatch(r"\d+ passed.*", report["tests"])


def test_the_command_lists_the_same_floors(floors: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "floors", "--list"], capture_output=True, text=True, check=True
    )
    listed = {requirement.name: requirement.specifier for requirement in map(Requirement, done.stdout.split())}
    assert listed.pop("torch") == SpecifierSet("==2.13.0")
    assert listed == {name: SpecifierSet(f"=={floor}") for name, floor in floors.items() if name != "torch"}


@pytest.mark.full  # `.ci/run --all` has just written the report
def test_each_python_that_is_claimed_was_tried_or_is_said_to_be_missing(pyproject: dict[str, Any]) -> None:
    report = json.loads((_HERE / "pythons.json").read_text())
    claimed = re.findall(r"Python :: (3\.\d+)", " ".join(pyproject["project"]["classifiers"]))
    assert list(report) == claimed
    allowed = SpecifierSet(pyproject["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(8, 20) if Version(f"3.{minor}") in allowed] == claimed
    for outcome in report.values():
        assert outcome["install"] in ("passed", "not on this machine")
        if outcome["install"] == "passed":
            assert outcome["demo"] == "passed"
            assert re.fullmatch(r"\d+ passed.*", outcome["tests"])


def test_the_workflow_runs_on_each_python_that_is_claimed(pyproject: dict[str, Any]) -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    gate = re.fullmatch(r"python:(3\.\d+)-\w+", jobs["gate"]["container"])
    assert gate is not None
    claimed = re.findall(r"Python :: (3\.\d+)", " ".join(pyproject["project"]["classifiers"]))
    assert [gate[1], *jobs["python"]["strategy"]["matrix"]["python"]] == claimed


def test_the_share_of_the_tests_is_there() -> None:
    probe = "from trial import SHARE; print(*SHARE)"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT / ".ci", capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if not (ROOT / name).is_file()] == []
