"""A process that has imported everything and is forked, in milliseconds, into as many processes as are wanted.

It runs no torch operation, touches no device and has no second thread when it forks: a child forked after one torch
operation hangs in its first parallel region. Its children are of one session with it and end with it, as it ends with
the process that started it.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from jupyter_train.execution.workers.spawn import LIKELY, has_room, surroundings, worker_environment

#: Only where a process that has threads in its libraries may be forked safely.
_CAN_FORK = sys.platform == "linux"
_COMMAND = [sys.executable, "-m", "jupyter_train.execution.workers.fork_server_main"]
_LOST = -9  # the process that would know how a child ended has been killed, and its children with it


class Process(Protocol):
    """What is known of a process that was started."""

    def wait(self) -> int:
        """Its exit status, negative for a signal, once it has ended."""
        ...

    def kill(self) -> None:
        """Ends it at once."""
        ...


class Forked:
    """A child of the fork server."""

    def __init__(self, end: Callable[[Forked], None]) -> None:
        self.pid: int | None = None
        self._end = end
        self._code: int | None = None
        self._ended = threading.Event()

    def wait(self) -> int:
        """See `Process`."""
        self._ended.wait()
        assert self._code is not None
        return self._code

    def kill(self) -> None:
        """See `Process`."""
        self._end(self)

    def has_ended(self, code: int) -> None:
        """What the fork server reports of it."""
        self._code = code
        self._ended.set()


class ForkServer:
    """The process that is forked, for as long as it lives.

    Attributes:
        made_for: What it was started with that cannot be changed any more.
        is_warm: Set once it has imported everything.
        is_refused: Whether it found that it must not fork: something it imported has started threads.
    """

    def __init__(self, likely: list[str]) -> None:
        own_end, child_end = socket.socketpair()
        with child_end:
            self._process = subprocess.Popen(
                [*_COMMAND, str(child_end.fileno()), *likely],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[child_end.fileno()],
                start_new_session=True,
                env=worker_environment() | {"OPENBLAS_NUM_THREADS": "1"},
            )
        self.made_for = surroundings()
        self.is_warm = threading.Event()
        self.is_refused = False
        self._is_usable = True
        self._socket = own_end
        self._lock = threading.Lock()
        self._number = 0
        self._children: dict[int, Forked] = {}
        threading.Thread(target=self._hear, name="jupyter_train fork server", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether it can be forked."""
        return self._is_usable and self._process.poll() is None

    def fork(
        self, module: str, arguments: list[str], environment: dict[str, str], files: tuple[int, int, int]
    ) -> Forked:
        """Requests a child that calls `main(*arguments)` of a module; it comes once everything is imported.

        Args:
            module: Its name.
            arguments: What `main` is called with.
            environment: The child's.
            files: Its standard input, output and error; copies are sent.

        Raises:
            OSError: The fork server is gone.
        """
        with self._lock:
            self._number += 1
            number, child = self._number, Forked(self._kill)
            self._children[number] = child
            self._send({"fork": number, "module": module, "arguments": arguments, "environment": environment}, files)
        return child

    def _send(self, message: dict[str, Any], files: tuple[int, ...] = ()) -> None:
        line = json.dumps(message).encode()
        head = len(line).to_bytes(4, "big")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        self._socket.sendmsg([head], rights)
        self._socket.sendall(line)

    def _kill(self, child: Forked) -> None:
        with self._lock, contextlib.suppress(OSError):
            number = next((number for number, forked in self._children.items() if forked is child), None)
            if number is not None:
                self._send({"kill": number})
                if child.pid is None:  # it will not live for long, once it does
                    child.has_ended(_LOST)

    def _hear(self) -> None:
        with self._socket.makefile("rb") as lines, contextlib.suppress(OSError, ValueError):
            for line in lines:
                message = json.loads(line)
                if "warm" in message:
                    self.is_refused = not message["warm"]
                    self.is_warm.set()
                elif "began" in message:
                    self._children[message["began"]].pid = message["pid"]
                elif "ended" in message:
                    with self._lock:
                        child = self._children.pop(message["ended"])
                    child.has_ended(message["code"])
        self._is_usable = False
        self._process.wait()
        with self._lock:
            children, self._children = self._children, {}
        for child in children.values():
            child.has_ended(_LOST)

    def close(self) -> None:
        """Ends it and its children."""
        self._is_usable = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


class _CurrentServer:
    """This process's fork server, if it has one."""

    def __init__(self) -> None:
        self._server: ForkServer | None = None
        self._lock = threading.Lock()

    def get(self, *modules: str) -> ForkServer | None:
        """The fork server, started where there is none that fits; None where processes are not forked.

        Args:
            modules: What it imports besides, if it has to be started.
        """
        with self._lock:
            if not _CAN_FORK or (self._server is not None and self._server.is_refused):
                return None
            if self._server is not None and not (self._server.is_alive and self._server.made_for == surroundings()):
                self._server.close()
                self._server = None
            if self._server is None:
                self._server = ForkServer([*modules, *(name for name in LIKELY if name in sys.modules)])
                atexit.register(self._server.close)
            return self._server

    @property
    def is_warm(self) -> bool:
        """Whether one can be forked at once."""
        server = self._server
        return server is not None and server.is_alive and server.is_warm.is_set() and server.made_for == surroundings()

    def let_go(self) -> None:
        """Ends it where memory is short; else it stays for the next caller."""
        with self._lock:
            if self._server is not None and not has_room():
                self._server.close()
                self._server = None


#: This process's.
FORK_SERVER = _CurrentServer()


def start(module: str, arguments: list[str], extra: dict[str, str], error: int) -> tuple[Process, Any, Any]:
    """Starts a process that calls `main(*arguments)` of a module, forked where that can be.

    Args:
        module: Its name.
        arguments: What `main` is called with.
        extra: Environment variables to add.
        error: Descriptor of the file its standard error goes to.

    Returns:
        The process, a binary file to write to its standard input, and one to read its standard output.

    Raises:
        OSError: It could not be started.
    """
    environment = worker_environment() | extra
    server = FORK_SERVER.get(module)
    if server is None:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=error,
            env=environment,
            start_new_session=True,
        )
        return process, process.stdin, process.stdout
    child_in, own_out = os.pipe()
    own_in, child_out = os.pipe()
    try:
        forked = server.fork(module, arguments, environment, (child_in, child_out, error))
    except OSError:
        os.close(own_in)
        os.close(own_out)
        raise
    finally:
        os.close(child_in)
        os.close(child_out)
    return forked, os.fdopen(own_out, "wb"), os.fdopen(own_in, "rb")
