"""The processes of a study, and the lines they send."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from jupyter_train.exceptions import StudyError
from jupyter_train.execution.workers import crash_report, payload
from jupyter_train.execution.workers.fork_server import FORK_SERVER, Process, start
from jupyter_train.execution.workers.pickling import pickled
from jupyter_train.run import RunRecord
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.paths import STORE_VARIABLE
from jupyter_train.tuning.trial_records import TrialRequest
from jupyter_train.tuning.trial_spec import TrialSpec

THREADS_VARIABLE = "JUPYTER_TRAIN_TRIAL_THREADS"
_MODULE = "jupyter_train.tuning.parallel.worker"
_END_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 1.0


@dataclass
class AssignedTrial:
    """A trial that a process runs.

    Attributes:
        request: Its number and values.
        run: Key of its run; empty before it has one.
        until: When its process is ended, on the monotonic clock, if it has not ended by then.
    """

    request: TrialRequest
    run: str = ""
    until: float = math.inf
    is_stop_requested: bool = False


@dataclass
class Worker:
    """A process for one trial after the other; its messages come through the queue that all of them share."""

    index: int
    process: Process
    stdin: BinaryIO
    stdout: BinaryIO
    reader: threading.Thread = field(init=False)
    trial: AssignedTrial | None = None
    is_ready: bool = False

    def send(self, **message: object) -> None:
        """One line; a process that is gone is noticed when its messages end."""
        with contextlib.suppress(OSError, ValueError):
            self.stdin.write(json.dumps(message).encode() + b"\n")
            self.stdin.flush()


Message = tuple[Worker, dict[str, Any] | None]


class Pool:
    """The processes of a study.

    Args:
        store: Where runs are recorded.
        plan: What trials are made of.
        record: The study's run.
        threads: How many threads each computes with.
        sha256: Hash of the payload of the study's own process, which these read too; one is written if there is none.
    """

    def __init__(self, store: Store, plan: TrialSpec, record: RunRecord, threads: int, sha256: str = "") -> None:
        self.messages: queue.Queue[Message] = queue.Queue()
        self.workers: list[Worker] = []
        self._folder = RunFolder(record.folder)
        self._study = record.key
        self._environment = {STORE_VARIABLE: store.url, THREADS_VARIABLE: str(threads)}
        self._owns_payload = not sha256
        self._sha256 = sha256 or payload.write(self._folder, pickled({"plan": plan}, plan.config.yes))
        self._gpus = _gpus()
        self._most = plan.config.parallel

    def start_all(self) -> None:
        """Starts all of them.

        Raises:
            StudyError: One cannot be started.
        """
        for _ in range(self._most):
            self.start()

    def start(self) -> Worker:
        """One more process.

        Raises:
            StudyError: It cannot be started.
        """
        index = len(self.workers)
        extra = dict(self._environment)
        if self._gpus:
            extra["CUDA_VISIBLE_DEVICES"] = self._gpus[index % len(self._gpus)]
        try:
            with crash_report.open_crash_file(self._folder.path) as output:
                process, stdin, stdout = start(_MODULE, [self._study, self._sha256], extra, output.fileno())
        except OSError as err:
            raise StudyError(f"a process for trials could not be started: {err.strerror or err}") from err
        worker = Worker(index, process, stdin, stdout)
        self.workers.append(worker)
        worker.reader = threading.Thread(target=self._read, args=(worker,), name="jupyter_train trial", daemon=True)
        worker.reader.start()
        return worker

    def _read(self, worker: Worker) -> None:
        for line in worker.stdout:
            with contextlib.suppress(ValueError):
                self.messages.put((worker, json.loads(line)))
        self.messages.put((worker, None))

    def exit_message(self, worker: Worker) -> str:
        """Why a process ended."""
        return crash_report.exit_message(worker.process.wait(), self._folder.path)

    def close(self) -> None:
        """Ends the processes: an idle one leaves when nothing more can come, any other is killed."""
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.stdin.close()
        deadline = time.monotonic() + _END_TIMEOUT_S
        for worker in self.workers:
            is_idle = worker.is_ready and worker.trial is None
            worker.reader.join(max(0.0, deadline - time.monotonic()) if is_idle else 0.0)
            if worker.reader.is_alive():
                worker.process.kill()
            worker.process.wait()
            worker.reader.join(_READ_TIMEOUT_S)
        FORK_SERVER.let_go()
        if self._owns_payload:
            payload.discard(self._folder)


def _gpus() -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` of its children names them."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(index) for index in range(torch.cuda.device_count())]
