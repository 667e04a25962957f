"""The name that a cell gives a run, bound also where the run failed: `run = %train ...`.

Otherwise `run` would be an earlier run, or, in the next cell, IPython's `%run`.
"""

from __future__ import annotations

import contextlib
import dis
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

_STORES = ("STORE_NAME", "STORE_GLOBAL")


@contextlib.contextmanager
def failed_run_bound(variables: dict[str, Any]) -> Iterator[None]:
    """What fails in here is shown briefly, and leaves its run in the variable that the cell assigns the result to.

    Args:
        variables: Those of the notebook.
    """
    __tracebackhide__ = True
    name = _assigned_name(sys._getframe(), variables)
    try:
        yield
    except BaseException as err:
        from jupyter_train.handle.failure import ended, take_run

        ended(err, None)
        run = take_run(err)
        if run is not None and name:
            variables[name] = run
            err.add_note(f"`{name}` is this {run._what} ({run.status})")
        raise


def _assigned_name(frame: FrameType | None, variables: dict[str, Any]) -> str:
    """The variable that takes the result of the call which the cell is in; empty where there is none."""
    while frame is not None and frame.f_globals is not variables:
        frame = frame.f_back
    if frame is None:
        return ""
    following = (one for one in dis.get_instructions(frame.f_code) if one.offset > frame.f_lasti)
    after = next(following, None)
    return str(after.argval) if after is not None and after.opname in _STORES else ""
