"""A run that is being recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter
from jupyter_train.store.metrics.reader import Checkpoint


@dataclass
class Recording:
    """A running run, its folder and its writer."""

    store: Any
    key: str
    folder: RunFolder
    writer: RunWriter

    @property
    def summary(self) -> dict[str, Any]:
        """What was added to the run's summary."""
        return self.writer.current_summary()

    @property
    def events(self) -> list[str]:
        """Texts of the run's events."""
        assert self.writer.flush()
        return [event.text for event in self.store.events_of(self.key)]

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """What the store knows of checkpoints."""
        assert self.writer.flush()
        with MetricReader(self.folder.metrics) as reader:
            return list(reader.checkpoints())


@pytest.fixture
def recording(store) -> Iterator[Recording]:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    folder = RunFolder(record.folder)
    writer = RunWriter(store, record.key, folder)
    yield Recording(store, record.key, folder, writer)
    writer.close(RunStatus.STOPPED)
