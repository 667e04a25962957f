"""Redirects Lightning's messages, and warnings, from the cell to the run's log."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator

from jupyter_train.store.redaction import one_line

_LOGGERS = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric")
#: Lightning's own advice: only in the log, not in the panel.
_MINOR_CATEGORIES = ("PossibleUserWarning", "DeprecationWarning", "PendingDeprecationWarning", "FutureWarning")


@contextlib.contextmanager
def capture_lightning_output(log: Callable[[str], None], warn: Callable[[str], None]) -> Iterator[None]:
    """While entered, Lightning's messages and all warnings go to `log`; warnings of user code also to `warn`, once."""
    handler = _LogHandler(log)
    saved = []
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        saved.append((logger, logger.handlers, logger.propagate, logger.level))
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    shown = warnings.showwarning
    warnings.showwarning = _warning_writer(log, warn)
    try:
        yield
    finally:
        warnings.showwarning = shown
        for logger, handlers, propagate, level in saved:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


class _LogHandler(logging.Handler):
    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log(record.getMessage())


def _warning_writer(log: Callable[[str], None], warn: Callable[[str], None]) -> Callable[..., None]:
    reported: set[str] = set()

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
        text = str(message)
        log(f"{category.__name__}: {text} ({filename}:{lineno})")
        is_minor = category.__name__ in _MINOR_CATEGORIES or "pytorch_lightning" in filename
        if not is_minor and text not in reported:
            reported.add(text)
            warn(one_line(text.strip().partition("\n")[0], 300) or category.__name__)

    return show
