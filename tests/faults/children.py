"""Processes to be killed: forked from a server that has torch and Lightning imported and has run no operation."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any

_PRELOADED = ["jupyter_train.training.fit", "jupyter_train.execution.launcher", "tests.faults.subjects", "pandas"]
_context: Any = None


def context() -> Any:
    """The fork server's context; the server starts with the first child."""
    global _context
    if _context is None:
        _context = multiprocessing.get_context("forkserver")
        _context.set_forkserver_preload(_PRELOADED)
    return _context


class Child:
    """A process that carries out a function of this package and says what it gave, unless it dies before."""

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        self._pipe, theirs = context().Pipe(duplex=False)
        variables = {name: value for name, value in os.environ.items() if name.startswith("JUPYTER_TRAIN_")}
        self.process = context().Process(
            target=_carry_out, args=(theirs, variables, os.getcwd(), os.getpid(), work, arguments), daemon=False
        )
        self.process.start()
        theirs.close()

    def result(self, timeout_s: float = 120) -> Any:
        """What it gave; None when it was killed.

        Raises:
            RuntimeError: It failed.
        """
        found = None
        try:
            if self._pipe.poll(timeout_s):
                found = self._pipe.recv()
        except EOFError:
            found = None
        self.process.join(timeout_s)
        if self.process.is_alive():
            self.process.kill()
            raise RuntimeError(f"a child was still busy after {timeout_s:g} s")
        if isinstance(found, BaseException):
            raise RuntimeError(f"a child failed: {found!r}") from found
        return found

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.join()


def _carry_out(pipe: Any, variables: dict[str, str], folder: str, parent: int, work: Any, arguments: Any) -> None:
    import threading
    import warnings

    for name in [name for name in os.environ if name.startswith("JUPYTER_TRAIN_")]:
        del os.environ[name]
    os.environ.update(variables)
    os.chdir(folder)
    multiprocessing.set_start_method("fork", force=True)  # for the workers of its DataLoaders, as everywhere else
    warnings.simplefilter("ignore")
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    try:
        pipe.send(work(*arguments))
    except BaseException as err:  # noqa: BLE001  reported to the process that started this child
        import traceback

        traceback.print_exc()
        pipe.send(RuntimeError("".join(traceback.format_exception_only(err))))
    finally:
        pipe.close()


def _leave_with(parent: int) -> None:
    """The test that wants to know has been ended: no test waits for this child any more."""
    while True:
        try:
            os.kill(parent, 0)
        except OSError:
            os._exit(1)
        time.sleep(1.0)
