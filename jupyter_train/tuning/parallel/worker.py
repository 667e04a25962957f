"""A process that runs trials: `python -m jupyter_train.tuning.parallel.worker STUDY SHA256`.

It reads and writes lines of JSON.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
import sys
from typing import Any

from jupyter_train.execution.workers.parent_watch import end_with_parent
from jupyter_train.execution.workers.payload import Payload
from jupyter_train.store import open_store
from jupyter_train.store.redacted_output import mask_own_output
from jupyter_train.tuning.parallel.pool import THREADS_VARIABLE
from jupyter_train.tuning.parameter_json import unpacked
from jupyter_train.tuning.trial import run_trial
from jupyter_train.tuning.trial_records import TrialRequest


class Channel:
    """Lines to the dispatcher, and its answers."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)  # what is printed must not come between
        self._in = os.fdopen(os.dup(0), "rb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)

    def send(self, **message: object) -> None:
        """One line; without a dispatcher there is nothing left to do here."""
        try:
            self._out.write(json.dumps(message).encode() + b"\n")
        except OSError:
            os._exit(1)

    def next(self) -> dict[str, Any] | None:
        """The next line; None when no more will come."""
        line = self._in.readline()
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    def ask(self, **message: object) -> Any:
        """A question and its answer; without a dispatcher there is nothing left to do here."""
        self.send(**message)
        answer = self.next()
        if answer is None:
            os._exit(1)
        return answer["answer"]


class RemoteMonitor:
    """Monitors a trial for a scheduler in another process."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def reached(self, epoch: int, value: float) -> str:
        """See `TrialMonitor`."""
        return str(self._channel.ask(reached=[epoch, value]))

    def keeps(self, value: float | None) -> bool:
        """See `TrialMonitor`."""
        return bool(self._channel.ask(keeps=value))


def main(study: str, sha256: str) -> int:
    """Runs trials until the dispatcher has no more."""
    faulthandler.enable(file=os.dup(2))
    channel = Channel()
    mask_own_output()
    end_with_parent()
    store = open_store()
    import torch

    torch.set_num_threads(int(os.environ.get(THREADS_VARIABLE, "1")))
    payload = Payload(store, store.get(study), sha256)
    payload.enter()
    plan = payload.content()["plan"]
    plan.study = study
    monitor = RemoteMonitor(channel)
    channel.send(ready=True)
    while (message := channel.next()) is not None:
        request = TrialRequest(message["trial"], unpacked(message))
        ended = run_trial(store, plan, request, monitor, lambda run: channel.send(begun=run))
        channel.send(ended=dataclasses.asdict(ended))
        _let_go()
    return 0


def _let_go() -> None:
    """Memory of a trial that is over, on a device."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
