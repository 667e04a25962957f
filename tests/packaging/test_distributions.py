"""What a wheel and an sdist hold, and what a package index and a type checker see of them."""

from __future__ import annotations

import email.message
import email.parser
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mistune
import pytest

import jupyter_train
from tests.packaging.conftest import ROOT, Distributions


@pytest.fixture(scope="module")
def metadata(distributions: Distributions) -> email.message.Message:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(wheel.read(name).decode())


def test_wheel_and_sdist_hold_the_package_its_types_marker_and_the_built_extension(
    distributions: Distributions,
) -> None:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        in_wheel = set(wheel.namelist())
    with tarfile.open(distributions.sdist) as sdist:
        in_sdist = {name.partition("/")[2] for name in sdist.getnames()}
    needed = {"jupyter_train/__init__.py", "jupyter_train/py.typed", "jupyter_train/labextension/package.json"}
    assert needed | {"jupyter_train/notebooks/quickstart.ipynb", "_jupyter_train_papermill.py"} <= in_wheel
    assert needed | {"labextension/src/index.ts", "labextension/node_check.py", "LICENSE"} <= in_sdist
    assert not {name for name in in_sdist if "node_modules" in name or name.startswith("labextension/lib/")}


def test_metadata_name_the_authors_of_the_licence_and_the_version(metadata: email.message.Message) -> None:
    holder = re.search(r"Copyright \(c\) \d+, (.+)", (ROOT / "LICENSE").read_text())
    assert holder is not None
    assert metadata["Author"] == holder[1]
    assert metadata["Version"] == jupyter_train.__version__
    assert metadata["License-File"] == "LICENSE"
    assert not {"Author-email", "Maintainer", "Maintainer-email", "Home-page", "Project-URL"} & set(metadata)


def test_no_link_of_the_package_page_leads_into_the_repository(metadata: email.message.Message) -> None:
    page = metadata.get_payload()
    assert isinstance(page, str)
    assert metadata["Description-Content-Type"] == "text/markdown"
    addresses = list(_addresses(page))
    assert [address for address in addresses if not re.match(r"https?://|#|mailto:", address)] == []


def test_the_package_page_is_the_readme_but_for_links_and_pictures(metadata: email.message.Message) -> None:
    readme, page = (ROOT / "README.md").read_text(), metadata.get_payload()
    assert isinstance(page, str)
    assert any(not re.match("https?://", address) for address in _addresses(readme))  # there is something to leave out
    assert _code(page) == _code(readme)
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        line for line in readme.splitlines() if line.startswith("#")
    ]


def _tokens(tokens: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for token in tokens:
        yield token
        yield from _tokens(token.get("children", []))


def _parsed(text: str) -> list[dict[str, Any]]:
    parse = mistune.create_markdown(renderer=None, plugins=["table"])
    return list(_tokens(parse(text)))  # type: ignore[arg-type]


def _addresses(text: str) -> Iterator[str]:
    for token in _parsed(text):
        if token["type"] in ("link", "image"):
            yield token["attrs"]["url"]
        elif token["type"] in ("block_html", "inline_html"):
            yield from re.findall(r'(?:src|srcset|href)="([^"]*)"', token["raw"])


def _code(text: str) -> list[str]:
    return [token["raw"] for token in _parsed(text) if token["type"] == "block_code"]


#: The libraries below jupyter_train are looked at by nobody here: their types take a minute to read.
_MYPY = """
[mypy]
strict = true
[mypy-torch.*,torchmetrics.*,pytorch_lightning.*,numpy.*,pandas.*,sqlalchemy.*,optuna.*,IPython.*]
follow_imports = skip
ignore_missing_imports = true
"""
_USE = """
from jupyter_train import Run, train, trian

reveal_type(train)
reveal_type(Run.wait)
steps: int = train(None)
"""


def test_a_project_that_uses_the_wheel_sees_its_types(distributions: Distributions, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    purelib = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    with zipfile.ZipFile(distributions.wheel) as wheel:
        wheel.extractall(purelib)
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    (tmp_path / "mypy.ini").write_text(_MYPY)
    (tmp_path / "use.py").write_text(_USE)
    command = [sys.executable, "-m", "mypy", "--python-executable", venv / "bin" / "python", "--cache-dir", "cache"]
    done = subprocess.run([*command, "use.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[:-1] == [
        'use.py:2: error: Module "jupyter_train" has no attribute "trian"; maybe "train"?  [attr-defined]',
        'use.py:4: note: Revealed type is "def (model: Any, data: Any =, **options: Any) -> '
        'jupyter_train.handle.run.Run"',
        'use.py:5: note: Revealed type is "def (self: jupyter_train.handle.run.Run, timeout_s: float | None =) -> '
        'jupyter_train.handle.run.Run"',
        'use.py:6: error: Incompatible types in assignment (expression has type "Run", variable has type "int")  '
        "[assignment]",
    ]
