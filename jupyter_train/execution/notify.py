"""Notifies a command or a URL that a run is over. Bounded in time; a failure is a line on the run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from typing import IO

import sqlalchemy as sa

from jupyter_train.config.notification import is_url, redacted_target
from jupyter_train.events import EventKind
from jupyter_train.exceptions import RunStateError, StoreError
from jupyter_train.execution.http_post import HttpPost
from jupyter_train.run import RunRecord
from jupyter_train.store import Store
from jupyter_train.store.environment_variables import variables
from jupyter_train.store.redacted_source import secrets_of_target
from jupyter_train.store.redaction import mask
from jupyter_train.store.runs import Event
from jupyter_train.store.text_columns import storable

#: From the look-up of a name to the last header, or to the end of a command.
_TIMEOUT_S = 10.0
_FAULTS = (StoreError, RunStateError, OSError, sa.exc.SQLAlchemyError)


def notify(store: Store, run: str, target: str | None) -> None:
    """Says how the run ended; what goes wrong is recorded with the run, takes ten seconds at most and harms nothing.

    Args:
        store: Where the run is recorded.
        run: Its key.
        target: An `http(s)://` URL, which is sent JSON, or a shell command, which finds the same on its standard
            input and in `JUPYTER_TRAIN_REF`, `_STATUS`, `_MESSAGE`; nothing is notified if None.
    """
    if not target:
        return
    with contextlib.suppress(*_FAULTS):  # nothing can be said where the store cannot be read or written
        problem = _send(store.get(run), target)
        text = mask(_event_text(target, problem), secrets_of_target(target))
        kind = EventKind.WARNING if problem else EventKind.NOTIFY
        store.add_events(run, [Event(time.time(), None, kind, text, {})])


def _event_text(target: str, problem: str) -> str:
    shown = redacted_target(target)
    if is_url(target):
        return f"could not notify {shown}: {problem}" if problem else f"notified {shown}"
    return f"the `--notify` command `{shown}` failed: {problem}" if problem else f"ran the `--notify` command `{shown}`"


def _send(record: RunRecord, target: str) -> str:
    """Why it could not be sent; empty when it was."""
    content = {
        "ref": record.ref,
        "key": record.key,
        "status": record.status.value,
        "message": record.message,
        "best": record.summary.get("best"),
        "duration_s": record.duration_s,
        "notebook": record.notebook,
    }
    body = json.dumps(content).encode()
    try:
        return HttpPost(target, body, _TIMEOUT_S).problem() if is_url(target) else _call(target, body, record)
    except Exception as err:  # noqa: BLE001  the run is over and recorded: whatever this is, it is no error of it
        return type(err).__name__  # its message may hold the target


def _call(command: str, body: bytes, record: RunRecord) -> str:
    named = {"REF": record.ref, "STATUS": record.status.value, "MESSAGE": record.message}
    environment = variables() | {f"JUPYTER_TRAIN_{name}": storable(value) for name, value in named.items()}
    with _scratch() as error:
        # a shell, as the user typed it in their own cell; what we add travels as input and environment only
        process = subprocess.Popen(
            command,
            shell=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=error,
            env=environment,
            start_new_session=True,
        )
        threading.Thread(target=_feed, args=(process.stdin, body), daemon=True).start()
        try:
            code = process.wait(_TIMEOUT_S)  # for the shell, not for what it left running
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"it did not end within {_TIMEOUT_S:g} s"
        error.seek(0)
        error_lines = error.read(1 << 16).decode("utf-8", "replace").strip().splitlines()
    return "" if code == 0 else f"exit code {code}{': ' + error_lines[-1][:160] if error_lines else ''}"


def _scratch() -> IO[bytes]:
    """Where a command may complain; nowhere on a full disk."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")


def _feed(stdin: IO[bytes], body: bytes) -> None:
    """Writes to a command that may not read its input, nor wait for its end."""
    with contextlib.suppress(OSError, ValueError), stdin:
        stdin.write(body)
