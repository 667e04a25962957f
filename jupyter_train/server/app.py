"""The extension app: adds our routes to Jupyter Server."""

from __future__ import annotations

from jupyter_server.extension.application import ExtensionApp

from jupyter_train.server.handlers import routes


class JupyterTrainApp(ExtensionApp):
    """Serves the run store to JupyterLab."""

    name = "jupyter_train"

    def initialize_handlers(self) -> None:
        """Adds the routes; Jupyter Server puts its base URL before them."""
        self.handlers.extend(routes())
