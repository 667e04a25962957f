"""Every block of code of the README and the guides runs: Python and magics in a real kernel, commands in bash."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import README, START, WITH_CODE, Block, blocks, name_of
from tests.kernel import Kernel, started

#: A page that failed leaves its detached run behind.
STOP_THE_REST = """
from jupyter_train import runs
for run in runs(1000):
    if run.status.is_live:
        run.stop()
"""
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory) -> Iterator[Kernel]:
    """One kernel for all pages, with a run store of its own."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_TRAIN_STORE", str(folder / "store.db"))
        patch.setenv("JUPYTER_TRAIN_HOME", str(folder / "runs"))
        with started(str(folder)) as kernel:
            yield kernel
            kernel.run(STOP_THE_REST)


def run_in_bash(text: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], capture_output=True, text=True, env=os.environ | {"PATH": path}
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def run_in_kernel(kernel: Kernel, block: Block) -> None:
    errors = [one["content"] for one in kernel.run(block.text) if one["msg_type"] == "error"]
    said = "\n".join(f"{one['ename']}: {one['evalue']}" for one in errors)
    if block.mark == "fails":
        assert block.words in said
    else:
        assert not errors, f"{block.text}\n{said}"


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_code_of_a_page_runs(page: Path, kernel: Kernel) -> None:
    kernel.run("%reset -f")
    before = [] if page in (README, START) else blocks(START)[1:3]
    for block in [*before, *blocks(page)]:
        if block.mark == "not run" or block.language == "text":
            continue
        if block.language == "bash":
            run_in_bash(block.text)
        else:
            run_in_kernel(kernel, block)


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_every_block_is_of_a_kind_that_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        assert block.language in ("python", "yaml", "bash", "text")
        assert block.language != "yaml" or block.text.startswith("%%")
        assert not block.mark or block.words
