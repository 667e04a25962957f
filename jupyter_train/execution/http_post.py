"""A POST that is over in time, whatever the far end does; a redirect is no answer."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

from jupyter_train.config.notification import address, redacted_target


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is sent is for the address that was typed."""

    def redirect_request(self, *_: object) -> None:
        """Follows nothing: the answer becomes an `HTTPError`."""


class _OpenConnections:
    """Keeps the connections that a handler of `urllib` makes, so that they can be ended."""

    def __init__(self, connections: list[Any]) -> None:
        super().__init__()
        self._connections = connections

    def do_open(
        self, http_class: Callable[..., http.client.HTTPConnection], request: urllib.request.Request, **more: object
    ) -> http.client.HTTPResponse:
        """As `urllib` does."""

        def made(*arguments: object, **options: object) -> http.client.HTTPConnection:
            connection = http_class(*arguments, **options)
            self._connections.append(connection)
            return connection

        response: http.client.HTTPResponse = super().do_open(made, request, **more)  # type: ignore[misc]
        return response


class _Http(_OpenConnections, urllib.request.HTTPHandler):  # type: ignore[misc]
    """`http://`."""


class _Https(_OpenConnections, urllib.request.HTTPSHandler):  # type: ignore[misc]
    """`https://`."""


class HttpPost:
    """One POST, in a thread of its own: the look-up of a name cannot be ended from outside.

    Args:
        url: Where it goes.
        body: JSON.
        timeout_s: How long all of it may take.
    """

    def __init__(self, url: str, body: bytes, timeout_s: float) -> None:
        self._url = url
        self._body = body
        self._timeout_s = timeout_s
        self._connections: list[Any] = []
        self._problem = ""

    def problem(self) -> str:
        """Why it was not taken; empty when it was."""
        thread = threading.Thread(target=self._work, name="jupyter_train notify", daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if not thread.is_alive():
            return self._problem
        for connection in self._connections:
            self._end(connection)
        return self._no_answer

    @property
    def _no_answer(self) -> str:
        return f"no answer within {self._timeout_s:g} s"

    def _work(self) -> None:
        try:
            self._problem = self._post()
        except Exception as err:  # noqa: BLE001  reported by the thread that waits; its message may hold the URL
            self._problem = self._no_answer if _is_timeout(err) else _error_text(err)

    def _post(self) -> str:
        to = address(self._url)
        request = urllib.request.Request(to.url, self._body, to.headers)
        opener = urllib.request.build_opener(_NoRedirect, _Http(self._connections), _Https(self._connections))
        try:
            with opener.open(request, timeout=self._timeout_s):
                return ""
        except urllib.error.HTTPError as err:
            with err:
                location = err.headers.get("Location")
                if 300 <= err.code < 400 and location:
                    return f"it points to {redacted_target(urljoin(to.url, location))} ({err.code}); give that address"
                return f"{err.code} {http.client.responses.get(err.code, '')}".strip()

    @staticmethod
    def _end(connection: http.client.HTTPConnection) -> None:
        with contextlib.suppress(OSError):
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)


def _is_timeout(err: Exception) -> bool:
    """Whether the connection's own time was over, which may be noticed before the waiting thread's."""
    reason = getattr(err, "reason", err)
    return isinstance(reason, TimeoutError) and not reason.strerror


def _error_text(err: Exception) -> str:
    reason = getattr(err, "reason", err)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({reason.verify_message})"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__ if not isinstance(reason, str) else type(err).__name__
