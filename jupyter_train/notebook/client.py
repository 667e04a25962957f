"""The nbclient that executes cells: a timeout or signal interrupts the cell first, so that a run in it is saved."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async, run_sync
from papermill.clientwrap import PapermillNotebookClient

from jupyter_train.exceptions import TrainingInterrupted
from jupyter_train.notebook.signals import SignalWatch

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from papermill.engines import NotebookExecutionManager

#: How long an interrupted cell may take to save its run, where no second interrupt can come.
_INTERRUPT_TIMEOUT_S = 60.0


class RecordedClient(PapermillNotebookClient):  # type: ignore[misc]
    """papermill's client, except that a timeout or signal interrupts the kernel before it gives up on the cell.

    Args:
        nb_man: papermill's manager of the notebook.
        signals: Receives SIGINT and SIGTERM meanwhile.
        timeout_s: Seconds a cell may take; None for no limit.
    """

    def __init__(
        self, nb_man: NotebookExecutionManager, signals: SignalWatch, timeout_s: float | None, **more: object
    ) -> None:
        super().__init__(nb_man, **more)
        self._signals = signals
        self._timeout_s = timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._abandon_timer: asyncio.TimerHandle | None = None
        self._is_too_long = False
        self._has_quit = False

    def execute(self, **kwargs: object) -> NotebookNode:
        """Executes all cells and shuts the kernel down, however that ends."""
        self._signals.end_cell = self._end_cell
        try:
            executed: NotebookNode = super().execute(**kwargs)
            return executed
        finally:
            self._signals.end_cell = lambda _is_limited: False
            if self.owns_km and self.km is not None and self.km.has_kernel:
                self._cleanup_kernel()

    async def async_execute_cell(self, cell: NotebookNode, cell_index: int, **more: object) -> NotebookNode:
        """Executes a cell; `_end_cell` can interrupt it meanwhile."""
        self._loop = asyncio.get_running_loop()
        self._is_too_long = False
        try:
            executed: NotebookNode = await super().async_execute_cell(cell, cell_index, **more)
            return executed
        finally:
            self._loop = None
            if self._abandon_timer is not None:
                self._abandon_timer.cancel()

    _execute_cell = run_sync(async_execute_cell)

    def execute_cell(self, cell: NotebookNode, cell_index: int, **more: object) -> NotebookNode:
        """Executes a cell.

        Raises:
            CellExecutionError: It failed.
            CellTimeoutError: It took too long.
            DeadKernelError: The kernel died.
            TrainingInterrupted: SIGINT or SIGTERM came, and the cell has ended.
        """
        try:
            executed: NotebookNode = self._execute_cell(cell, cell_index, **more)
            self._check_time(cell)
            self._check_quit(cell)
        except CellExecutionError as err:
            self._check_time_of_failed_cell(cell, cell_index, err)
            if self._has_quit:
                self._record_failure(cell, cell_index, err)
            raise
        except (Exception, KeyboardInterrupt) as err:
            cause = self._cause_of(cell, err)
            self._record_failure(cell, cell_index, cause)
            if cause is err:
                raise
            raise cause from err
        self._signals.check()
        return executed

    def _check_time(self, cell: NotebookNode) -> None:
        if self._is_too_long:
            message = f"it took longer than {self._timeout_s:g} s, the given limit"
            raise CellTimeoutError.error_from_timeout_and_cell(message, int(self._timeout_s or 0), cell)

    async def _async_poll_for_reply(self, *args: object, **more: object) -> dict[str, Any]:
        """The reply to a cell; also notes whether the kernel is about to exit."""
        reply: dict[str, Any] = await super()._async_poll_for_reply(*args, **more)
        self._has_quit = any(item.get("source") == "ask_exit" for item in reply["content"].get("payload", []))
        return reply

    def _check_quit(self, cell: NotebookNode) -> None:
        """Raises where the cell called `quit()`: it ends a notebook as `sys.exit()` does."""
        if self._has_quit:
            raise CellExecutionError("", "SystemExit", "0")

    def _check_time_of_failed_cell(self, cell: NotebookNode, cell_index: int, err: CellExecutionError) -> None:
        try:
            self._check_time(cell)
        except CellTimeoutError as late:
            self._record_failure(cell, cell_index, late)
            raise late from err

    def _cause_of(self, cell: NotebookNode, err: BaseException) -> BaseException:
        """The error that really ended a cell: nbclient raises `DeadKernelError` for every kernel it has given up."""
        if not isinstance(err, DeadKernelError):
            return err
        for check in (self._signals.check, lambda: self._check_time(cell)):
            try:
                check()
            except (TrainingInterrupted, CellTimeoutError) as cause:
                return cause
        return err

    def _record_failure(self, cell: NotebookNode, cell_index: int, err: BaseException) -> None:
        """Records the failure in the cell's outputs, for readers of the executed notebook."""
        name, message = type(err).__name__, str(err)
        if isinstance(err, CellExecutionError):
            name, message = err.ename, err.evalue
        if self._signals.is_interrupted:
            self.shutdown_kernel = "immediate"  # it did not end when it was interrupted
        if isinstance(err, DeadKernelError):
            message = f"the kernel died{self._death_cause()}"
        elif isinstance(err, CellTimeoutError):
            message = f"it took longer than {self._timeout_s:g} s"
        error = nbformat.v4.new_output(  # type: ignore[no-untyped-call]
            "error", ename=name, evalue=message, traceback=[f"{name}: {message}"]
        )
        cell.setdefault("outputs", []).append(error)
        self.nb_man.cell_exception(cell, cell_index=cell_index, exception=err)

    def _death_cause(self) -> str:
        process = getattr(getattr(self.km, "provisioner", None), "process", None)
        code = getattr(process, "returncode", None)
        if not isinstance(code, int):
            return ""
        with contextlib.suppress(ValueError):
            if code < 0:
                name = signal.Signals(-code).name
                return f" ({name}: perhaps the memory was not enough)" if name == "SIGKILL" else f" ({name})"
        return f" (exit code {code})"

    def _get_timeout(self, _cell: NotebookNode | None) -> float | None:
        return self._timeout_s

    async def _async_handle_timeout(self, _timeout: float, _cell: NotebookNode | None = None) -> None:
        """Interrupts the cell, so that a run in it is saved; the timeout is raised when it has ended."""
        if not self._is_too_long:
            self._is_too_long = True
            await self._interrupt(is_limited=True)

    def _end_cell(self, is_limited: bool) -> bool:
        """Interrupts the executing cell and returns whether there is one; called in a signal handler."""
        if self._loop is None:
            return False
        self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._interrupt(is_limited)))
        return True

    async def _interrupt(self, is_limited: bool) -> None:
        if is_limited and self.task_poll_for_reply is not None:
            self._abandon_timer = asyncio.get_running_loop().call_later(
                _INTERRUPT_TIMEOUT_S, self.task_poll_for_reply.cancel
            )
        if self.km is not None and self.km.has_kernel:
            await ensure_async(self.km.interrupt_kernel())
