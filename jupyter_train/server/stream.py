"""A websocket that sends every run of the store, then what changes, while a page listens."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from jupyter_train.exceptions import StoreError
from jupyter_train.server.rows import RowChanges
from jupyter_train.store import open_store

_log = logging.getLogger(__name__)

_POLL_INTERVAL_S = 1.0
_MAX_ROWS_A_MESSAGE = 500


class RunStreamHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """`WS api/stream`: messages `{"runs": [...], "gone": [...]}`; what it is sent is ignored.

    They have a `message` as well where runs cannot be shown.
    """

    _feeding: asyncio.Task[None] | None = None
    _message = ""

    async def prepare(self) -> None:  # type: ignore[override,unused-ignore]
        """Lets in who is logged in, from a page of this server."""
        await super().prepare()
        if self.current_user is None or not self.check_origin():
            raise web.HTTPError(403)

    def open(self, *_arguments: object, **_options: object) -> None:
        """Begins to send."""
        super().open()
        self._feeding = asyncio.ensure_future(self._feed())

    def on_message(self, message: str | bytes) -> None:
        """Ignored: the page only listens."""

    def on_close(self) -> None:
        """Ends the sending."""
        if self._feeding is not None:
            self._feeding.cancel()

    async def _feed(self) -> None:
        changes = RowChanges(str(self.settings.get("server_root_dir", "")))
        with contextlib.suppress(WebSocketClosedError, asyncio.CancelledError):
            while True:
                await self._send_changes(changes)
                await asyncio.sleep(_POLL_INTERVAL_S)

    async def _send_changes(self, changes: RowChanges) -> None:
        loop = IOLoop.current()
        try:
            rows, gone = await loop.run_in_executor(None, lambda: changes.look(open_store()))
            while part := await loop.run_in_executor(None, lambda: [*itertools.islice(rows, _MAX_ROWS_A_MESSAGE)]):
                await self._send(changes, part, [])
        except StoreError as err:
            _log.debug("the run store cannot be read", exc_info=True)
            self._message = str(err)
            await self.write_message(json.dumps({"message": self._message}))
            return
        if gone or changes.message != self._message:
            await self._send(changes, [], gone)

    async def _send(self, changes: RowChanges, runs: list[dict[str, Any]], gone: list[str]) -> None:
        self._message = changes.message
        message = {"message": self._message} if self._message else {}
        await self.write_message(json.dumps({"runs": runs, "gone": gone, **message}))
