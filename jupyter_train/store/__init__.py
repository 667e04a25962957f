"""The run store: what training writes and every view reads.

`Store` (runs.py) holds runs and events in the central database; `run_index` lists them, `commands` carries requests to
a run's owner. `RunFolder` (run_folder.py) is a run's folder, `RunWriter` (writer.py) records a live run into it, and
`MetricReader` (metrics/) reads its curves. `run_lock` and `takeover` say which process owns a run, `trust` which
folders may be unpickled, `redaction` and the `secret_*` modules keep secrets out.

Names are imported when first used: a panel says `loading` before SQLAlchemy is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_train.store.metrics.reader import MetricReader
    from jupyter_train.store.run_folder import RunFolder
    from jupyter_train.store.runs import Store, open_store
    from jupyter_train.store.writer import RunWriter

__all__ = ["MetricReader", "RunFolder", "RunWriter", "Store", "open_store"]

_HOMES = {
    "MetricReader": "metrics.reader",
    "RunFolder": "run_folder",
    "RunWriter": "writer",
    "Store": "runs",
    "open_store": "runs",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `jupyter_train.store` has no attribute `{name}`")
    import importlib

    return getattr(importlib.import_module(f"jupyter_train.store.{_HOMES[name]}"), name)
