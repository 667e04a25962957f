"""Ends a worker whose parent has died: there is nothing left that records, or takes, what it does."""

from __future__ import annotations

import os
import threading
import time

_POLL_INTERVAL_S = 0.5


def end_with_parent() -> None:
    """From now on this process ends, with exit code 1, as soon as its parent has."""
    threading.Thread(target=_wait_for_end_of, args=(os.getppid(),), daemon=True).start()


def _wait_for_end_of(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_INTERVAL_S)
    os._exit(1)
