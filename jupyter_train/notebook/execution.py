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
from jupyter_train.notebook.output import is_url
from jupyter_train.panel.format import duration_text
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.terminal import line, terminal_width
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.paths import make_private_folder
from jupyter_train.store.redaction import one_line
from jupyter_train.store.run_lock import RunLock

_POLL_INTERVAL_S = 0.5
#: What an exit says that is no failure to papermill either.
_DONE = ("", "0")


class NotebookExecution:
    """Records one execution: begin, follow in the terminal, end.

    Args:
        store: Where it is recorded.
        record: Its row.
        source: Path or URL of the notebook, as it was given.
        shows_progress: Print cell, epoch and time left while it runs.

    Attributes:
        output: Path or URL of the executed copy.
        nb: The notebook that is executed; None until it begins.
        saved: The same as it was saved last, secrets masked.
        failure: What went wrong, once it has ended.
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
        """A RUNNING record of kind `retrain`.

        Raises:
            StoreError: It cannot be recorded.
        """
        path = Path(notebook)
        place = notebook if is_url(notebook) else str(path.absolute())
        record = store.create_run(
            path.stem,
            kind="retrain",
            notebook=place,
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
        """Says which cell runs now."""
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
        """Waits for detached runs that the notebook left behind: it is done when they are."""
        while any(self._is_under_way(child) for child in self._children()):
            time.sleep(_POLL_INTERVAL_S)

    def _is_under_way(self, child: RunRecord) -> bool:
        status = self._store.status_of(child)
        return status.is_live or status is RunStatus.QUEUED

    def _failed_run(self) -> str:
        """What went wrong in a detached run; empty when nothing did. Others raise in their cell."""
        for child in self._children():
            status = self._store.status_of(child)
            if child.config.get("detach") and status in (RunStatus.FAILED, RunStatus.LOST):
                return f"`{child.ref}` {status}" + (f": {child.message}" if child.message else "")
        return ""

    def end(self, error: BaseException | None) -> None:
        """Writes how it ended; harmless where that was written."""
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
        place = f"cell {self._cell}/{len(self.nb.cells)}" if self.nb is not None else "starting"
        head = f"{place} · {duration_text(time.monotonic() - self._began)}"
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
    """Where and how a cell failed; empty when none did, or there is no notebook."""
    for index, cell in enumerate(nb.cells if nb is not None else ()):
        errors = [output for output in cell.get("outputs", []) if output.get("output_type") == "error"]
        failed = [error for error in errors if not _is_exit(error)]
        count = cell.get("execution_count")
        place = f"cell {index + 1}" + (f" (In [{count}])" if count is not None else "")
        if failed:  # the last one says why: what it did to the cell's own code stands before it
            return f"{place}: {failed[-1].ename}" + (f": {failed[-1].evalue}" if failed[-1].evalue else "")
        if not errors and cell.get("metadata", {}).get("papermill", {}).get("exception") is True:
            return f"{place} failed"
    return ""


def describe_exit(nb: Any) -> str:
    """Which cell ended the notebook by `sys.exit(0)`; empty when none did, or there is no notebook."""
    for index, cell in enumerate(nb.cells if nb is not None else ()):
        errors = [output for output in cell.get("outputs", []) if output.get("output_type") == "error"]
        if errors and all(map(_is_exit, errors)):
            return f"`sys.exit` in cell {index + 1} of {len(nb.cells)}; those after it did not run"
    return ""


def _is_exit(error: Any) -> bool:
    """`sys.exit()` ends a notebook early, and well."""
    return error.get("ename") == "SystemExit" and error.get("evalue") in _DONE
