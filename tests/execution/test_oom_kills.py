"""A SIGKILL is reported as `memory ran out` only where the system counted that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_train.execution import oom_kills
from jupyter_train.execution.workers import crash_report

KILLED = """
import os, subprocess, sys
from jupyter_train.execution import oom_kills
before = oom_kills.OomKills()
done = subprocess.run([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
print(done.returncode, before.are_more)
done = subprocess.run([sys.executable, "-c", "x = bytearray(600_000_000)"])
print(done.returncode, before.are_more)
"""


def _group() -> Path | None:
    """A control group of this test's own with little memory; None where none can be made."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    parts = [line.split(":", 2) for line in lines]
    for _, kind, path in sorted(parts, key=lambda part: part[1], reverse=True):
        if kind not in ("", "memory"):
            continue
        group = Path("/sys/fs/cgroup", kind, path.lstrip("/"), f"jupyter-train-{os.getpid()}")
        limit = "memory.limit_in_bytes" if kind else "memory.max"
        try:
            group.mkdir()
            (group / limit).write_text("150000000")
        except OSError:
            continue
        return group
    return None


def test_a_process_killed_for_memory_is_distinguished_from_one_that_was_just_killed() -> None:
    group = _group() if sys.platform == "linux" else None
    if group is None:
        pytest.skip("no control group can be made here")
    enter = f"import os; open('{group}/cgroup.procs', 'w').write(str(os.getpid()))\n"
    try:
        done = subprocess.run([sys.executable, "-c", enter + KILLED], capture_output=True, text=True, timeout=60)
    finally:
        group.rmdir()
    assert done.stdout.split("\n")[:2] == [f"{-signal.SIGKILL} False", f"{-signal.SIGKILL} True"], done.stderr


TREES = {
    "a group of its own": {"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/memory.events": "oom 9\noom_kill 3"},
    "a container": {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.events": "low 0\noom_kill 3\n"},
    "the first version": {
        "proc/self/cgroup": "4:memory:/x\n0::/",
        "sys/fs/cgroup/memory/x/memory.oom_control": "under_oom 0\noom_kill 3",
    },
    "the whole machine": {"proc/vmstat": "nr_free_pages 1\noom_kill 3\n"},
    "nothing": {},
}


@pytest.mark.parametrize("where", TREES)
def test_kills_are_counted_where_the_system_counts_them(tmp_path: Path, where: str) -> None:
    for name, content in TREES[where].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert oom_kills.count_kills(tmp_path) == (None if where == "nothing" else 3)


def test_a_process_that_the_system_killed_long_before_is_another(tmp_path: Path) -> None:
    path = tmp_path / "proc" / "vmstat"
    path.parent.mkdir()
    path.write_text("oom_kill 3\n")
    kills = oom_kills.OomKills(tmp_path)
    path.write_text("oom_kill 4\n")
    assert kills.are_more
    kills.look()
    assert kills.are_more, "ours may have been killed just before, and not have ended yet"
    kills.look()
    assert not kills.are_more


def test_the_message_of_a_kill(tmp_path: Path) -> None:
    assert crash_report.exit_message(-9, tmp_path) == "its process was killed (SIGKILL); everything until then is kept"
    assert "(SIGKILL), as memory ran out; everything" in crash_report.exit_message(-9, tmp_path, is_for_memory=True)
