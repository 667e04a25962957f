"""Records a notebook's execution as a run, the parent of the runs it starts."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.events import RunKind
from jupyter_train.exceptions import StoreError
from jupyter_train.execution.environment import git_state
from jupyter_train.notebook.output import is_url
from jupyter_train.panel.format import duration_text
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.terminal import line, terminal_width
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.paths import make_private_folder
from jupyter_train.store.redaction import one_line
from jupyter_train.store.run_lock import RunLock

if TYPE_CHECKING:
    from nbformat import NotebookNode

_POLL_INTERVAL_S = 0.5
#: Exit values that papermill does not count as failures either.
_SUCCESS_VALUES = ("", "0")


class NotebookExecution:
    """Records one execution: begin, show progress in the terminal, end.

    Args:
        store: The store.
        record: Its row.
        source: Path or URL of the notebook, as the user typed it.
        shows_progress: Print cell, epoch and time left while it runs.

    Attributes:
        output: Path or URL of the executed copy.
        nb: The executed notebook; None until it begins.
        saved: Its last saved copy, secrets masked.
        failure: Why it failed, once it has ended; empty where it did not.
    """

    def __init__(self, store: Store, record: RunRecord, source: str, shows_progress: bool) -> None:
        self.record = record
        self.source = source
        self.output = ""
        self.nb: Any = None
        self.saved: Any = None
        self.failure = ""
        self._is_over = False
        self._store = store
        self._shows_progress = shows_progress
        self._cell = 0
        self._began = time.monotonic()
        self._lock = RunLock(RunFolder(record.folder).lock)

    @classmethod
    def begin(
        cls, store: Store, notebook: str, parameters: dict[str, Any], shows_progress: bool, output: str = ""
    ) -> NotebookExecution:
        """Creates a RUNNING record of kind `retrain`.

        Raises:
            StoreError: It cannot be recorded.
        """
        path = Path(notebook)
        location = notebook if is_url(notebook) else str(path.absolute())
        record = store.create_run(
            path.stem,
            kind=RunKind.RETRAIN,
            notebook=location,
            config={"notebook": notebook, "parameters": parameters, "git": git_state(path.absolute().parent)},
        )
        execution = cls(store, record, notebook, shows_progress)
        try:
            execution._begin(output, path.name)
        except BaseException as err:
            execution.end(err)
            raise
        return execution

    def _begin(self, output: str, name: str) -> None:
        self._lock.acquire()
        self.output = output or str(make_private_folder(RunFolder(self.record.folder).notebook) / name)
        now = time.time()
        summary = {"output": self.output}
        self._store.set_status(self.record.key, RunStatus.RUNNING, started_at=now, heartbeat_at=now, summary=summary)

    def cell_started(self, index: int | None) -> None:
        """Notes which cell runs now."""
        self._cell = (index or 0) + 1

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """While entered, prints progress and keeps the heartbeat."""
        ended = threading.Event()
        thread = threading.Thread(target=self._follow, args=(ended,), name="jupyter_train notebook", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=10)

    def wait_for_runs(self) -> None:
        """Waits until the detached runs of the notebook have ended."""
        while any(self._is_active(child) for child in self._children()):
            time.sleep(_POLL_INTERVAL_S)

    def _is_active(self, child: RunRecord) -> bool:
        status = self._store.status_of(child)
        return status.is_live or status is RunStatus.QUEUED

    def _failed_run(self) -> str:
        """Message about a failed detached run; empty where none failed. Other runs raise in their cell."""
        for child in self._children():
            status = self._store.status_of(child)
            if child.config.get("detach") and status in (RunStatus.FAILED, RunStatus.LOST):
                return f"`{child.ref}` {status}" + (f": {child.message}" if child.message else "")
        return ""

    def end(self, error: BaseException | None) -> None:
        """Ends the record; does nothing the second time."""
        if self._is_over:
            return
        self._is_over = True
        try:
            self._record_end(error)
        finally:
            self._lock.release()

    def _record_end(self, error: BaseException | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            status, message = RunStatus.STOPPED, str(error) or "interrupted"
        else:
            self.failure = describe_failure(self.nb) or self._failed_run()
            message = self.failure or (f"{type(error).__name__}: {error}" if error is not None else "")
            status = RunStatus.FAILED if message else RunStatus.FINISHED
            message = message or describe_exit(self.nb)
        summary = {"output": self.output, "runs": [child.ref for child in self._children()]}
        self._store.end_run(
            self.record,
            status,
            self.record.attempt,
            one_line(message, 500),
            heartbeat_at=time.time(),
            summary=summary,
            size_bytes=RunFolder(self.record.folder).size_bytes(),
        )

    def _children(self) -> list[RunRecord]:
        return self._store.list_runs(limit=1000, parent=self.record.key)[::-1]

    def _follow(self, ended: threading.Event) -> None:
        printer = _Printer() if self._shows_progress else None
        heartbeat = 0.0
        while not ended.wait(_POLL_INTERVAL_S):
            with contextlib.suppress(StoreError):  # the store does not answer: try again
                if time.monotonic() > heartbeat:
                    heartbeat = time.monotonic() + 5.0
                    self._store.update(self.record.key, heartbeat_at=time.time())
                if printer is not None:
                    printer.show(*self._progress_line())
        if printer is not None:
            printer.close()

    def _progress_line(self) -> tuple[str, str]:
        """The line to show, and a key that changes with the epoch: in a pipe each key gets a line."""
        position = f"cell {self._cell}/{len(self.nb.cells)}" if self.nb is not None else "starting"
        head = f"{position} · {duration_text(time.monotonic() - self._began)}"
        children = self._children()
        if not children:
            return head, head.split(" · ")[0]
        run_snapshot = snapshot(self._store, children[-1].key)
        progress = run_snapshot.get("progress") or {}
        return (
            f"{head} · {line(run_snapshot, _free_columns(head))}",
            f"{self._cell} {run_snapshot['ref']} {run_snapshot['status']} {progress.get('epoch')}",
        )


def _free_columns(head: str) -> int | None:
    """Free columns of the terminal beside `head`; None in a pipe, which has no width."""
    return terminal_width(sys.stderr) - len(head) - 4 if sys.stderr.isatty() else None


class _Printer:
    """One line, rewritten in place on a terminal; a new line per epoch in a pipe."""

    def __init__(self) -> None:
        self._out = sys.stderr
        self._last = ""

    def show(self, text: str, key: str) -> None:
        if self._out.isatty():
            self._out.write("\r\x1b[2K" + text)
            self._out.flush()
        elif key != self._last:
            self._last = key
            self._out.write(text + "\n")
            self._out.flush()

    def close(self) -> None:
        if self._out.isatty():
            self._out.write("\r\x1b[2K")
            self._out.flush()


def describe_failure(nb: NotebookNode | None) -> str:
    """Message about the failed cell; empty where none failed, or there is no notebook."""
    for index, cell in enumerate(nb.cells if nb is not None else ()):
        errors = [output for output in cell.get("outputs", []) if output.get("output_type") == "error"]
        failed = [error for error in errors if not _is_exit(error)]
        count = cell.get("execution_count")
        position = f"cell {index + 1}" + (f" (In [{count}])" if count is not None else "")
        if failed:  # the last one is the cause: outputs before it may hold errors that the cell caught
            return f"{position}: {failed[-1].ename}" + (f": {failed[-1].evalue}" if failed[-1].evalue else "")
        if not errors and cell.get("metadata", {}).get("papermill", {}).get("exception") is True:
            return f"{position} failed"
    return ""


def describe_exit(nb: NotebookNode | None) -> str:
    """Message about the cell that called `sys.exit(0)`; empty where none did, or there is no notebook."""
    cells = nb.cells if nb is not None else ()
    for index, cell in enumerate(cells):
        errors = [output for output in cell.get("outputs", []) if output.get("output_type") == "error"]
        if errors and all(map(_is_exit, errors)):
            return f"`sys.exit` in cell {index + 1} of {len(cells)}; the cells after it did not run"
    return ""


def _is_exit(error: NotebookNode) -> bool:
    """Whether an error is `sys.exit()`, which ends a notebook early without a failure."""
    return error.get("ename") == "SystemExit" and error.get("evalue") in _SUCCESS_VALUES
