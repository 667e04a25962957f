"""Runs one trial in this process, as a run of the store, and returns how it ended."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_train.events import RunKind, TrialStatus
from jupyter_train.exceptions import JupyterTrainError, OptionError, TrainingInterrupted
from jupyter_train.execution import launcher
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.run import RunRecord, RunRole, RunStatus
from jupyter_train.store import RunFolder, RunWriter, Store
from jupyter_train.store.log_file import LogFile
from jupyter_train.store.redaction import error_summary, one_line
from jupyter_train.training.interrupt import AbortTraining
from jupyter_train.training.result import RunResult
from jupyter_train.training.run_observer import RunObserver, TrialMonitor
from jupyter_train.tuning.objectives import values_of
from jupyter_train.tuning.parameter_json import packed
from jupyter_train.tuning.trial_records import TrialRequest, TrialResult
from jupyter_train.tuning.trial_spec import TrialSpec
from jupyter_train.tuning.trial_timeout import GRACE_S, TrialTimeout


@dataclass
class TrialEnd:
    """A trial is over.

    Attributes:
        result: What is reported to Optuna.
        is_fatal: Whether every other trial would fail the same way.
        kind: What failed, and where: trials that fail alike have the same, whatever the message.
        is_late: Whether it took longer than it may.
        is_interrupted: Whether it was ended from outside before it was done; nothing is reported to Optuna then.
    """

    result: TrialResult
    is_fatal: bool = False
    kind: str = ""
    is_late: bool = False
    is_interrupted: bool = False


class _TrialObserver(RunObserver):
    """Passes a trial's values on to its search; remembers its run, and why it was pruned.

    Args:
        monitor: The search's.
        begun: Called with the key of the trial's run as soon as there is one.

    Attributes:
        run: The trial's run, once there is one.
        pruned: Why it was pruned; empty while it was not.
    """

    def __init__(self, monitor: TrialMonitor, begun: Callable[[str], None]) -> None:
        self._monitor = monitor
        self._begun = begun
        self.run: RunRecord | None = None
        self.pruned = ""

    def on_start(self, record: RunRecord, writer: RunWriter | None) -> None:
        """See `RunObserver`."""
        self.run = record
        self._begun(record.key)

    def reached(self, epoch: int, value: float) -> str:
        """See `TrialMonitor`."""
        self.pruned = self.pruned or self._monitor.reached(epoch, value)
        return self.pruned

    def keeps(self, value: float | None) -> bool:
        """See `TrialMonitor`: a pruned trial is not among the best."""
        return not self.pruned and self._monitor.keeps(value)


def run_trial(
    store: Store,
    plan: TrialSpec,
    request: TrialRequest,
    monitor: TrialMonitor,
    begun: Callable[[str], None] = lambda _run: None,
) -> TrialEnd:
    """Trains one trial; an error in it is its result as well.

    Args:
        store: Where its run is recorded.
        plan: What it is made of.
        request: Its number and values.
        monitor: Is notified of its values.
        begun: Called with the key of its run as soon as there is one.
    """
    began = time.monotonic()
    observer = _TrialObserver(monitor, begun)
    deadline = TrialTimeout(plan.config.trial_timeout)
    try:
        spec = _spec(plan, request)
        with deadline:
            result = launcher.launch_run(store, spec, lambda _config: (plan.build(request.params), plan.data), observer)
    except (TrainingInterrupted, KeyboardInterrupt, AbortTraining) as err:
        if deadline.message:
            return _late(observer.run or _failed_run(store, plan, request, err, deadline.message), deadline)
        if isinstance(err, AbortTraining):
            raise
        return TrialEnd(
            TrialResult(TrialStatus.FAIL, run=observer.run.key if observer.run else ""), is_interrupted=True
        )
    except Exception as err:  # noqa: BLE001  the user's model or data could not be made: this trial's result
        is_ours = isinstance(err, JupyterTrainError)
        message = one_line(str(err), 500) if is_ours else error_summary(err)
        run = observer.run or _failed_run(store, plan, request, err, message)
        return TrialEnd(
            TrialResult(TrialStatus.FAIL, run=run.key, message=message), isinstance(err, OptionError), kind_of(err)
        )
    if deadline.message and result.recorded.status is not RunStatus.FINISHED:
        return _late(result.recorded, deadline)
    duration_s = result.recorded.duration_s or time.monotonic() - began
    return _ended(store, plan, result, duration_s, observer.pruned)


def _spec(plan: TrialSpec, request: TrialRequest) -> RunSpec:
    """What a trial's run is requested to be."""
    config = plan.trial_config(request.params)
    config.name = config.name or plan.name
    config.keep_best = 1
    if request.number > plan.first:  # the first trial has shown that validation works; its random state is set apart
        config.trainer.setdefault("num_sanity_val_steps", 0)
    return RunSpec(
        config=config,
        role=RunRole.TRIAL,
        notebook=plan.notebook,
        parent=plan.study,
        recorded=_recorded(request),
        interrupt_timeout_s=GRACE_S,
    )


def _recorded(request: TrialRequest) -> dict[str, Any]:
    return {"trial": request.number, **packed(request.params)}


def _ended(store: Store, plan: TrialSpec, result: RunResult, duration_s: float, pruned: str) -> TrialEnd:
    run, error = result.recorded, result.error
    trial = TrialResult(TrialStatus.FAIL, run=run.key, message=run.message, duration_s=duration_s)
    if isinstance(error, TrainingInterrupted):
        return TrialEnd(trial, is_interrupted=True)
    if run.status is RunStatus.FINISHED:
        return _finished(store, plan, run, trial)
    if run.status is RunStatus.STOPPED:
        if run.summary.get("ended_with"):
            return TrialEnd(trial)  # `--on-nan stop`
        if isinstance(error, SystemExit):
            return TrialEnd(trial, kind=kind_of(error))
        trial.state = TrialStatus.PRUNED
        trial.message = pruned or "stopped by the user"
        return TrialEnd(trial)
    kind = kind_of(error) if error is not None else ""
    return TrialEnd(trial, isinstance(error, OptionError), kind)


def _late(record: RunRecord, deadline: TrialTimeout) -> TrialEnd:
    """A trial that took longer than it may; that several do says nothing of the others."""
    result = TrialResult(
        TrialStatus.FAIL, run=record.key, message=deadline.message, duration_s=record.duration_s or 0.0
    )
    return TrialEnd(result, is_late=True)


def kind_of(err: BaseException) -> str:
    """What failed, and where: the error's type, and the line that raised it."""
    while err.__cause__ is not None:
        err = err.__cause__
    frames = traceback.extract_tb(err.__traceback__)
    where = f" in {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(err).__name__}{where}"


def _finished(store: Store, plan: TrialSpec, record: RunRecord, result: TrialResult) -> TrialEnd:
    metrics = [metric for metric, _direction in plan.config.objectives]
    values = values_of(store, record, metrics)
    for metric in metrics:
        if metric not in values:
            logged = ", ".join(f"`{name}`" for name in sorted(record.summary.get("last", {})))
            result.message = f"`{metric}` was never logged. Logged are: {logged}"
            return TrialEnd(result, is_fatal=True)
        if math.isnan(values[metric]):
            result.message = f"`{metric}` is NaN"
            return TrialEnd(result)
    result.state, result.values, result.message = TrialStatus.COMPLETE, [values[metric] for metric in metrics], ""
    if best := record.summary.get("best"):
        result.notes = {"epoch": best["epoch"]}
    return TrialEnd(result)


def _failed_run(store: Store, plan: TrialSpec, request: TrialRequest, err: BaseException, message: str) -> RunRecord:
    """A run for a trial that failed before it had one, with its traceback in the log."""
    config = _recorded(request)
    record = store.create_run(plan.name, kind=RunKind.TRIAL, config=config, parent=plan.study, notebook=plan.notebook)
    log = LogFile(RunFolder(record.folder))
    log.append("".join(traceback.format_exception(err)))
    log.flush()
    store.set_status(record.key, RunStatus.FAILED, ended_at=time.time(), message=message)
    return record
