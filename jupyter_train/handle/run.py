"""`Run`: wait, send commands, resume, fork, show."""

from __future__ import annotations

import functools
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.config.commands import command
from jupyter_train.exceptions import RunNotFoundError
from jupyter_train.execution.resume import attempts_of, fork_here, resume_here
from jupyter_train.handle.cell import current_cell_execution
from jupyter_train.handle.trained_run import TrainedRun
from jupyter_train.panel.bundle import as_text
from jupyter_train.panel.image_file import write_picture
from jupyter_train.panel.output_cells import bundle_for_here
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.svg import svg
from jupyter_train.run import RunStatus
from jupyter_train.store import commands

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from jupyter_train.execution.resume import Launcher
    from jupyter_train.store import Store
    from jupyter_train.training.data.data_source import DataSource

_POLL_INTERVAL_S = 0.2


@functools.cache
def _warn_renamed(old: str, new: str) -> None:
    """Warns once per process; a FutureWarning is shown to users, other than a DeprecationWarning."""
    warnings.warn(f"`run.{old}(...)` is now `run.{new}(...)`; the old name still works", FutureWarning, stacklevel=3)


class Run(TrainedRun):
    """One run of the store.

    Everything is read from the store on access, so a handle is never stale. In the kernel that trained it,
    the handle also holds the model.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        module: pl.LightningModule | None = None,
        source: DataSource | None = None,
        shown_in: tuple[int, int] | None = None,
        launcher: Launcher[Run] | None = None,
    ) -> None:
        super().__init__(store, key, module, source)
        self._launcher = launcher
        self._shown_in = shown_in

    @property
    def children(self) -> list[Run]:
        """Runs it started, oldest first, such as those of a retrained notebook."""
        records = self._store.list_runs(limit=10_000, parent=self._key)
        return [Run(self._store, record.key) for record in reversed(records)]

    def wait(self, timeout_s: float | None = None) -> Run:
        """Waits until it has ended, and returns itself; an Interrupt ends the waiting, not the run.

        Args:
            timeout_s: How long to wait, in seconds; no limit if None.

        Raises:
            TimeoutError: It has not ended in that time.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (status := self.status).is_live or status is RunStatus.QUEUED:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"`{self.ref}` is still {status} after {timeout_s:g} s")
            time.sleep(_POLL_INTERVAL_S)
        return self

    def stop(self, wait_s: float = 10.0) -> str:
        """Ends it gracefully: validates, keeps the best and the last weights. Returns and raises as `send`."""
        return self.send("stop", wait_s=wait_s)

    def pause(self, wait_s: float = 10.0) -> str:
        """Pauses it at the next batch boundary."""
        return self.send("pause", wait_s=wait_s)

    def resume(self, wait_s: float = 10.0, **changes: object) -> Run | str:
        """Resumes it: after a pause, or, when it has ended or died, as its next attempt.

        The next attempt starts from the newest valid checkpoint and gives what an uninterrupted run would have
        given; steps it repeats are compared, bit for bit, with those recorded before. It trains in a process of its
        own if the run did, and in this kernel if this kernel trained it.

        Args:
            wait_s: How long to wait for an answer after a pause, in seconds.
            **changes: Options to change from here on: `epochs=30` makes a finished run longer; `from_` names a
                checkpoint (`"best"`, `"last"` or a step).

        Returns:
            The run, or after a pause the answer.

        Raises:
            RunStateError: This kernel cannot start it; the message says which notebook and cell can.
            ChangedError: Model, data or options differ from those it was started with.
        """
        if self.status.is_live and not changes:
            return str(self.send("resume", wait_s=wait_s))

        return resume_here(self._store, self.record, self._launcher, changes) or self

    def fork(self, from_step: int | str | None = None, **changes: object) -> Run:
        """A new run that starts from a checkpoint of this one, which stays unchanged.

        Args:
            from_step: The checkpoint: its step, `"best"` or `"last"`; the newest if None.
            **changes: Options to change: `lr=1e-4`, `epochs=50`, `name="lower"`.

        Raises:
            RunStateError: There is no such checkpoint, or this kernel has neither model nor data.
        """
        forked: Run = fork_here(self.record, self._launcher, from_step, changes)
        return forked

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Every attempt, oldest first: `attempt`, `from_step`, `checkpoint`, `at` (unix seconds), and its replay check.

        `verdict` is one of `Verdict`, `verified` the sentence with its reason. The first attempt, which has nothing to
        be compared with, has None and an empty text.
        """
        return attempts_of(self._store, self.record)

    def set_lr(
        self, lr: float | None = None, *, factor: float | None = None, group: int | None = None, wait_s: float = 10.0
    ) -> str:
        """Sets its learning rate, or multiplies it.

        The rest of a schedule keeps its shape, scaled by the same factor.

        Args:
            lr: The new rate.
            factor: Multiplies the rate instead.
            group: Index of one parameter group, counted over all optimizers; all if None.
            wait_s: See `send`.
        """
        return self.send("set_lr", wait_s=wait_s, lr=lr, factor=factor, group=group)

    def send(self, verb: str, wait_s: float = 10.0, *, source: str = "python", **arguments: object) -> str:
        """Sends a command to the running fit and returns its answer.

        Args:
            verb: `pause`, `resume`, `stop`, `checkpoint`, `validate`, `set_lr` (`lr` or `factor`, `group`),
                `set_max_epochs` (`epochs`) or `set_patience` (`patience`).
            wait_s: How long to wait for the answer, in seconds; the command stays queued after that.
            source: Where it is sent from, for the record.
            **arguments: Of the command.

        Raises:
            CommandError: There is no such command, or its arguments do not fit.
            RunStateError: The run is not being trained, or belongs to another user.
            CommandRefusedError: The fit refused it; the message says why.
        """
        row = commands.add(self._store, self._key, command(verb, arguments, source))
        return commands.wait_for_answer(self._store, self._key, row, wait_s)

    def tell(self, verb: str, wait_s: float = 10.0, *, source: str = "python", **arguments: object) -> str:
        """Deprecated: the former name of `send`, which takes the same arguments."""
        _warn_renamed("tell", "send")
        return self.send(verb, wait_s, source=source, **arguments)

    def show(self, in_full: bool = False) -> None:
        """Displays its panel.

        Args:
            in_full: Whether to show the whole panel again where another cell already has it; by default a
                reference keeps the notebook small.
        """
        from IPython.display import display

        display(bundle_for_here(self._store, self._key, in_full), raw=True)  # type: ignore[no-untyped-call]

    def save_curves(self, path: str | Path) -> Path:
        """Writes its curves as an image, `.svg` or `.png` by the file's suffix.

        Raises:
            StoreError: The suffix is another, or there are no curves.
        """
        return write_picture(svg(snapshot(self._store, self._key)), path)

    def _ipython_display_(self) -> None:
        """Shows the panel, unless this cell has shown it while training."""
        if self._shown_in is not None and self._shown_in == current_cell_execution():
            return
        self.show()

    def __repr__(self) -> str:
        try:
            return as_text(snapshot(self._store, self._key))
        except RunNotFoundError:
            return f"<Run {self._key}: no longer in the store>"
