"""The reference and the fault table say what the code and the report say."""

from __future__ import annotations

import importlib.util
import json
import re

import pytest

from jupyter_train.config import options_by_name, tune_options_by_name
from jupyter_train.config.commands import VERBS
from jupyter_train.config.search_methods import PRUNERS, SAMPLERS
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def parts() -> dict[str, str]:
    """The parts of the reference, by name."""
    path = ROOT / ".docs" / "extensions" / "reference.py"
    spec = importlib.util.spec_from_file_location("docs_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: write() for name, write in module.PARTS.items()}


def test_every_option_is_in_the_reference_once(parts) -> None:
    typed = [
        re.match(r"--[a-z-]+", line)[0]
        for name, text in parts.items()
        if name.startswith("train")
        for line in re.findall(r"^````\{option\} (.*)$", text, re.MULTILINE)
    ]
    assert sorted(typed) == sorted(option.flag for option in options_by_name().values())


def test_every_option_of_a_search_is_in_the_reference(parts) -> None:
    own = {option.flag for name, option in tune_options_by_name().items() if name not in options_by_name()}
    assert own <= set(re.findall(r"--[a-z-]+", parts["tune options"]))


def test_every_command_sampler_and_pruner_is_in_the_reference(parts) -> None:
    for verb in VERBS.values():
        assert f"| `{verb.name}` |" in parts["commands to a search" if verb.is_for_study else "commands to a fit"]
    assert all(f"| `{name}` |" in parts["samplers"] for name in SAMPLERS)
    assert all(f"| `{name}` |" in parts["pruners"] for name in PRUNERS)


def test_the_pages_use_every_part(parts) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / ".docs" / "reference").glob("*.md"))
    assert set(re.findall(r"^```\{declared\} (.*)$", text, re.MULTILINE)) == set(parts)


def test_the_table_of_faults_adds_up_to_the_report() -> None:
    table = (ROOT / "tests" / "faults" / "README.md").read_text(encoding="utf-8").replace(",", "")
    rows = [tuple(map(int, row)) for row in re.findall(r"\| (\d+) \| (\d+) \|$", table, re.MULTILINE)]
    report = json.loads((ROOT / "tests" / "faults" / "report.json").read_text(encoding="utf-8")).values()
    for column, name in enumerate(("tried", "passed")):
        assert sum(row[column] for row in rows) == sum(one[name] for one in report)
