"""Tells somebody that a run is over: a command of theirs, or a URL."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from jupyter_train.exceptions import RunNotFoundError, StoreError
from jupyter_train.run import RunRecord
from jupyter_train.store import Store
from jupyter_train.store.central import Event
from jupyter_train.store.masked_source import secrets_of_target
from jupyter_train.store.masking import mask

_PATIENCE_S = 10.0


def notify(store: Store, run: str, target: str | None) -> None:
    """Says how the run ended; what goes wrong is recorded with the run and harms nothing.

    Args:
        store: Where the run is recorded.
        run: Its key.
        target: An `http(s)://` URL, which is sent JSON, or a shell command, which finds the same on its standard
            input and in `JUPYTER_TRAIN_REF`, `_STATUS`, `_MESSAGE`; nobody is told if None.
    """
    if not target:
        return
    with contextlib.suppress(StoreError, RunNotFoundError):
        record = store.get(run)
        problem = _send(record, target)
        text = f"notified {shown(target)}" if not problem else f"could not notify {shown(target)}: {problem}"
        text = mask(text, secrets_of_target(target))
        store.add_events(run, [Event(time.time(), None, "notify" if not problem else "warning", text, {})])


def shown(target: str) -> str:
    """A target without what may be secret in it: the host of a URL, the first word of a command that sets nothing."""
    if _is_url(target):
        parts = urlsplit(target)
        return f"{parts.scheme}://{parts.hostname}/…"
    return next((word for word in target.split() if "=" not in word), "a command")


def _is_url(target: str) -> bool:
    return target.startswith(("http://", "https://"))


def _send(record: RunRecord, target: str) -> str:
    """Why it could not be sent; empty when it was."""
    said = {
        "ref": record.ref, "key": record.key, "status": record.status.value, "message": record.message,
        "best": record.summary.get("best"), "duration_s": record.duration_s, "notebook": record.notebook,
    }  # fmt: skip
    body = json.dumps(said).encode()
    return _post(target, body) if _is_url(target) else _call(target, body, record)


def _post(url: str, body: bytes) -> str:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S):
            return ""
    except (OSError, ValueError) as err:
        return str(getattr(err, "reason", err))[:200]


def _call(command: str, body: bytes, record: RunRecord) -> str:
    named = {"REF": record.ref, "STATUS": record.status.value, "MESSAGE": record.message}
    environment = os.environ | {f"JUPYTER_TRAIN_{name}": value for name, value in named.items()}
    try:
        # a shell, as the user typed it in their own cell; what we add travels as input and environment only
        done = subprocess.run(
            command, shell=True, input=body, env=environment, capture_output=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as err:
        return str(err)[:200]
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return "" if done.returncode == 0 else f"exit code {done.returncode}{': ' + said[-1][:160] if said else ''}"
