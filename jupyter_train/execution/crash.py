"""What a process that died leaves behind, and how that is told in one line."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from jupyter_train.store.masking import mask

_NAME = "crash.txt"
_REFUSED = "cannot go on: "
_MOST_LETTERS = 300
_PATIENCE_S = 3.0
_LOOK_S = 0.05


def crash_file(folder: Path) -> Path:
    """Where a run's processes write what they could not record."""
    return folder / _NAME


def words(code: int, folder: Path) -> str:
    """Why a process ended with this exit status, negative for a signal, and said nothing itself."""
    lines = _lines(folder)
    if code == -signal.SIGKILL and lines and lines[-1].startswith("rank "):
        return lines[-1][:_MOST_LETTERS]  # Lightning kills the first process when another one fails
    if code == -signal.SIGKILL:
        return (
            "its process was killed (SIGKILL); the system does that when memory runs out. Everything until then is kept"
        )
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"its process was ended by {name}"
    return f"its process ended with exit code {code}" + (f": {lines[-1][:_MOST_LETTERS]}" if lines else "")


def keep_refusal(folder: Path, text: str) -> None:
    """Keeps why a run could not go on, for the process that waits for it to."""
    with open(crash_file(folder), "a", encoding="utf-8") as file:
        file.write(f"{_REFUSED}{json.dumps(mask(text))}\n")


def refusal(code: int, folder: Path) -> str:
    """Why a process that should go on with a run did not."""
    for line in reversed(_lines(folder)):
        if line.startswith(_REFUSED):
            return str(json.loads(line.removeprefix(_REFUSED)))
    return words(code, folder)


def keep_rank(folder: Path, rank: str, text: str, line: str) -> None:
    """Keeps why a process that shares the training failed."""
    with open(crash_file(folder), "a", encoding="utf-8") as file:
        file.write(f"{mask(text)}\nrank {rank}: {mask(line)}\n")


def rank_words(folder: Path) -> str:
    """Why another process failed, once it has said so; empty when none does in a few seconds."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        for line in reversed(_lines(folder)):
            if line.startswith("rank "):
                return line[:_MOST_LETTERS]
        time.sleep(_LOOK_S)
    return ""


def _lines(folder: Path) -> list[str]:
    try:
        return crash_file(folder).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return []
