"""`RecordedRun`: what the store holds of a run, read on access."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.handle.attribute_hints import WithAttributeHints
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import MetricReader, RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_train.store import Store
    from jupyter_train.store.runs import Event


class RecordedRun(WithAttributeHints):
    """A run of the store, read only.

    Args:
        store: Where it is recorded.
        key: Its key.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key

    @property
    def record(self) -> RunRecord:
        """Its row in the store."""
        return self._store.get(self._key)

    @property
    def key(self) -> str:
        """UUIDv7."""
        return self._key

    @property
    def ref(self) -> str:
        """Its short name, such as `digits-k3f9`."""
        return self.record.ref

    @property
    def status(self) -> RunStatus:
        """Its status; LOST when its process is gone."""
        return self._store.status_of(self.record)

    @property
    def config(self) -> dict[str, Any]:
        """Options it was started with; `expressions` holds their typed text."""
        return self.record.config

    @property
    def folder(self) -> Path:
        """Its folder."""
        return Path(self.record.folder)

    @property
    def events(self) -> list[Event]:
        """Its events, oldest first."""
        return self._store.events_of(self._key)

    @property
    def provenance(self) -> dict[str, Any]:
        """Cells, environment, data fingerprint, initial state."""
        return RunFolder(self.record.folder).read_provenance()

    @property
    def log(self) -> str:
        """Lightning's messages during training and the output of a detached run; at least the newest 8 MB."""
        return RunFolder(self.record.folder).whole_log()

    @property
    def notes(self) -> str:
        """Free text kept with the run; assign to change it."""
        return self.record.note

    @notes.setter
    def notes(self, text: str) -> None:
        self._store.check_owner(self.record)
        self._store.update(self._key, note=str(text))

    @property
    def tags(self) -> list[str]:
        """Its tags (`--tag`)."""
        return list(self.record.tags)

    @property
    def metrics(self) -> pd.DataFrame:
        """Every recorded value: one row per step (index `step`), `epoch`, then one column per metric.

        Cells are NaN where a metric was not logged at that step, or where its file is damaged, with a warning.
        `run.metrics.to_csv(...)` and `.to_parquet(...)` write it.
        """
        import pandas as pd

        with MetricReader(RunFolder(self.record.folder).metrics) as reader:
            series = {name: reader.points(name) for name in reader.counts()}
            if reader.damage:
                warnings.warn(f"`{self.ref}`: {', '.join(reader.damage)} cannot be read: damaged", stacklevel=2)
        columns: dict[str, Any] = {"epoch": {p.step: p.epoch for points in series.values() for p in points}}
        for name, points in series.items():
            columns[name] = {point.step: point.value for point in points}
        return pd.DataFrame(columns).sort_index().rename_axis("step")

    @property
    def best(self) -> dict[str, Any] | None:
        """`metric`, `value`, `epoch` and `step` of the best epoch; None before the first."""
        best = self.record.summary.get("best")
        return dict(best) if isinstance(best, dict) else None

    @property
    def last(self) -> dict[str, float | None]:
        """The newest value of every metric; None for NaN."""
        return dict(self.record.summary.get("last", {}))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecordedRun) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)
