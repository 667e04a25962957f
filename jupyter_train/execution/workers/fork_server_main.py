"""The fork server: `python -m jupyter_train.execution.workers.fork_server_main SOCKET [MODULE ...]`.

What it is for is said in `fork_server.py`.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from jupyter_train.execution.workers.warm_worker import import_all

_TIMEOUT_S = 600.0
#: Threads of libraries that look after themselves when they are forked.
_HARMLESS = ("jemalloc_bg_thd",)
_FILES = 3


class _Socket:
    """Messages from the process that wants children, and answers to it."""

    def __init__(self, descriptor: int) -> None:
        self.socket = socket.socket(fileno=descriptor)

    def say(self, **message: object) -> None:
        """Writes one line; that its reader is gone is found out elsewhere."""
        with contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def next(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next message and the descriptors with it; None when no more will come."""
        numbers = array.array("i")
        head, data, _flags, _address = self.socket.recvmsg(4, socket.CMSG_LEN(_FILES * numbers.itemsize))
        for level, kind, content in data:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
        head += self._rest(4 - len(head)) if head else b""
        if len(head) < 4:
            return None
        length = int.from_bytes(head, "big")
        line = self._rest(length)
        return (json.loads(line), list(numbers)) if len(line) == length else None

    def _rest(self, length: int) -> bytes:
        received = b""
        while len(received) < length and (part := self.socket.recv(length - len(received))):
            received += part
        return received


class _Children:
    """Who was forked and still lives."""

    def __init__(self, line: _Socket) -> None:
        self._line = line
        self._numbers: dict[int, int] = {}

    def add(self, pid: int, number: int) -> None:
        """Adds a child, under the number of its request."""
        self._numbers[pid] = number
        self._line.say(began=number, pid=pid)

    def kill(self, number: int) -> None:
        """Ends one, if it still lives."""
        for pid, known in self._numbers.items():
            if known == number:
                os.kill(pid, signal.SIGKILL)  # not reaped, so that its number is still its own

    def reap(self) -> None:
        """Reports the children that have ended."""
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if (number := self._numbers.pop(pid, None)) is not None:
                self._line.say(ended=number, code=os.waitstatus_to_exitcode(status))

    def __bool__(self) -> bool:
        return bool(self._numbers)


class _Bell:
    """Rings when a child has ended."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._writing)

    def heard(self) -> None:
        """It is quiet again."""
        os.read(self.reading, 4096)

    def close(self) -> None:
        """A child hears nothing of its siblings."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self.reading)
        os.close(self._writing)


def serve(descriptor: int) -> dict[str, Any] | None:
    """Forks on request; returns, in a child, its job, and None when the socket is closed."""
    line = _Socket(descriptor)
    is_alone = _is_alone()
    line.say(warm=is_alone)
    if not is_alone:
        return None
    gc.collect()
    gc.freeze()  # children share what is there by now, as long as it is not written to
    children, bell = _Children(line), _Bell()
    wanted = line.socket.fileno()
    while True:
        ready = select.select([wanted, bell.reading], [], [], _TIMEOUT_S)[0]
        if not ready and not children:
            return None
        if bell.reading in ready:
            bell.heard()
            children.reap()
        if wanted not in ready:
            continue
        received = line.next()
        if received is None:
            os._exit(0)  # children notice that their parent has gone
        message, files = received
        if "kill" in message:
            children.kill(message["kill"])
        elif (pid := os.fork()) == 0:
            bell.close()
            line.socket.close()
            _stand_in(files, message["environment"])
            return message
        else:
            for number in files:
                os.close(number)
            children.add(pid, message["fork"])


def _stand_in(files: list[int], environment: dict[str, str]) -> None:
    """From now on the files and the environment of a process that was started for its job."""
    for target, number in enumerate(files):
        os.dup2(number, target)
        os.close(number)
    os.environ.clear()
    os.environ.update(environment)


def _is_alone() -> bool:
    """Whether this process has no thread that a fork would lose."""
    threads = list(Path("/proc/self/task").iterdir())
    names = [(thread / "comm").read_text().strip() for thread in threads]
    return len([name for name in names if name not in _HARMLESS]) == 1


def main(descriptor: str, *likely: str) -> int:
    """Imports, and serves until the socket is closed; a child runs its job and returns the exit code."""
    import_all(likely)
    job = serve(int(descriptor))
    if job is None:
        return 0
    try:
        return int(importlib.import_module(job["module"]).main(*job["arguments"]))
    except Exception:  # noqa: BLE001  printed on standard error, as Python does at its end
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
