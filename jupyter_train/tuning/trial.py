"""Carries one trial out in this process, as a run of the store, and says how it ended."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_train.exceptions import JupyterTrainError, OptionError, TrainingInterrupted
from jupyter_train.execution import launcher
from jupyter_train.execution.job import Job, RunResult
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.log_file import LogFile
from jupyter_train.store.redaction import one_line
from jupyter_train.training.interrupt import AbortTraining
from jupyter_train.training.trial_monitor import TrialMonitor
from jupyter_train.tuning.objectives import values_of
from jupyter_train.tuning.parameter_json import packed
from jupyter_train.tuning.trial_records import TrialRequest, TrialResult
from jupyter_train.tuning.trial_spec import TrialSpec
from jupyter_train.tuning.trial_timeout import GRACE_S, TrialTimeout


@dataclass
class TrialEnd:
    """A trial is over.

    Attributes:
        told: What Optuna is told.
        is_fatal: Whether every other trial would fail the same way.
        kind: What failed, and where: trials that fail alike have the same, whatever the words.
        is_late: Whether it took longer than it may.
        is_interrupted: Whether somebody ended it from outside before it was done; Optuna is told nothing then.
    """

    told: TrialResult
    is_fatal: bool = False
    kind: str = ""
    is_late: bool = False
    is_interrupted: bool = False


class _RecordingMonitor:
    """A judge that remembers what it said."""

    def __init__(self, judge: TrialMonitor) -> None:
        self._judge = judge
        self.words = ""

    def reached(self, epoch: int, value: float) -> str:
        """See `TrialMonitor`."""
        self.words = self.words or self._judge.reached(epoch, value)
        return self.words

    def keeps(self, value: float | None) -> bool:
        """See `TrialMonitor`: a trial that was ended early is among the best of nothing."""
        return not self.words and self._judge.keeps(value)


def run_trial(
    store: Store,
    plan: TrialSpec,
    asked: TrialRequest,
    judge: TrialMonitor,
    begun: Callable[[str], None] = lambda _run: None,
) -> TrialEnd:
    """Trains one trial; whatever happens in it is its result.

    Args:
        store: Where its run is recorded.
        plan: What it is made of.
        asked: Its number and values.
        judge: Is told how it does.
        begun: Told the key of its run as soon as there is one.
    """
    began = time.monotonic()
    watched = _RecordingMonitor(judge)
    deadline = TrialTimeout(plan.config.trial_timeout)
    runs: list[RunRecord] = []

    def on_start(record: RunRecord, _writer: Any) -> None:
        runs.append(record)
        begun(record.key)

    try:
        job = _job(plan, asked, watched, on_start)
        with deadline:
            done = launcher.launch_run(store, job)
    except (TrainingInterrupted, KeyboardInterrupt, AbortTraining) as err:
        if deadline.words:
            return _late(runs[0] if runs else _failed_run(store, plan, asked, err, deadline.words), deadline)
        if isinstance(err, AbortTraining):
            raise
        return TrialEnd(TrialResult("fail", run=runs[0].key if runs else ""), is_interrupted=True)
    except Exception as err:  # noqa: BLE001  the user's model or data could not be made: this trial's result
        is_ours = isinstance(err, JupyterTrainError)
        message = one_line(str(err) if is_ours else traceback.format_exception_only(err)[-1], 500)
        run = runs[0] if runs else _failed_run(store, plan, asked, err, message)
        return TrialEnd(TrialResult("fail", run=run.key, message=message), isinstance(err, OptionError), kind_of(err))
    if deadline.words and done.record.status is not RunStatus.FINISHED:
        return _late(done.record, deadline)
    return _ended(store, plan, done, done.record.duration_s or time.monotonic() - began, watched.words)


def _job(plan: TrialSpec, asked: TrialRequest, judge: TrialMonitor, on_start: Callable[[RunRecord, Any], None]) -> Job:
    config = plan.trial_config(asked.params)
    config.name = config.name or plan.name
    config.keep_best = 1
    if asked.number > plan.first:  # the first trial has shown that validation works; its random state is set apart
        config.trainer.setdefault("num_sanity_val_steps", 0)
    return Job(
        config,
        lambda _config: (plan.build(asked.params), plan.data),
        plan.notebook,
        plan.study,
        on_start=on_start,
        kind="trial",
        recorded=_recorded(asked),
        judge=judge,
        patience_s=GRACE_S,
    )


def _recorded(asked: TrialRequest) -> dict[str, Any]:
    return {"trial": asked.number, **packed(asked.params)}


def _ended(store: Store, plan: TrialSpec, done: RunResult, duration_s: float, judged: str) -> TrialEnd:
    told = TrialResult("fail", run=done.record.key, message=done.record.message, duration_s=duration_s)
    if isinstance(done.error, TrainingInterrupted):
        return TrialEnd(told, is_interrupted=True)
    if done.record.status is RunStatus.FINISHED:
        return _finished(store, plan, done.record, told)
    if done.record.status is RunStatus.STOPPED:
        if done.record.summary.get("ended_with"):
            return TrialEnd(told)  # `--on-nan stop`
        if isinstance(done.error, SystemExit):
            return TrialEnd(told, kind=kind_of(done.error))
        told.state = "pruned"
        told.message = judged or "stopped by hand"
        return TrialEnd(told)
    kind = kind_of(done.error) if done.error is not None else ""
    return TrialEnd(told, isinstance(done.error, OptionError), kind)


def _late(record: RunRecord, deadline: TrialTimeout) -> TrialEnd:
    """A trial that took longer than it may; that several do says nothing of the others."""
    told = TrialResult("fail", run=record.key, message=deadline.words, duration_s=record.duration_s or 0.0)
    return TrialEnd(told, is_late=True)


def kind_of(err: BaseException) -> str:
    """What failed, and where: the error's type, and the line that raised it."""
    while err.__cause__ is not None:
        err = err.__cause__
    frames = traceback.extract_tb(err.__traceback__)
    where = f" in {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(err).__name__}{where}"


def _finished(store: Store, plan: TrialSpec, record: RunRecord, told: TrialResult) -> TrialEnd:
    metrics = [metric for metric, _direction in plan.config.objectives]
    found = values_of(store, record, metrics)
    for metric in metrics:
        if metric not in found:
            logged = ", ".join(f"`{name}`" for name in sorted(record.summary.get("last", {})))
            told.message = f"`{metric}` was never logged. Logged are: {logged}"
            return TrialEnd(told, is_fatal=True)
        if math.isnan(found[metric]):
            told.message = f"`{metric}` is NaN"
            return TrialEnd(told)
    told.state, told.values, told.message = "complete", [found[metric] for metric in metrics], ""
    if best := record.summary.get("best"):
        told.notes = {"epoch": best["epoch"]}
    return TrialEnd(told)


def _failed_run(store: Store, plan: TrialSpec, asked: TrialRequest, err: BaseException, message: str) -> RunRecord:
    """A run for a trial that failed before it had one, with its traceback in the log."""
    config = _recorded(asked)
    record = store.create_run(plan.name, kind="trial", config=config, parent=plan.study, notebook=plan.notebook)
    log = LogFile(RunFolder(record.folder))
    log.append("".join(traceback.format_exception(err)))
    log.flush()
    store.set_status(record.key, RunStatus.FAILED, ended_at=time.time(), message=message)
    return record
