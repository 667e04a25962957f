"""Carries several trials out at once, each in a process that has imported everything and loaded the data already."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jupyter_train.config.commands import command
from jupyter_train.exceptions import RunStateError, StoreError, StudyError
from jupyter_train.execution import crash, payload
from jupyter_train.execution.pickling import pickled
from jupyter_train.execution.starting import worker_environment
from jupyter_train.run import RunRecord
from jupyter_train.store import RunFolder, RunWriter, Store, commands
from jupyter_train.store.locations import STORE_VARIABLE
from jupyter_train.tuning.book import Asked, Told
from jupyter_train.tuning.carrying import Ended, carry_out
from jupyter_train.tuning.driver import Driver, say_lost
from jupyter_train.tuning.plan import Plan

THREADS_VARIABLE = "JUPYTER_TRAIN_TRIAL_THREADS"
_LOOK_S = 0.1
_END_PATIENCE_S = 10.0
#: Processes are started for a search that would take longer than this without them: each costs seconds to start.
_WORTH_S = 12.0
#: A trial that takes longer than this holds nobody up.
_LONG_TRIAL_S = 4.0
#: The first trials here take longer than those after them.
_LEARNT = 5


@dataclass
class _Trial:
    """A trial in the hands of a process."""

    asked: Asked
    run: str = ""
    tries: int = 1


@dataclass
class _Worker:
    """A process for one trial after the other; its messages come through the queue that all of them share."""

    index: int
    process: subprocess.Popen[bytes]
    trial: _Trial | None = None
    is_ready: bool = False
    is_asked_to_stop: bool = False

    def send(self, **message: Any) -> None:
        """One line; a process that is gone is noticed when its messages end."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()


_Message = tuple[_Worker, dict[str, Any] | None]


def carry_out_all(store: Store, plan: Plan, driver: Driver, record: RunRecord, writer: RunWriter) -> None:
    """Carries trials out until the study is over.

    Raises:
        UsageError: Model or data cannot be taken to another process.
        StudyError: The processes cannot be started.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if plan.config.parallel > cores:
        text = f"`--parallel {plan.config.parallel}` on {cores} cores: trials will wait for each other"
        writer.event("warning", text)
    threads = max(1, cores // plan.config.parallel)
    pool = _Pool(store, plan, record, threads)
    try:
        dealer = _Dealer(pool, driver, store, plan)
        with _threads(threads):
            dealer.begin()
        dealer.run()
    finally:
        pool.close()


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """This process computes with as many threads as each of the others: their results must not differ."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Pool:
    """The processes of a study."""

    def __init__(self, store: Store, plan: Plan, record: RunRecord, threads: int) -> None:
        self.messages: queue.Queue[_Message] = queue.Queue()
        self.workers: list[_Worker] = []
        self._folder = RunFolder(record.folder)
        self._study = record.key
        self._environment = {STORE_VARIABLE: store.url, THREADS_VARIABLE: str(threads)}
        self._sha256 = payload.write(self._folder, pickled({"plan": plan}, plan.config.yes))
        self._gpus = _gpus()
        self._most = plan.config.parallel
        self._lock = threading.Lock()
        self._is_started = False

    def start_all(self) -> None:
        """Starts all of them, once.

        Raises:
            StudyError: One cannot be started.
        """
        with self._lock:
            if self._is_started:
                return
            self._is_started = True
        for _ in range(self._most):
            self.start()

    @property
    def is_ready(self) -> bool:
        """Whether all of them wait for trials, or have one."""
        return len(self.workers) == self._most and all(worker.is_ready for worker in self.workers)

    def start(self) -> _Worker:
        """One more process.

        Raises:
            StudyError: It cannot be started.
        """
        index = len(self.workers)
        extra = dict(self._environment)
        if self._gpus:
            extra["CUDA_VISIBLE_DEVICES"] = self._gpus[index % len(self._gpus)]
        descriptor = os.open(crash.crash_file(self._folder.path), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_train.tuning.worker", self._study, self._sha256],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=descriptor,
                env=worker_environment() | extra, start_new_session=True,
            )  # fmt: skip
        except OSError as err:
            raise StudyError(f"a process for trials could not be started: {err.strerror or err}") from err
        finally:
            os.close(descriptor)
        worker = _Worker(index, process)
        self.workers.append(worker)
        threading.Thread(target=self._read, args=(worker,), name="jupyter_train trial", daemon=True).start()
        return worker

    def _read(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        for line in worker.process.stdout:
            with contextlib.suppress(ValueError):
                self.messages.put((worker, json.loads(line)))
        self.messages.put((worker, None))

    def words(self, worker: _Worker) -> str:
        """Why a process ended."""
        return crash.words(worker.process.wait(), self._folder.path)

    def close(self) -> None:
        """Ends the processes: an idle one leaves when nothing more can come, any other is killed."""
        for worker in self.workers:
            assert worker.process.stdin is not None
            with contextlib.suppress(OSError):
                worker.process.stdin.close()
        deadline = time.monotonic() + _END_PATIENCE_S
        for worker in self.workers:
            try:
                is_idle = worker.is_ready and worker.trial is None
                worker.process.wait(max(0.0, deadline - time.monotonic()) if is_idle else 0.0)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        payload.discard(self._folder)


class _Dealer:
    """Gives trials to processes and hears how they do."""

    def __init__(self, pool: _Pool, driver: Driver, store: Store, plan: Plan) -> None:
        self._pool = pool
        self._driver = driver
        self._store = store
        self._plan = plan
        self._here: Asked | None = None
        self._done_here = 0
        self._tries: dict[int, int] = {}

    def begin(self) -> None:
        """Carries trials out here until the processes have imported what they need, which takes seconds.

        They are not started for what is done in that time; a first trial that takes longer does not hold them up.
        """
        began = time.monotonic()
        while not self._pool.is_ready:
            self._driver.obey()
            if self._driver.is_over:
                return
            self._carry_out_one_here()
            self._done_here += 1
            left = self._driver.left
            each = (time.monotonic() - began) / self._done_here
            if left is None or (self._done_here >= _LEARNT and left * each > _WORTH_S):
                self._pool.start_all()

    def _carry_out_one_here(self) -> None:
        long_trial = threading.Timer(_LONG_TRIAL_S, self._pool.start_all)
        long_trial.daemon = True
        long_trial.start()
        self._here = self._driver.next()
        self._driver.tell_progress()
        try:
            ended = carry_out(self._store, self._plan, self._here, self)
        finally:
            long_trial.cancel()
        asked, self._here = self._here, None
        self._driver.ended(asked, ended)
        self._hear_what_waits()

    def reached(self, epoch: int, value: float) -> str:
        """See `Judge`: of the trial here; the others are heard meanwhile."""
        assert self._here is not None
        self._hear_what_waits()
        return self._driver.reached(self._here.number, epoch, value)

    def keeps(self, value: float | None) -> bool:
        """See `Judge`."""
        return self._driver.keeps(value)

    def _hear_what_waits(self) -> None:
        while True:
            try:
                self._take(*self._pool.messages.get_nowait())
            except queue.Empty:
                return

    def run(self) -> None:
        """Until the study is over and no trial runs any more."""
        if not self._driver.is_over:
            self._pool.start_all()
        for worker in list(self._pool.workers):
            if worker.trial is None:
                self._give(worker)
        while any(worker.trial is not None for worker in self._pool.workers):
            try:
                worker, message = self._pool.messages.get(timeout=_LOOK_S)
            except queue.Empty:
                self._look()
                continue
            self._take(worker, message)

    def _take(self, worker: _Worker, message: dict[str, Any] | None) -> None:
        if message is None:
            self._lost(worker)
        elif "ready" in message:
            worker.is_ready = True
            busy = sum(one.trial is not None for one in self._pool.workers) + (self._here is not None)
            if busy < self._plan.config.parallel:
                self._give(worker)
        else:
            self._hear(worker, message)

    def _look(self) -> None:
        self._driver.obey()
        if self._driver.is_over and self._driver.stopped:
            self._ask_all_to_stop()

    def _ask_all_to_stop(self) -> None:
        """Trials that do not validate soon are told through their runs."""
        for worker in self._pool.workers:
            if worker.trial is not None and worker.trial.run and not worker.is_asked_to_stop:
                worker.is_asked_to_stop = True
                with contextlib.suppress(StoreError, RunStateError):
                    commands.add(self._store, worker.trial.run, command("stop", {}, "python"))

    def _give(self, worker: _Worker) -> None:
        if worker.trial is not None:
            return
        self._driver.obey()
        if self._driver.is_over:
            return
        asked = self._driver.next()
        worker.trial, worker.is_asked_to_stop = _Trial(asked), False
        worker.send(trial=asked.number, params=asked.params)
        self._driver.tell_progress()

    def _hear(self, worker: _Worker, message: dict[str, Any]) -> None:
        trial = worker.trial
        if trial is None:
            return
        if "begun" in message:
            trial.run = message["begun"]
        elif "reached" in message:
            epoch, value = message["reached"]
            worker.send(answer=self._driver.reached(trial.asked.number, int(epoch), float(value)))
        elif "keeps" in message:
            worker.send(answer=self._driver.keeps(message["keeps"]))
        elif "ended" in message:
            ended = Ended(Told(**message["ended"]), message["fatal"], message["interrupted"])
            self._driver.ended(trial.asked, ended)
            worker.trial = None
            self._give(worker)

    def _lost(self, worker: _Worker) -> None:
        """A process has died: its trial is carried out once more by another one, then it has failed."""
        words = self._pool.words(worker)
        trial, worker.trial = worker.trial, None
        self._pool.workers.remove(worker)
        if trial is None:
            return
        number = trial.asked.number
        say_lost(self._store, trial.run, words)
        self._tries[number] = self._tries.get(number, 1) + 1
        if self._tries[number] > 2 or self._driver.stopped:
            self._driver.ended(trial.asked, Ended(Told("fail", run=trial.run, message=words)))
        else:
            self._driver.begin_again(trial.asked)
        if not self._driver.is_over:
            self._give(self._pool.start())


def _gpus() -> list[str]:
    """The GPUs that this process may use, as its children are told of them."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(index) for index in range(torch.cuda.device_count())]
