"""Short tracebacks in notebooks, and the run that an error ended.

IPython shows frames of the user's code only; `%tb`, `%xmode Verbose` and everything else show all frames.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_train.handle.run import Run

_RUN_ATTRIBUTE = "jupyter_train_run"
_RENDER_ATTRIBUTE = "_render_traceback_"
_PACKAGE = "jupyter_train"
_INSTALLED_FOLDERS = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
#: File names of evaluated expressions; the cell's frame shows the line itself.
_EXPRESSION_PREFIXES = ("<train ", "<tune ")
WHOLE_TRACEBACK_HINT = "`%tb` shows the whole traceback"


def attach_run(err: BaseException, run: Run | None, is_of_fit: bool = False) -> BaseException:
    """The error with its run attached, which IPython shows with a short traceback.

    Args:
        err: The exception.
        run: The run that it ended; None where none was recorded.
        is_of_fit: Whether it was raised in a fit; elsewhere an error in this package's code keeps its traceback.
    """
    if run is not None:
        with contextlib.suppress(AttributeError, TypeError):  # an exception class may have slots
            setattr(err, _RUN_ATTRIBUTE, run)
    is_of_user = is_of_fit or _is_of_user(_innermost(err.__traceback__))
    if isinstance(err, Exception) and is_of_user and not hasattr(err, _RENDER_ATTRIBUTE):
        with contextlib.suppress(AttributeError, TypeError):
            setattr(err, _RENDER_ATTRIBUTE, _ShortTraceback(err))
    return err


def take_run(err: BaseException) -> Run | None:
    """Detaches and returns the run of an error; None for none."""
    run: Run | None = getattr(err, _RUN_ATTRIBUTE, None)
    if run is not None:
        delattr(err, _RUN_ATTRIBUTE)
    return run


def is_raised_in_user_code(err: BaseException, depth: str) -> bool:
    """Whether the user's own code failed, called from a file of this name."""
    frames = list(_frames(err.__traceback__))
    names = [frame.f_code.co_filename for frame in frames]
    below = frames[len(names) - names[::-1].index(depth) :] if depth in names else []
    return any(map(_is_of_user, below))


class _ShortTraceback:
    """Renders a traceback for IPython: the user's frames the first time, then all."""

    def __init__(self, err: BaseException) -> None:
        self._err = err
        self._has_shown = False

    def __call__(self) -> list[str]:
        """The lines."""
        from IPython.core.interactiveshell import InteractiveShell

        err, formatter = self._err, InteractiveShell.instance().InteractiveTB
        if self._has_shown or formatter.mode == "Verbose":
            return list(formatter.structured_traceback(type(err), err, err.__traceback__))
        self._has_shown = True
        with _only_own_frames(err):
            lines = formatter.structured_traceback(type(err), err, err.__traceback__, tb_offset=0)
        return [*lines, WHOLE_TRACEBACK_HINT]


@contextlib.contextmanager
def _only_own_frames(err: BaseException) -> Iterator[None]:
    """Reduces an error and its causes to the user's frames inside the block."""
    chain: dict[int, tuple[BaseException, TracebackType | None]] = {}
    error: BaseException | None = err
    while error is not None and id(error) not in chain:
        chain[id(error)] = (error, error.__traceback__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    try:
        for linked, traceback in chain.values():
            linked.with_traceback(_filtered_traceback(traceback))
        yield
    finally:
        for linked, traceback in chain.values():
            linked.with_traceback(traceback)


def _filtered_traceback(traceback: TracebackType | None) -> TracebackType | None:
    kept = []
    while traceback is not None:
        if _is_of_user(traceback.tb_frame):
            kept.append(traceback)
        traceback = traceback.tb_next
    filtered: TracebackType | None = None
    for entry in reversed(kept):
        filtered = TracebackType(filtered, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return filtered


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _innermost(traceback: TracebackType | None) -> FrameType | None:
    """The innermost frame of the user or of this package."""
    frames = [frame for frame in _frames(traceback) if _is_of_user(frame) or _root(frame) == _PACKAGE]
    return frames[-1] if frames else None


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_of_user(frame: FrameType | None) -> bool:
    """Whether a frame is the user's code: a cell, a script or a module that is not installed."""
    if frame is None:
        return False
    root, file = _root(frame), frame.f_code.co_filename
    if file.startswith(_EXPRESSION_PREFIXES):
        return False
    if root == "__main__":
        return True
    is_installed = any(part in file for part in _INSTALLED_FOLDERS)
    is_python = root in sys.stdlib_module_names or file.startswith("<")
    return root != _PACKAGE and not is_installed and not is_python
