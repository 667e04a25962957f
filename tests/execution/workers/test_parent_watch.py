"""A process that has no parent any more ends by itself."""

from __future__ import annotations

import subprocess
import sys

import psutil

from jupyter_train.execution.workers import parent_watch
from tests.waiting import until

CHILD = f"""
import os, time
from {parent_watch.__name__} import end_with_parent
end_with_parent()
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_it_ends_soon_after_its_parent_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        was_alive = is_alive(child)
        parent.kill()
    assert was_alive
    until(lambda: not is_alive(child), timeout_s=20)
