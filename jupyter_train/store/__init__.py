"""The run store: what training writes and everything else reads."""

from __future__ import annotations

from jupyter_train.store.central import Store, open_store
from jupyter_train.store.folder import RunFolder
from jupyter_train.store.metrics.reader import MetricReader
from jupyter_train.store.writer import RunWriter

__all__ = ["MetricReader", "RunFolder", "RunWriter", "Store", "open_store"]
