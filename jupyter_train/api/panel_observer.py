"""What the functions behind the magics follow a run with: its row, and its panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_train.panel.live import LivePanel
from jupyter_train.training.run_observer import RunObserver

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store import RunWriter, Store


class PanelObserver(RunObserver):
    """Notes the run as soon as it is recorded, and has its panel follow it.

    Args:
        store: Where it is recorded.
        panel: Its panel; None where it is quiet.
        goes_elsewhere: Whether it trains in a process of its own.

    Attributes:
        record: The run's row; None until it is recorded.
    """

    def __init__(self, store: Store, panel: LivePanel | None, goes_elsewhere: bool) -> None:
        self._store = store
        self._panel = panel
        self._goes_elsewhere = goes_elsewhere
        self.record: RunRecord | None = None

    def on_start(self, record: RunRecord, writer: RunWriter | None) -> None:
        """See `RunObserver`."""
        self.record = record
        if self._panel is not None and self._goes_elsewhere:
            self._panel.follow_elsewhere(self._store, record)
        elif self._panel is not None:
            self._panel.follow(self._store, record.key)
