"""An error with its run: the user's own frames the first time, everything on request."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import jupyter_train
from jupyter_train.handle import Run
from jupyter_train.handle.failure import WHOLE_TRACEBACK_HINT, attach_run, is_raised_in_user_code, take_run

PACKAGE = Path(jupyter_train.__file__).parent


def function_of(module: str, file: str, source: str, **names: Any) -> Any:
    """A function `f` as if it stood in this module and file."""
    space = {"__name__": module, **names}
    exec(compile(source, file, "exec"), space)
    return space["f"]


def raised(function: Any) -> BaseException:
    try:
        function()
    except BaseException as err:  # noqa: BLE001
        return err
    raise AssertionError("nothing was raised")


USERS = ("my_model", "/home/me/my_model.py")
OURS = ("jupyter_train.training.fit", str(PACKAGE / "training" / "fit.py"))
TORCH = ("torch.nn", "/opt/lib/site-packages/torch/nn.py")
fails = function_of(*USERS, "def f():\n    raise ValueError('no such width')\n")
slips = function_of(*OURS, "def f():\n    raise KeyError('a slip')\n")


def short(err: BaseException) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in err._render_traceback_()]  # type: ignore[attr-defined]


def calling(where: tuple[str, str], inner: Any) -> Any:
    return function_of(*where, "def f():\n    return inner()\n", inner=inner)


def test_a_run_is_attached_and_taken_once(store) -> None:
    run = Run(store, store.create_run("digits").key)
    err = raised(fails)
    assert attach_run(err, run) is err
    assert attach_run(err, None) is err
    assert take_run(err) == run
    assert take_run(err) is None


def test_frames_of_libraries_are_left_out_the_first_time(shell) -> None:
    err = attach_run(raised(calling(OURS, calling(TORCH, fails))), None)
    lines = "\n".join(short(err))
    assert "my_model.py" in lines
    assert "no such width" in lines
    assert lines.endswith(WHOLE_TRACEBACK_HINT)
    assert not any(words in lines for words in ("fit.py", "site-packages"))
    whole = "\n".join(short(err))
    assert all(words in whole for words in ("my_model.py", "fit.py", "site-packages"))
    assert WHOLE_TRACEBACK_HINT not in whole


def test_frames_of_its_cause_are_left_out_too_and_all_are_there_again(shell) -> None:
    chained = function_of(
        *OURS,
        "def f():\n    try:\n        inner()\n    except ValueError as err:\n        raise OSError from err\n",
        inner=calling(TORCH, fails),
    )
    err = attach_run(raised(chained), None, is_of_fit=True)
    assert err.__cause__ is not None
    before = (err.__traceback__, err.__cause__.__traceback__)
    lines = "\n".join(short(err))
    assert "my_model.py" in lines
    assert "site-packages" not in lines
    assert (err.__traceback__, err.__cause__.__traceback__) == before


@pytest.mark.parametrize(
    ("function", "is_of_fit", "is_short"),
    [
        (fails, False, True),
        (slips, False, False),  # a bug of this package shows where it is
        (slips, True, True),
        (calling(USERS, slips), False, False),
        (calling(OURS, fails), False, True),
        (calling(USERS, function_of(*TORCH, "def f():\n    raise ValueError\n")), False, True),
        (function_of(*OURS, "def f():\n    raise KeyboardInterrupt\n"), True, False),
        (function_of("model", "<train Net()>", "def f():\n    raise ValueError\n"), False, True),
    ],
)
def test_a_traceback_is_short_where_the_users_code_failed(function: Any, is_of_fit: bool, is_short: bool) -> None:
    err = attach_run(raised(function), None, is_of_fit)
    assert hasattr(err, "_render_traceback_") is is_short


def test_an_error_that_takes_no_attribute_keeps_its_traceback(store) -> None:
    class Slotted(ValueError):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    err = Slotted()
    assert attach_run(err, Run(store, store.create_run("digits").key), is_of_fit=True) is err
    assert take_run(err) is None


def test_the_users_code_is_found_below_the_file_that_called_it() -> None:
    expression = calling(("jupyter_train.api", "<train Net()>"), fails)
    err = raised(calling(OURS, expression))
    assert is_raised_in_user_code(err, "<train Net()>")
    assert not is_raised_in_user_code(err, "<tune Net()>")
    own = raised(calling(USERS, calling(("jupyter_train.api", "<train Net()>"), slips)))
    assert not is_raised_in_user_code(own, "<train Net()>")
