"""What a process that died leaves behind, and a line that says why it died."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import IO

from jupyter_train.store.private_files import open_to_append, open_to_read
from jupyter_train.store.redaction import mask

_NAME = "crash.txt"
_REFUSED = "cannot resume: "
_MAX_LETTERS = 300
_TIMEOUT_S = 3.0
_POLL_INTERVAL_S = 0.05


def open_crash_file(folder: Path) -> IO[bytes]:
    """Where a run's processes write what they could not record; a child may have its output there.

    Raises:
        OSError: It cannot be written.
    """
    return open_to_append(folder / _NAME, buffering=0)


def exit_message(code: int, folder: Path, is_for_memory: bool = False) -> str:
    """Why a process ended with this exit status, negative for a signal, and said nothing itself.

    Args:
        code: The exit status.
        folder: The run's folder.
        is_for_memory: Whether the system reports that it killed a process because memory ran out.
    """
    lines = _lines(folder)
    if code == -signal.SIGKILL and lines and lines[-1].startswith("rank "):
        return lines[-1][:_MAX_LETTERS]  # Lightning kills the first process when another one fails
    if code == -signal.SIGKILL:
        why = ", as memory ran out" if is_for_memory else ""
        return f"its process was killed (SIGKILL){why}; everything until then is kept"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"its process was ended by {name}"
    return f"its process ended with exit code {code}" + (f": {lines[-1][:_MAX_LETTERS]}" if lines else "")


def signal_of(code: int, folder: Path) -> int:
    """The signal that ended a process with this exit status; 0 for none. Python may exit by itself after a SIGINT."""
    lines = _lines(folder)
    if code == 1 and lines and lines[-1].startswith("KeyboardInterrupt"):
        return int(signal.SIGINT)
    return max(0, -code)


def keep_refusal(folder: Path, text: str) -> None:
    """Keeps why a run could not be resumed, for the process that waits for it."""
    with open_crash_file(folder) as file:
        file.write(f"{_REFUSED}{json.dumps(mask(text))}\n".encode())


def refusal(code: int, folder: Path) -> str:
    """Why a process that should resume a run did not."""
    for line in reversed(_lines(folder)):
        if line.startswith(_REFUSED):
            return str(json.loads(line.removeprefix(_REFUSED)))
    return exit_message(code, folder)


def keep_rank(folder: Path, rank: str, text: str, line: str) -> None:
    """Keeps why a process that shares the training failed."""
    with open_crash_file(folder) as file:
        file.write(f"{mask(text)}\nrank {rank}: {mask(line)}\n".encode("utf-8", "backslashreplace"))


def rank_message(folder: Path) -> str:
    """Why another process failed, once it has said so; empty when none does in a few seconds."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        for line in reversed(_lines(folder)):
            if line.startswith("rank "):
                return line[:_MAX_LETTERS]
        time.sleep(_POLL_INTERVAL_S)
    return ""


def _lines(folder: Path) -> list[str]:
    try:
        with open_to_read(folder / _NAME) as file:
            return file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return []
