"""The extension app: adds our routes to Jupyter Server, and keeps it awake while a run lives."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from jupyter_server.extension.application import ExtensionApp
from tornado.ioloop import IOLoop, PeriodicCallback

from jupyter_train.exceptions import StoreError
from jupyter_train.server.handlers import routes
from jupyter_train.store import open_store

_log = logging.getLogger(__name__)

#: How often live runs are looked for; idle cullers count in minutes.
_POLL_INTERVAL_S = 20.0
#: Jupyter Server's `last_activity` is the newest of all settings with this ending; hubs read it too.
ACTIVITY = "jupyter_train_last_activity"


class JupyterTrainApp(ExtensionApp):
    """Serves the run store to JupyterLab."""

    name = "jupyter_train"
    _looking: PeriodicCallback | None = None

    def initialize_handlers(self) -> None:
        """Adds the routes; Jupyter Server puts its base URL before them."""
        self.handlers.extend(routes())

    async def _start_jupyter_server_extension(self, serverapp: object) -> None:
        self._looking = PeriodicCallback(self.report_activity, _POLL_INTERVAL_S * 1000)
        self._looking.start()

    async def stop_extension(self) -> None:
        """Looks for runs no more."""
        if self._looking is not None:
            self._looking.stop()

    async def report_activity(self) -> None:
        """Says that the server is in use while a run of its store lives on this machine."""
        is_alive = await IOLoop.current().run_in_executor(None, _is_any_run_alive)
        if is_alive and self.serverapp is not None:
            self.serverapp.web_app.settings[ACTIVITY] = datetime.now(UTC)


def _is_any_run_alive() -> bool:
    try:
        return open_store().has_live_runs()
    except StoreError:
        _log.debug("the run store cannot be read", exc_info=True)
        return False
