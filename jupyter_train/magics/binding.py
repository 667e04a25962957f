"""Binds a failed run to the name its cell assigns: `run = %train ...`.

Otherwise `run` would still be an earlier run, or IPython's `%run` in the next cell.
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
def binds_failed_run(variables: dict[str, Any]) -> Iterator[None]:
    """Shortens the traceback of a failure inside, and binds its run to the variable the cell assigns.

    Args:
        variables: The notebook's namespace.
    """
    __tracebackhide__ = True
    name = _assigned_name(sys._getframe(), variables)
    try:
        yield
    except BaseException as err:
        from jupyter_train.handle.failure import attach_run, take_run

        attach_run(err, None)
        run = take_run(err)
        if run is not None and name:
            variables[name] = run
            err.add_note(f"`{name}` is this {run._what} ({run.status})")
        raise


def _assigned_name(frame: FrameType | None, variables: dict[str, Any]) -> str:
    """The variable that the running cell assigns the current call to; empty for none."""
    while frame is not None and frame.f_globals is not variables:
        frame = frame.f_back
    if frame is None:
        return ""
    later_instructions = (
        instruction for instruction in dis.get_instructions(frame.f_code) if instruction.offset > frame.f_lasti
    )
    next_instruction = next(later_instructions, None)
    return str(next_instruction.argval) if next_instruction is not None and next_instruction.opname in _STORES else ""
