"""Whether the system has killed processes here because memory ran out: it counts them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

_POLL_INTERVAL_S = 2.0


def count_kills(root: Path = Path("/")) -> int | None:
    """How many processes of this control group, else of this machine, were killed for memory; None if not counted.

    Args:
        root: Where `proc` and `sys` lie.
    """
    for path in _places(root):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, number = line.partition(" ")
            if name == "oom_kill" and number.strip().isdigit():
                return int(number)
    return None


class OomKills:
    """Whether the system has killed a process for memory just now.

    It says how many it killed, not whom: the shorter the time that is looked at, the less it can have been another.

    Args:
        root: Where `proc` and `sys` lie.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._last = self._before = count_kills(root)

    def look(self) -> None:
        """What was counted before the last look no longer counts; to be called every second or so."""
        self._before, self._last = self._last, count_kills(self._root)

    @property
    def are_more(self) -> bool:
        """Whether there are more than at the look before the last one."""
        now = count_kills(self._root)
        return self._before is not None and now is not None and now > self._before


def wait(process: subprocess.Popen[bytes]) -> tuple[int, bool]:
    """Waits for a process; its exit status, and whether the system killed a process for memory about when it ended."""
    kills = OomKills()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_INTERVAL_S), kills.are_more
        kills.look()


def _places(root: Path) -> Iterator[Path]:
    """Where it is counted, what is nearest to this process first."""
    groups = root / "sys" / "fs" / "cgroup"
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            yield groups / path.lstrip("/") / "memory.events"
        elif "memory" in controllers.split(","):
            yield groups / "memory" / path.lstrip("/") / "memory.oom_control"
    yield groups / "memory.events"  # in a container, whose own group is the root of what it sees
    yield groups / "memory" / "memory.oom_control"
    yield root / "proc" / "vmstat"
