"""What a notebook shows of an error, and the run that it ended.

IPython shows the frames of the user's own code; with `%tb`, after `%xmode Verbose` and everywhere else there are all.
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

_RUN = "jupyter_train_run"
_SHOWS = "_render_traceback_"
_OURS = "jupyter_train"
_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
#: What our own evaluation of a line is called in tracebacks; the cell's frame shows the line itself.
_TYPED = ("<train ", "<tune ")
WHOLE = "`%tb` shows the whole traceback"


def ended(err: BaseException, run: Run | None, is_of_fit: bool = False) -> BaseException:
    """The error, which knows its run, and which IPython shows briefly.

    Args:
        err: What is raised.
        run: The run that it ended; None where none was recorded.
        is_of_fit: Whether it comes out of a fit; elsewhere an error in this package's code is shown whole.
    """
    if run is not None:
        with contextlib.suppress(AttributeError, TypeError):  # an exception of the user's may refuse
            setattr(err, _RUN, run)
    is_theirs = is_of_fit or _is_own(_innermost(err.__traceback__))
    if isinstance(err, Exception) and is_theirs and not hasattr(err, _SHOWS):
        with contextlib.suppress(AttributeError, TypeError):
            setattr(err, _SHOWS, _Brief(err))
    return err


def take_run(err: BaseException) -> Run | None:
    """The run that an error ended; it is forgotten there."""
    run: Run | None = getattr(err, _RUN, None)
    if run is not None:
        delattr(err, _RUN)
    return run


def fails_below(err: BaseException, depth: str) -> bool:
    """Whether code of the user's own failed, that was called by what a file of this name holds."""
    frames = list(_frames(err.__traceback__))
    names = [frame.f_code.co_filename for frame in frames]
    below = frames[len(names) - names[::-1].index(depth) :] if depth in names else []
    return any(map(_is_own, below))


class _Brief:
    """Gives the lines of a traceback to IPython: at first those of the user's own frames, then all."""

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
        return [*lines, WHOLE]


@contextlib.contextmanager
def _only_own_frames(err: BaseException) -> Iterator[None]:
    """The error, and those it came of, with the user's own frames only, for as long as this lasts."""
    chain: dict[int, tuple[BaseException, TracebackType | None]] = {}
    one: BaseException | None = err
    while one is not None and id(one) not in chain:
        chain[id(one)] = (one, one.__traceback__)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    try:
        for each, whole in chain.values():
            each.with_traceback(_without_others(whole))
        yield
    finally:
        for each, whole in chain.values():
            each.with_traceback(whole)


def _without_others(found: TracebackType | None) -> TracebackType | None:
    kept = []
    while found is not None:
        if _is_own(found.tb_frame):
            kept.append(found)
        found = found.tb_next
    following: TracebackType | None = None
    for one in reversed(kept):
        following = TracebackType(following, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return following


def _frames(found: TracebackType | None) -> Iterator[FrameType]:
    while found is not None:
        yield found.tb_frame
        found = found.tb_next


def _innermost(found: TracebackType | None) -> FrameType | None:
    """The innermost frame that is the user's or this package's."""
    frames = [frame for frame in _frames(found) if _is_own(frame) or _root(frame) == _OURS]
    return frames[-1] if frames else None


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_own(frame: FrameType | None) -> bool:
    """Whether a frame is of code that the user wrote: a cell, a script or a module that is not installed."""
    if frame is None:
        return False
    root, file = _root(frame), frame.f_code.co_filename
    if file.startswith(_TYPED):
        return False
    if root == "__main__":
        return True
    is_installed = any(part in file for part in _INSTALLED)
    is_python = root in sys.stdlib_module_names or file.startswith("<")
    return root != _OURS and not is_installed and not is_python
