"""Loading the extension stays light, and every public name is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import jupyter_train

HEAVY = (
    "torch",
    "pytorch_lightning",
    "pandas",
    "wandb",
    "papermill",
    "optuna",
    "sklearn",
    "numpy",
    "alembic",
    "sqlalchemy",
)


def _loaded_after(code: str) -> set[str]:
    probe = f"import sys\n{code}\nprint(' '.join(n for n in {HEAVY!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.splitlines() else set()


def test_import_loads_nothing_heavy() -> None:
    assert _loaded_after("import jupyter_train") == set()


_SHELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic('load_ext', 'jupyter_train')
"""


def test_load_ext_help_and_completion_load_nothing_heavy() -> None:
    more = """
from IPython.core.completer import provisionalcompleter
with provisionalcompleter():
    found = [c.text for c in shell.Completer.completions('run = %train m d --ep', 21)]
assert '--epochs' in found, found
assert '--epochs' in shell.find_line_magic('train').__doc__
"""
    assert _loaded_after(_SHELL + more) <= {"numpy"}  # IPython's own completer may look at numpy


@pytest.mark.parametrize("name", jupyter_train.__all__)
def test_public_name_is_there(name: str) -> None:
    assert getattr(jupyter_train, name) is not None


def test_public_names_are_these() -> None:
    assert jupyter_train.__all__ == [
        "JupyterTrainError",
        "Run",
        "Study",
        "TrainingInterrupted",
        "compare",
        "get_run",
        "retrain",
        "runs",
        "train",
        "tune",
    ]


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute `nope`"):
        jupyter_train.nope  # noqa: B018
