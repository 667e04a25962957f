"""Runs several trials at once, each in a process that has imported everything and loaded the data already."""

from __future__ import annotations

import contextlib
import queue
import time
from typing import TYPE_CHECKING, Any

from jupyter_train.config import machine
from jupyter_train.config.commands import command
from jupyter_train.events import EventKind, TrialStatus
from jupyter_train.exceptions import RunStateError, StoreError, StudyError
from jupyter_train.run import RunRecord
from jupyter_train.store import RunWriter, Store, commands
from jupyter_train.tuning.parallel.pool import AssignedTrial, Pool, Worker
from jupyter_train.tuning.parameter_json import packed
from jupyter_train.tuning.scheduler import Scheduler, record_lost
from jupyter_train.tuning.trial import TrialEnd
from jupyter_train.tuning.trial_records import TrialResult
from jupyter_train.tuning.trial_spec import TrialSpec
from jupyter_train.tuning.trial_timeout import GRACE_S, timeout_message

if TYPE_CHECKING:
    from jupyter_train.tuning.search_spec import SearchSpec

_POLL_INTERVAL_S = 0.1
#: How long a trial that is to end may take, in its own process, before that process is ended.
_TIMEOUT_S = 2 * GRACE_S


def run_trials_in_parallel(
    store: Store, spec: SearchSpec, scheduler: Scheduler, record: RunRecord, writer: RunWriter
) -> None:
    """Runs trials until the study is over, each in another process: one that ends its own ends no other.

    Raises:
        UsageError: Model or data cannot be taken to another process.
        StudyError: The processes cannot be started.
    """
    plan = spec.plan
    cores = machine.cores()
    if plan.config.parallel > cores:
        text = f"`--parallel {plan.config.parallel}` on {cores} cores: trials will wait for each other"
        writer.event(EventKind.WARNING, text)
    pool = Pool(store, plan, record, max(1, cores // plan.config.parallel), spec.payload)
    try:
        _Dispatcher(pool, scheduler, store, plan).run()
    finally:
        pool.close()


class _Dispatcher:
    """Gives trials to processes and receives their messages."""

    def __init__(self, pool: Pool, scheduler: Scheduler, store: Store, plan: TrialSpec) -> None:
        self._pool = pool
        self._scheduler = scheduler
        self._store = store
        self._plan = plan
        self._tries: dict[int, int] = {}
        self._never_ready = 0

    def run(self) -> None:
        """Until the study is over and no trial runs any more."""
        if not self._scheduler.is_over:
            self._pool.start_all()
        for worker in list(self._pool.workers):
            self._give(worker)
        looked_at = 0.0
        while any(worker.trial is not None for worker in self._pool.workers):
            with contextlib.suppress(queue.Empty):
                self._take(*self._pool.messages.get(timeout=_POLL_INTERVAL_S))
            if time.monotonic() > looked_at + _POLL_INTERVAL_S:
                looked_at = time.monotonic()
                self._look()

    def _take(self, worker: Worker, message: dict[str, Any] | None) -> None:
        if message is None:
            self._lost(worker)
        elif "ready" in message:
            worker.is_ready = True
            if worker.trial is not None:
                self._limit(worker.trial)
            self._give(worker)
        else:
            self._hear(worker, message)

    def _look(self) -> None:
        self._scheduler.apply_commands()
        if self._scheduler.is_over and self._scheduler.stopped:
            self._ask_all_to_stop()
        now = time.monotonic()
        for worker in self._pool.workers:
            if worker.trial is not None and now > worker.trial.until:
                worker.process.kill()

    def _ask_all_to_stop(self) -> None:
        """Stops running trials through their runs; one whose process still starts is given up."""
        for worker in list(self._pool.workers):
            if worker.trial is not None and not worker.is_ready:
                request, worker.trial = worker.trial.request, None
                self._scheduler.ended(
                    request, TrialEnd(TrialResult(TrialStatus.PRUNED))
                )  # it begins again with the study
            elif worker.trial is not None and worker.trial.run and not worker.trial.is_stop_requested:
                worker.trial.is_stop_requested = True
                worker.trial.until = min(worker.trial.until, time.monotonic() + _TIMEOUT_S)
                with contextlib.suppress(StoreError, RunStateError):
                    commands.add(self._store, worker.trial.run, command("stop", {}, "python"))

    def _give(self, worker: Worker) -> None:
        if worker.trial is not None:
            return
        self._scheduler.apply_commands()
        if self._scheduler.is_over:
            return
        request = self._scheduler.next()
        worker.trial = AssignedTrial(request)
        if worker.is_ready:
            self._limit(worker.trial)
        worker.send(trial=request.number, **packed(request.params))
        self._scheduler.record_progress()

    def _limit(self, trial: AssignedTrial) -> None:
        """From now on it has so long; it ends itself then, and its process is ended where it does not."""
        limit_s = self._plan.config.trial_timeout
        if limit_s is not None:
            trial.until = time.monotonic() + limit_s + _TIMEOUT_S

    def _hear(self, worker: Worker, message: dict[str, Any]) -> None:
        trial = worker.trial
        if trial is None:
            return
        if "begun" in message:
            trial.run = message["begun"]
            self._limit(trial)
            self._scheduler.begun(trial.request, trial.run)
        elif "reached" in message:
            epoch, value = message["reached"]
            worker.send(answer=self._scheduler.reached(trial.request.number, int(epoch), float(value)))
        elif "keeps" in message:
            worker.send(answer=self._scheduler.keeps(message["keeps"]))
        elif "ended" in message:
            ended = message["ended"]
            self._scheduler.ended(trial.request, TrialEnd(**{**ended, "result": TrialResult(**ended["result"])}))
            worker.trial = None
            self._give(worker)

    def _lost(self, worker: Worker) -> None:
        """A process has died: another one runs its trial once more, then the trial has failed."""
        message = self._pool.exit_message(worker)
        trial, worker.trial = worker.trial, None
        self._pool.workers.remove(worker)
        if trial is None:
            self._never_began(worker, message)
            return
        number = trial.request.number
        if time.monotonic() > trial.until:  # killed by `_look`: it came to no batch any more
            self._record_killed(trial)
            return
        record_lost(self._store, trial.run, message)
        self._tries[number] = self._tries.get(number, 1) + 1
        if self._tries[number] > 2 or self._scheduler.stopped:
            self._scheduler.ended(
                trial.request, TrialEnd(TrialResult(TrialStatus.FAIL, run=trial.run, message=message))
            )
        else:
            self._scheduler.begin_again(trial.request)
        if not self._scheduler.is_over:
            self._give(self._pool.start())

    def _record_killed(self, trial: AssignedTrial) -> None:
        """A trial that did not end when it was to: with the study, it begins again; else it took too long."""
        message = timeout_message(self._plan.config.trial_timeout) if not trial.is_stop_requested else "did not end"
        record_lost(self._store, trial.run, message)
        result = TrialResult(
            TrialStatus.PRUNED if trial.is_stop_requested else TrialStatus.FAIL, run=trial.run, message=message
        )
        self._scheduler.ended(trial.request, TrialEnd(result, is_late=True))
        if not self._scheduler.is_over:
            self._give(self._pool.start())

    def _never_began(self, worker: Worker, message: str) -> None:
        """A process has died without a trial: another one is tried, a few times."""
        if worker.is_ready or self._scheduler.is_over:
            return
        self._never_ready += 1
        if self._never_ready > self._plan.config.parallel:
            raise StudyError(f"a process for trials ended before its first one: {message}")
        self._pool.start()
