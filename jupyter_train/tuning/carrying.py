"""Carries one trial out in this process, as a run of the store, and says how it ended."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_train.exceptions import OptionError, TrainingInterrupted
from jupyter_train.execution import place
from jupyter_train.execution.job import Job
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.log_file import LogFile
from jupyter_train.store.masking import one_line
from jupyter_train.training.judge import Judge
from jupyter_train.tuning.book import Asked, Told
from jupyter_train.tuning.plan import Plan


@dataclass
class Ended:
    """A trial is over.

    Attributes:
        told: What Optuna is told.
        is_fatal: Whether every other trial would fail the same way.
        is_interrupted: Whether somebody ended it from outside before it was done; Optuna is told nothing then.
    """

    told: Told
    is_fatal: bool = False
    is_interrupted: bool = False


class _Watched:
    """A judge that remembers what it said."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.words = ""

    def reached(self, epoch: int, value: float) -> str:
        """See `Judge`."""
        self.words = self.words or self._judge.reached(epoch, value)
        return self.words

    def keeps(self, value: float | None) -> bool:
        """See `Judge`: a trial that was ended early is among the best of nothing."""
        return not self.words and self._judge.keeps(value)


def carry_out(
    store: Store, plan: Plan, asked: Asked, judge: Judge, begun: Callable[[str], None] = lambda _run: None
) -> Ended:
    """Trains one trial; whatever happens in it is its result.

    Args:
        store: Where its run is recorded.
        plan: What it is made of.
        asked: Its number and values.
        judge: Is told how it does.
        begun: Told the key of its run as soon as there is one.
    """
    began = time.monotonic()
    watched = _Watched(judge)
    runs: list[RunRecord] = []

    def on_start(record: RunRecord, _writer: Any) -> None:
        runs.append(record)
        begun(record.key)

    recorded = {"trial": asked.number, "params": asked.params}
    try:
        config = plan.trial_config(asked.params)
        config.name = config.name or plan.name
        config.keep_best = 1
        if asked.number > 0:  # the first trial has shown that validation works; its random state is set apart
            config.trainer.setdefault("num_sanity_val_steps", 0)
        job = Job(
            config, lambda _config: (plan.build(asked.params), plan.data), plan.notebook, plan.study,
            on_start=on_start, kind="trial", recorded=recorded, judge=watched,
        )  # fmt: skip
        done = place.carry_out(store, job)
    except (TrainingInterrupted, KeyboardInterrupt):
        return Ended(Told("fail", run=runs[0].key if runs else ""), is_interrupted=True)
    except Exception as err:  # noqa: BLE001  the user's model or data could not be made: this trial's result
        run = runs[0] if runs else _failed_run(store, plan, recorded, err)
        message = one_line(traceback.format_exception_only(err)[-1], 500)
        return Ended(Told("fail", run=run.key, message=message), isinstance(err, OptionError))
    duration_s = done.record.duration_s or time.monotonic() - began
    told = Told("fail", run=done.record.key, message=done.record.message, duration_s=duration_s)
    if isinstance(done.error, TrainingInterrupted):
        return Ended(told, is_interrupted=True)
    if done.record.status is RunStatus.FINISHED:
        return _finished(plan, done.record, told)
    if done.record.status is RunStatus.STOPPED:
        if done.record.summary.get("ended_with"):
            return Ended(told)  # `--on-nan stop`
        told.state = "pruned"
        told.message = watched.words or "stopped by hand"
        return Ended(told)
    return Ended(told, isinstance(done.error, OptionError))


def _finished(plan: Plan, record: RunRecord, told: Told) -> Ended:
    best, last = record.summary.get("best"), record.summary.get("last", {})
    values: list[float] = []
    for index, (metric, _direction) in enumerate(plan.config.objectives):
        is_first = index == 0 and len(plan.config.objectives) == 1
        value = best["value"] if is_first and best else last.get(metric)
        if metric not in last and not (is_first and best):
            told.message = f"`{metric}` was never logged. Logged are: {', '.join(f'`{name}`' for name in sorted(last))}"
            return Ended(told, is_fatal=True)
        if value is None or math.isnan(float(value)):
            told.message = f"`{metric}` is NaN"
            return Ended(told)
        values.append(float(value))
    told.state, told.values, told.message = "complete", values, ""
    if best:
        told.notes = {"epoch": best["epoch"]}
    return Ended(told)


def _failed_run(store: Store, plan: Plan, recorded: dict[str, Any], err: Exception) -> RunRecord:
    """A run for a trial that failed before it had one, with its traceback in the log."""
    record = store.create_run(plan.name, kind="trial", config=dict(recorded), parent=plan.study, notebook=plan.notebook)
    message = one_line(traceback.format_exception_only(err)[-1], 500)
    log = LogFile(RunFolder(record.folder))
    log.append("".join(traceback.format_exception(err)))
    log.flush()
    store.set_status(record.key, RunStatus.FAILED, ended_at=time.time(), message=message)
    return record
