"""What the forked processes of `test_fork_server` do."""

from __future__ import annotations

import os
import signal
import sys
import time


def main(what: str) -> int:
    """One line about itself; then as its argument says."""
    import torch

    torch.set_num_threads(2)
    total = float(torch.ones(512, 512).matmul(torch.ones(512, 512)).sum())  # hangs where a fork came after an operation
    print(os.getpid(), os.environ.get("SAID_LATER", ""), total, flush=True)
    if what == "fail":
        raise ValueError("it failed")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wait":
        for _line in sys.stdin:
            time.sleep(0)
    return 5


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
