"""Fixtures shared by all tests: a store of one's own, small real data, a real shell."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import pytest

pytest_plugins = ["pytest_jupyter.jupyter_server"]

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the fault tests; they must be known wherever pytest is started."""
    parser.addoption("--full", action="store_true", help="every test, and of the fault tests all trials, not a share")
    parser.addoption("--engine", default="lean", help="fault tests: the epoch loop that trains, lean or lightning")
    parser.addoption("--report", default="", metavar="FILE", help="fault tests: keep what was tried and passed as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Third-party deprecations are theirs; everything else is an error."""
    for line in (
        "ignore::DeprecationWarning:(?!jupyter_train|tests)",
        "ignore::PendingDeprecationWarning",
        "ignore::FutureWarning",
        "ignore::ResourceWarning",
        "ignore:.*does not have many workers.*",
        "ignore:You defined a `validation_step` but.*",
        "ignore:.*exists and is not empty.*",
        "ignore:The number of training batches.*",
        "ignore:Starting from v1.9.0.*",
        "ignore:.*Consider increasing the value of the `num_workers`.*",
        "ignore:.*Trying to infer the `batch_size`.*",
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore:Parsing dates.*",
        "ignore:IPython dir.*",
    ):
        config.addinivalue_line("filterwarnings", line)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is for `--full` only: the second front end of what is the front end's own, costly repetitions."""
    if config.getoption("--full"):
        return
    left_out = [item for item in items if item.get_closest_marker("full") is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker("full") is None]


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has its own store, run folders and working folder."""
    monkeypatch.setenv("JUPYTER_TRAIN_STORE", str(tmp_path / "store" / "store.db"))
    monkeypatch.setenv("JUPYTER_TRAIN_HOME", str(tmp_path / "runs"))
    monkeypatch.delenv("JUPYTER_TRAIN_PARENT", raising=False)
    monkeypatch.delenv("JUPYTER_TRAIN_NOTEBOOK", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(own_store: Path):
    from jupyter_train.store import open_store

    return open_store()


@pytest.fixture
def shell(own_store: Path, tmp_path: Path):
    """A real InteractiveShell with the extension loaded."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.testing.globalipapp import start_ipython

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shell = InteractiveShell._instance or start_ipython() or InteractiveShell.instance()
    shell.reset(new_session=True)
    shell.history_manager.input_hist_raw[:] = [""]
    shell.run_line_magic("load_ext", "jupyter_train")
    yield shell
    shell.reset(new_session=True)


@pytest.fixture
def python() -> str:
    """The interpreter under test."""
    return sys.executable
