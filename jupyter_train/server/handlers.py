"""REST routes over the run store. Every request needs the server's login."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado import web
from tornado.ioloop import IOLoop

from jupyter_train.exceptions import (
    CommandError,
    JupyterTrainError,
    QueryError,
    RunNotFoundError,
    RunStateError,
    StoreError,
)
from jupyter_train.server.rows import DAMAGE, below, rows_of
from jupyter_train.server.stream import RunStreamHandler
from jupyter_train.service import queries
from jupyter_train.store import open_store

_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)

_KEY = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_STEP = re.compile(r"^-?[0-9]{1,18}$")
_MAX_RUNS = 1000


class _Handler(APIHandler):
    """What all routes check first: that a request is from a page of this server, and that its body fits."""

    most_body_bytes = 4096

    @property
    def root(self) -> str:
        """The folder this server serves."""
        return str(self.settings.get("server_root_dir", ""))

    async def prepare(self) -> None:  # type: ignore[override,unused-ignore]
        """Refuses pages of another origin, and bodies that are too large."""
        try:
            await super().prepare()
        except web.HTTPError as err:
            if err.status_code != 404:
                raise
            raise web.HTTPError(403, "a request from a page of another origin") from err  # Jupyter's own is "not found"
        if len(self.request.body) > self.most_body_bytes:
            raise web.HTTPError(413, f"expected at most {self.most_body_bytes:,} bytes")

    def content(self) -> object:
        """What the body holds, as JSON.

        Raises:
            HTTPError: 415 where it is said to be something else, 400 where it cannot be read.
        """
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise web.HTTPError(415, "expected `Content-Type: application/json`")
        try:
            return json.loads(self.request.body)
        except (ValueError, RecursionError) as err:  # no JSON, a number of thousands of digits, lists in lists in lists
            raise web.HTTPError(400, "expected JSON") from err


class RunsHandler(_Handler):
    """`GET api/runs`: the newest runs."""

    @web.authenticated
    async def get(self) -> None:
        """A list of runs as `rows.row_of` describes them, and a `message` where some cannot be shown."""
        limit = self.get_query_argument("limit", "100")
        if not re.fullmatch(r"[0-9]{1,9}", limit) or not 1 <= int(limit) <= _MAX_RUNS:
            raise web.HTTPError(400, f"limit: expected 1 to {_MAX_RUNS}")
        self.finish(json.dumps(await _in_thread(_list, int(limit), self.root)))


class _RunHandler(_Handler):
    """What is below one run's key: a bad key is 400, a missing run 404, a run that does not allow it 409."""

    async def answer(self, key: str, work: Callable[..., Any], *arguments: object) -> None:
        """Sends what `work(key, *arguments)` gives, as JSON."""
        if not _KEY.match(key):
            raise web.HTTPError(400, "expected a run's key")
        try:
            content = await _in_thread(work, key, *arguments)
        except RunNotFoundError as err:
            raise web.HTTPError(404, "no such run") from err
        except (CommandError, QueryError) as err:
            raise web.HTTPError(400, str(err)) from err
        except RunStateError as err:
            self.set_status(409)
            content = {"message": str(err)}
        self.finish(json.dumps(content))


class RunHandler(_RunHandler):
    """`DELETE api/runs/KEY`: removes a run that is over, and its folder."""

    @web.authenticated
    async def delete(self, key: str) -> None:
        """409 with the reason when it is alive, or another user's."""
        await self.answer(key, _delete)


class QueryHandler(_RunHandler):
    """`GET api/runs/KEY/snapshot`, `curves?first=STEP&last=STEP` and `bundle`: what a panel draws."""

    @web.authenticated
    async def get(self, key: str) -> None:
        """The answer to the question that the path ends with."""
        name = self.request.path.rpartition("/")[2]
        steps = {word: int(text) for word, text in self._arguments().items() if _STEP.match(text)}
        await self.answer(key, queries.ask, name, steps)

    def _arguments(self) -> dict[str, str]:
        return {name: self.get_query_argument(name) for name in self.request.query_arguments}


class DetailsHandler(_RunHandler):
    """`api/runs/KEY/details`: what a panel shows as details; the note can be changed."""

    most_body_bytes = 65_536

    @web.authenticated
    async def get(self, key: str) -> None:
        """`events`, `log` (its end), `environment`, `config` and `note`."""
        await self.answer(key, _details, self.root)

    @web.authenticated
    async def patch(self, key: str) -> None:
        """Takes `{"note": text}`."""
        content = self.content()
        await self.answer(key, queries.ask, "note", content if isinstance(content, dict) else {})


class CommandsHandler(_RunHandler):
    """`POST api/runs/KEY/commands`: gives a command to a running fit."""

    @web.authenticated
    async def post(self, key: str) -> None:
        """Takes `{"verb": ..., "arguments": {...}}`; 202 with the answer, 409 with the reason it was refused."""
        content = self.content()
        if not isinstance(content, dict):
            raise web.HTTPError(400, "expected `verb` and `arguments`")
        self.set_status(202)
        await self.answer(key, queries.ask, "command", {**content, "command": content.get("verb")})


async def _in_thread(work: Callable[..., _Answer], *arguments: object) -> _Answer:
    try:
        return await IOLoop.current().run_in_executor(None, work, *arguments)
    except RunNotFoundError:
        raise
    except StoreError as err:
        raise web.HTTPError(503, str(err)) from err
    except JupyterTrainError:  # about the request, not about what is recorded
        raise
    except DAMAGE as err:  # what a damaged file says may be anything: the page gets that, the log the traceback
        _log.exception("a run cannot be shown")
        raise web.HTTPError(503, "what is recorded of this run is damaged; `jupyter train doctor` says more") from err


def _list(limit: int, root: str) -> dict[str, Any]:
    rows, message = rows_of(open_store(), limit, root)
    return {"runs": rows} | ({"message": message} if message else {})


def _details(key: str, root: str) -> dict[str, Any]:
    details: dict[str, Any] = queries.ask(key, "details", {})
    for link in details["links"]:
        if link["name"] == "notebook":
            link["path"] = below(link["text"], root)  # what the application can open
    return details


def _delete(key: str) -> dict[str, Any]:
    return {"message": "; ".join(["deleted", *open_store().delete_run(key)])}


def routes() -> list[tuple[str, type[JupyterHandler]]]:
    """Our routes, below the server's base URL."""
    return [
        (r"/jupyter-train/api/runs", RunsHandler),
        (r"/jupyter-train/api/stream", RunStreamHandler),
        (r"/jupyter-train/api/runs/([^/]+)", RunHandler),
        (r"/jupyter-train/api/runs/([^/]+)/snapshot", QueryHandler),
        (r"/jupyter-train/api/runs/([^/]+)/curves", QueryHandler),
        (r"/jupyter-train/api/runs/([^/]+)/bundle", QueryHandler),
        (r"/jupyter-train/api/runs/([^/]+)/commands", CommandsHandler),
        (r"/jupyter-train/api/runs/([^/]+)/details", DetailsHandler),
    ]
