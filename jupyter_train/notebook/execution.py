"""A notebook's execution as a run of its own, linked to the runs it starts."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_train.exceptions import StoreError
from jupyter_train.execution.environment import git_state
from jupyter_train.panel.numbers import duration_text
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.text import line, terminal_width
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.locations import make_private_folder
from jupyter_train.store.masking import one_line
from jupyter_train.store.owner import OwnerLock

_POLL_S = 0.5
#: What an exit says that is no failure to papermill either.
_DONE = ("", "0")


class NotebookExecution:
    """Records one execution: begin, follow in the terminal, end.

    Args:
        store: Where it is recorded.
        record: Its row.
        shows_progress: Print cell, epoch and time left while it runs.
    """

    def __init__(self, store: Store, record: RunRecord, shows_progress: bool) -> None:
        self.record = record
        self.output = ""
        self._store = store
        self._shows_progress = shows_progress
        self._cell = 0
        self._cells = 0
        self._began = time.monotonic()
        self._lock = OwnerLock(RunFolder(record.folder).lock)
        self._lock.acquire()

    @classmethod
    def begin(
        cls, store: Store, notebook: str, parameters: dict[str, Any], shows_progress: bool, output: str = ""
    ) -> NotebookExecution:
        """A RUNNING record of kind `retrain`.

        Raises:
            StoreError: It cannot be recorded.
        """
        path = Path(notebook)
        record = store.create_run(
            path.stem, kind="retrain", notebook=str(path.absolute()),
            config={"notebook": str(path), "parameters": parameters, "git": git_state(path.absolute().parent)},
        )  # fmt: skip
        execution = cls(store, record, shows_progress)
        folder = RunFolder(record.folder)
        execution.output = output or str(make_private_folder(folder.notebook) / path.name)
        now = time.time()
        store.set_status(
            record.key,
            RunStatus.RUNNING,
            started_at=now,
            heartbeat_at=now,
            summary={"output": execution.output},
        )
        return execution

    def cell_started(self, index: int | None) -> None:
        """Says which cell runs now."""
        self._cell = (index or 0) + 1

    @contextlib.contextmanager
    def following(self, cells: int) -> Iterator[None]:
        """While entered, prints progress and keeps the heartbeat."""
        self._cells = cells
        ended = threading.Event()
        thread = threading.Thread(target=self._follow, args=(ended,), name="jupyter_train notebook", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=10)

    def wait_for_runs(self) -> None:
        """Waits for detached runs that the notebook left behind: it is done when they are."""
        while any(self._is_under_way(child) for child in self._children()):
            time.sleep(_POLL_S)

    def _is_under_way(self, child: RunRecord) -> bool:
        status = self._store.status_of(child)
        return status.is_live or status is RunStatus.QUEUED

    def failed_run(self) -> str:
        """What went wrong in a detached run; empty when nothing did. Others raise in their cell."""
        for child in self._children():
            status = self._store.status_of(child)
            if child.config.get("detach") and status in (RunStatus.FAILED, RunStatus.LOST):
                return f"`{child.ref}` {status}" + (f": {child.message}" if child.message else "")
        return ""

    def end(self, nb: Any, error: BaseException | None) -> None:
        """Writes how it ended."""
        failure = describe_failure(nb) or self.failed_run()
        if isinstance(error, KeyboardInterrupt):
            status, message = RunStatus.STOPPED, "interrupted"
        elif failure or error is not None:
            status, message = RunStatus.FAILED, failure or f"{type(error).__name__}: {error}"
        else:
            status, message = RunStatus.FINISHED, describe_exit(nb)
        summary = {"output": self.output, "runs": [child.ref for child in self._children()]}
        self._store.end_run(
            self.record, status, self.record.attempt, one_line(message, 500), heartbeat_at=time.time(), summary=summary,
            size_bytes=RunFolder(self.record.folder).size_bytes(),
        )  # fmt: skip
        self._lock.release()

    def _children(self) -> list[RunRecord]:
        return self._store.list_runs(limit=1000, parent=self.record.key)[::-1]

    # -- what the terminal shows --------------------------------------------------------------------

    def _follow(self, ended: threading.Event) -> None:
        printer = _Printer() if self._shows_progress else None
        heartbeat = 0.0
        while not ended.wait(_POLL_S):
            with contextlib.suppress(StoreError):  # a store that does not answer; it is asked again
                if time.monotonic() > heartbeat:
                    heartbeat = time.monotonic() + 5.0
                    self._store.update(self.record.key, heartbeat_at=time.time())
                if printer is not None:
                    printer.show(*self._words())
        if printer is not None:
            printer.close()

    def _words(self) -> tuple[str, str]:
        """The line to show, and what it says of the epoch (a new epoch is worth a new line in a pipe)."""
        head = f"cell {self._cell}/{self._cells} · {duration_text(time.monotonic() - self._began)}"
        children = self._children()
        if not children:
            return head, head.split(" · ")[0]
        shot = snapshot(self._store, children[-1].key)
        progress = shot.get("progress") or {}
        return (
            f"{head} · {line(shot, _room_beside(head))}",
            f"{self._cell} {shot['ref']} {shot['status']} {progress.get('epoch')}",
        )


def _room_beside(head: str) -> int | None:
    """Columns of the terminal that are left; None in a pipe, which has no end."""
    return terminal_width(sys.stderr) - len(head) - 4 if sys.stderr.isatty() else None


class _Printer:
    """One line, rewritten in place on a terminal; a new line per epoch in a pipe."""

    def __init__(self) -> None:
        self._out = sys.stderr
        self._last = ""

    def show(self, words: str, moment: str) -> None:
        if self._out.isatty():
            self._out.write("\r\x1b[2K" + words)
            self._out.flush()
        elif moment != self._last:
            self._last = moment
            self._out.write(words + "\n")
            self._out.flush()

    def close(self) -> None:
        if self._out.isatty():
            self._out.write("\r\x1b[2K")
            self._out.flush()


def describe_failure(nb: Any) -> str:
    """Where and how a cell failed; empty when none did: `sys.exit(0)` is an end, as papermill has it."""
    for index, cell in enumerate(nb.cells):
        if _has_left(cell):
            continue
        for output in _errors(cell):
            return f"cell {index + 1} (In [{cell.get('execution_count')}]): {output.ename}: {output.evalue}"
        if cell.get("metadata", {}).get("papermill", {}).get("exception") is True:
            return f"cell {index + 1} failed"
    return ""


def describe_exit(nb: Any) -> str:
    """Which cell ended the notebook by `sys.exit(0)`; empty when none did."""
    left = [index for index, cell in enumerate(nb.cells) if _has_left(cell)]
    return f"`sys.exit` in cell {left[0] + 1} of {len(nb.cells)}; those after it did not run" if left else ""


def _has_left(cell: Any) -> bool:
    """Whether `sys.exit(0)` was all that went wrong in a cell."""
    errors = _errors(cell)
    return bool(errors) and all(one.get("ename") == "SystemExit" and one.get("evalue") in _DONE for one in errors)


def _errors(cell: Any) -> list[Any]:
    return [output for output in cell.get("outputs", []) if output.get("output_type") == "error"]
