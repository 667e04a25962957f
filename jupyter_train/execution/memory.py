"""Whether the system has killed processes here because memory ran out: it counts them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def count_kills(root: Path = Path("/")) -> int | None:
    """How many processes of this control group, else of this machine, were killed for memory; None if not told.

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


def has_killed(before: int | None) -> bool:
    """Whether the system has killed somebody for memory since it was counted last."""
    now = count_kills()
    return before is not None and now is not None and now > before


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
