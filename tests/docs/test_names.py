"""Every name in backticks of the README and the guides exists: options, magics, commands, attributes, files, links."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import jupyter_train
from jupyter_train import Run, Study
from jupyter_train.cli import _parser
from jupyter_train.config import options_by_name, tune_options_by_name
from jupyter_train.config.commands import VERBS
from jupyter_train.handle.study import CrossValidation
from jupyter_train.magics.help import RETRAIN_HELP
from jupyter_train.magics.runs_request import VERBS as RUNS_VERBS
from tests.docs.pages import PAGES, README, ROOT, anchors, blocks, links, name_of, spans

#: Options and verbs that `errors.md` shows because they are wrong, and what is answered to them.
WRONG = {"--gpus", "delete", "plot"}
#: Options of tools that are not ours.
OTHERS = {"--engine"}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)+/?|[\w-]+\.(?:md|toml|ipynb)")
#: What a command of `--notify` finds in its environment; `test_code.py` runs one.
TOLD = {"JUPYTER_TRAIN_REF", "JUPYTER_TRAIN_STATUS", "JUPYTER_TRAIN_MESSAGE"}
#: Files that a reader is to make, or that are made while training.
MADE = re.compile(r"jupyter_train_runs|nightly(-out)?\.ipynb|(in|out)\.ipynb|name/key|logged/NAME")


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from parsers(sub)


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(dict(one.choices) for one in parser._actions if isinstance(one, argparse._SubParsersAction))


OPTIONS = options_by_name() | tune_options_by_name()
FLAGS = {option.flag for option in OPTIONS.values()} | set(FLAG.findall(RETRAIN_HELP)) | OTHERS
FLAGS |= {flag for parser in parsers(_parser()) for action in parser._actions for flag in action.option_strings}


@pytest.fixture(params=PAGES, ids=name_of)
def page(request) -> Path:
    return request.param


def code_of(page: Path) -> list[str]:
    """Spans, and the lines of blocks that are ours."""
    lines = [line for block in blocks(page) if block.language in ("python", "bash") for line in block.text.splitlines()]
    return spans(page) + [line for line in lines if "pip install" not in line]


def test_options_exist(page: Path) -> None:
    unknown = {flag for text in code_of(page) for flag in FLAG.findall(text)} - FLAGS - WRONG
    assert not unknown


def test_listed_choices_are_those_declared(page: Path) -> None:
    for flag, choices in re.findall(r"(--[a-z-]+) ([a-z0-9]+(?:\|[a-z0-9]+)+)", "\n".join(spans(page))):
        declared = next(option for option in OPTIONS.values() if option.flag == flag)
        assert set(choices.split("|")) == set(declared.choices)


def test_magics_and_their_verbs_exist(page: Path, shell) -> None:
    for text in code_of(page):
        for magic in re.findall(r"(?<![\w%}])%%?([a-z_]+)", text):
            assert shell.find_line_magic(magic) or shell.find_cell_magic(magic), text
        for verb in re.findall(r"%runs ([a-z-]+)", text):
            assert verb in RUNS_VERBS or verb in WRONG | {"help"}, text


def test_verbs_of_the_shell_exist(page: Path) -> None:
    verbs = verbs_of(_parser())
    for text in code_of(page):
        for verb, second in re.findall(r"jupyter train ([a-z]+)(?: ([a-z-]+))?", text):
            assert verb in verbs, text
            assert verb != "runs" or not second or second in verbs_of(verbs["runs"]), text


def test_attributes_exist(page: Path) -> None:
    kinds = {"run": (Run, CrossValidation), "study": (Study,)}
    for text in code_of(page):
        for owner, name in re.findall(r"\b(run|study)\.([a-z_]+)", text):
            assert name in WRONG or any(hasattr(kind, name) for kind in kinds[owner]), text
        for name in re.findall(r"\bjupyter_train\.([a-z_]+)\(", text):
            assert name in jupyter_train.__all__, text


def test_environment_variables_are_read_somewhere(page: Path) -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "jupyter_train").rglob("*.py"))
    named = {name for text in code_of(page) for name in re.findall(r"\bJUPYTER_TRAIN_[A-Z_]+", text)}
    assert all(f'"{name}"' in source for name in named - TOLD)


def test_files_exist(page: Path) -> None:
    for text in spans(page):
        if FILE.fullmatch(text) and not MADE.search(text):
            assert (ROOT / text).exists(), text


def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_every_command_is_in_the_guide_that_explains_commands() -> None:
    named = set(spans(ROOT / ".docs" / "guides" / "steer.md"))
    assert {verb.name for verb in VERBS.values() if not verb.is_for_study} <= named


def test_the_front_page_is_one_page() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= 900
