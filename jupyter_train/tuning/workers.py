"""Carries several trials out at once, each in a process that has imported everything and loaded the data already."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_train.config import machine
from jupyter_train.config.commands import command
from jupyter_train.exceptions import RunStateError, StoreError, StudyError
from jupyter_train.execution.stem import STEM
from jupyter_train.run import RunRecord
from jupyter_train.store import RunWriter, Store, commands
from jupyter_train.tuning.book import Asked, Told
from jupyter_train.tuning.carrying import Ended, carry_out
from jupyter_train.tuning.driver import Driver, say_lost
from jupyter_train.tuning.plan import Plan
from jupyter_train.tuning.pool import Pool, Trial, Worker

if TYPE_CHECKING:
    from jupyter_train.tuning.search import Search

_LOOK_S = 0.1
#: Processes are started for a search that would take longer than this without them: they cost seconds to start.
_WORTH_S = 8.0
#: A trial that takes longer than this holds nobody up.
_LONG_TRIAL_S = 4.0
#: The first trials here take longer than those after them.
_LEARNT = 5


def carry_out_all(store: Store, asked: Search, driver: Driver, record: RunRecord, writer: RunWriter) -> None:
    """Carries trials out until the study is over.

    Raises:
        UsageError: Model or data cannot be taken to another process.
        StudyError: The processes cannot be started.
    """
    plan = asked.plan
    cores = machine.cores()
    if plan.config.parallel > cores:
        text = f"`--parallel {plan.config.parallel}` on {cores} cores: trials will wait for each other"
        writer.event("warning", text)
    threads = max(1, cores // plan.config.parallel)
    pool = Pool(store, plan, record, threads, asked.payload)
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


class _Dealer:
    """Gives trials to processes and hears how they do."""

    def __init__(self, pool: Pool, driver: Driver, store: Store, plan: Plan) -> None:
        self._pool = pool
        self._driver = driver
        self._store = store
        self._plan = plan
        self._here: Asked | None = None
        self._done_here = 0
        self._tries: dict[int, int] = {}
        self._never_ready = 0

    def begin(self) -> None:
        """Carries trials out here until the processes have imported what they need, which takes seconds.

        They are not started for what is done in that time; a first trial that takes longer does not hold them up.
        """
        began = time.monotonic()
        if STEM.is_warm:
            self._pool.start_all()
            return
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
            ended = carry_out(self._store, self._plan, self._here, self, partial(self._driver.begun_here, self._here))
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

    def _take(self, worker: Worker, message: dict[str, Any] | None) -> None:
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
        """Trials that do not validate soon are told through their runs; one whose process still starts is let go."""
        for worker in list(self._pool.workers):
            if worker.trial is not None and not worker.is_ready:
                asked, worker.trial = worker.trial.asked, None
                self._driver.ended(asked, Ended(Told("pruned")))  # it begins again with the study
            elif worker.trial is not None and worker.trial.run and not worker.is_asked_to_stop:
                worker.is_asked_to_stop = True
                with contextlib.suppress(StoreError, RunStateError):
                    commands.add(self._store, worker.trial.run, command("stop", {}, "python"))

    def _give(self, worker: Worker) -> None:
        if worker.trial is not None:
            return
        self._driver.obey()
        if self._driver.is_over:
            return
        asked = self._driver.next()
        worker.trial, worker.is_asked_to_stop = Trial(asked), False
        worker.send(trial=asked.number, params=asked.params)
        self._driver.tell_progress()

    def _hear(self, worker: Worker, message: dict[str, Any]) -> None:
        trial = worker.trial
        if trial is None:
            return
        if "begun" in message:
            trial.run = message["begun"]
            self._driver.begun(trial.asked, trial.run)
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

    def _lost(self, worker: Worker) -> None:
        """A process has died: its trial is carried out once more by another one, then it has failed."""
        words = self._pool.words(worker)
        trial, worker.trial = worker.trial, None
        self._pool.workers.remove(worker)
        if trial is None:
            self._never_began(worker, words)
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

    def _never_began(self, worker: Worker, words: str) -> None:
        """A process has died without a trial: another one is tried, a few times."""
        if worker.is_ready or self._driver.is_over:
            return
        self._never_ready += 1
        if self._never_ready > self._plan.config.parallel:
            raise StudyError(f"a process for trials ended before its first one: {words}")
        self._pool.start()
