"""Runs a study: its own run, and its trials one after the other here or several at once in processes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from jupyter_train.config.search_space import difference
from jupyter_train.config.tune_options import tune_options
from jupyter_train.events import EventKind, RunKind
from jupyter_train.exceptions import RunStateError, StudyError, TrainingInterrupted
from jupyter_train.execution.notify import notify
from jupyter_train.execution.run_spec import recorded_options
from jupyter_train.execution.workers import payload
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, RunWriter, Store
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.redaction import one_line
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.takeover import own, take_over
from jupyter_train.training.inspection.ineffective_options import describe_ineffective_options
from jupyter_train.training.interrupt import AbortTraining, InterruptWatch
from jupyter_train.tuning.confirm import confirm
from jupyter_train.tuning.enqueue import check_enqueued
from jupyter_train.tuning.parallel.dispatcher import run_trials_in_parallel
from jupyter_train.tuning.samplers import check_methods
from jupyter_train.tuning.scheduler import Scheduler
from jupyter_train.tuning.search_spec import SearchSpec
from jupyter_train.tuning.study_storage import StudyStorage
from jupyter_train.tuning.trial import run_trial
from jupyter_train.tuning.trial_records import TrialRequest
from jupyter_train.tuning.trial_spec import ModelFactory, TrialSpec
from jupyter_train.tuning.warm_start import JOURNAL, earlier_trials


def search(store: Store, spec: SearchSpec, made: tuple[RunRecord, RunLock] | None = None) -> RunRecord:
    """Searches, and gives the study's record as it is afterwards.

    Args:
        store: Where it is recorded.
        spec: What is searched.
        made: The study's run and its lock, where it has been recorded already and this process owns it.

    Raises:
        StudyError: It cannot be resumed, or every trial failed the same way.
        TrainingInterrupted: The user pressed Interrupt; the study can be resumed.
    """
    config = spec.plan.config
    check_methods(config, spec.constraints)
    queued = check_enqueued(config)
    known, spec.remarks = earlier_trials(store, config) if config.resume is None else ([], [])
    record, lock = _begun(store, spec, made)
    folder = RunFolder(record.folder)
    spec.plan.study = record.key
    spec.plan.name = record.name
    spec.plan.first = len(known)
    try:
        with InterruptWatch() as interrupt:
            storage = StudyStorage(folder.path / JOURNAL, config, spec.suggest, spec.constraints)
            if not storage.trials():  # else they are in it
                storage.know(known)
                for params in queued:
                    storage.enqueue(params)
            scheduler = _run(store, spec, record, storage, interrupt)
        storage.close()
    finally:
        lock.release()
    interrupt.pass_on()
    if scheduler.failed:
        raise StudyError(f"`{record.ref}`: {scheduler.failed}")
    if scheduler.is_interrupted:
        raise TrainingInterrupted(f"`{record.ref}` was {scheduler.stopped}: add `--resume {record.ref}`")
    return store.get(record.key)


def create(store: Store, spec: SearchSpec) -> RunRecord:
    """A QUEUED run for a new study.

    Raises:
        StoreError: It cannot be recorded.
    """
    config = spec.plan.config
    return store.create_run(
        config.name or spec.plan.name,
        kind=RunKind.TUNE,
        notebook=spec.plan.notebook,
        note=config.note or "",
        parent=spec.parent,
        tags=list(config.train.get("tag", [])),
        config=recorded_options(config) | _extra_config(spec),
    )


def _extra_config(spec: SearchSpec) -> dict[str, Any]:
    """What a study's row records besides its options."""
    config: dict[str, Any] = {"searched_options": spec.plan.options}
    if isinstance(spec.plan.model, ModelFactory):
        config["is_made"] = True  # by the class or function that is named
    if spec.constraints is not None:
        config["constraints"] = getattr(spec.constraints, "__name__", type(spec.constraints).__name__)
    return config


def _begun(store: Store, spec: SearchSpec, made: tuple[RunRecord, RunLock] | None) -> tuple[RunRecord, RunLock]:
    """The study's run, RUNNING and owned by this process: a new one, or the next attempt."""
    config = spec.plan.config
    if config.resume is None:
        if made is None:
            record = create(store, spec)
            made = record, own(record)
        record, lock = made
        now = time.time()
        begun = {"started_at": now, "heartbeat_at": now}
        store.set_status(record.key, RunStatus.RUNNING, record.attempt, RunStatus.QUEUED, **begun)
        return store.get(record.key), lock
    old = study_record(store, config.resume)
    check_same(old, spec)
    record, lock = take_over(store, old.key)
    changes: dict[str, Any] = {"config": old.config | {"trials": config.trials}}
    if record.payload and not spec.payload:  # what its own process was given is not what is searched here
        payload.discard(RunFolder(record.folder))
        changes["payload"] = ""
    store.update(record.key, record.attempt, **changes)
    return store.get(record.key), lock


def study_record(store: Store, word: str) -> RunRecord:
    """The study meant by a word.

    Raises:
        RunStateError: The run meant is no study.
        RunNotFoundError: None is meant.
    """
    record = store.find(word)
    if record.kind != RunKind.TUNE:
        raise RunStateError(f"`{record.ref}` is no study but a run; `%train --resume {record.ref}` resumes it")
    return record


#: Compared as pairs of metric and direction.
_OBJECTIVES = ("maximize", "minimize")


def check_same(old: RunRecord, spec: SearchSpec) -> None:
    """Raises when a study is to be resumed with another space, objective or seed, or without its constraints.

    Raises:
        StudyError: It is; the difference is shown.
    """
    config = spec.plan.config
    if (known := old.config.get("constraints")) and spec.constraints is None:
        raise StudyError(f"`{old.ref}` keeps to constraints, and none are given; add `constraints={known}`")
    new = config.to_json()
    compared = [option for option in tune_options() if option.affects_weights and option.name not in _OBJECTIVES]
    before = {
        **old.config.get("space", {}),
        "objectives": old.config.get("objectives"),
        **{option.name: old.config.get(option.name, option.default) for option in compared},
    }
    after = {
        **new["space"],
        "objectives": new["objectives"],
        **{option.name: getattr(config, option.name) for option in compared},
    }
    after["warm_start"] = config.warm_start or before["warm_start"]
    before |= _plain(old.config.get("train", {}))
    after |= _plain(new.get("train", {}))
    lines = difference(before, after)
    if lines:
        shown = "\n".join(f"  {line}" for line in lines)
        raise StudyError(
            f"`{old.ref}` searched something else:\n{shown}\nResume it with what it searched, or begin another study"
        )


def _remarks(plan: TrialSpec) -> list[str]:
    """Warnings about options that work otherwise than may be expected."""
    config = plan.config
    remarks = describe_ineffective_options(plan.usual_config(), plan.data)
    every = config.train.get("check_val_every_n_epoch") or 1
    is_validated = config.objectives[0][0].startswith(("val", "valid", "dev"))
    if config.prune == "none" or not is_validated or every == 1 or {"cv", "seeds"} & config.train.keys():
        return remarks
    return [
        *remarks,
        f"a trial has a value every {every} epochs only (`--check-val-every-n-epoch {every}`), so `--prune "
        f"{config.prune}` can end it no sooner; with `--prune none` none is ended",
    ]


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the trials, as they are typed; objects are not compared."""
    return {
        f"--{name.replace('_', '-')}": value
        for name, value in options.items()
        if isinstance(value, bool | int | float) or (isinstance(value, str) and " at 0x" not in value)
    }


def _run(
    store: Store, spec: SearchSpec, record: RunRecord, storage: StudyStorage, interrupt: InterruptWatch
) -> Scheduler:
    plan = spec.plan
    folder = RunFolder(record.folder)
    writer = RunWriter(store, record.key, folder, None, record.attempt)
    channel = CommandChannel(store, record.key, folder, record.attempt)
    writer.at_every_flush(channel.exchange)
    status, message = RunStatus.FAILED, ""
    try:
        spec.observer.on_start(record, writer)
        for remark in spec.remarks:
            writer.event(EventKind.FOUND, remark)
        for warning in _remarks(plan):
            writer.event(EventKind.WARNING, warning)
        scheduler = Scheduler(store, plan.config, storage, folder, writer, channel, interrupt)
        if plan.config.parallel > 1:
            run_trials_in_parallel(store, spec, scheduler, record, writer)
        else:
            _run_trials_here(store, plan, scheduler)
        if plan.config.confirm and not (scheduler.stopped or scheduler.failed):
            confirm(store, plan, scheduler)
        scheduler.finish()
        status = (
            RunStatus.FAILED if scheduler.failed else RunStatus.STOPPED if scheduler.stopped else RunStatus.FINISHED
        )
        message = scheduler.failed or scheduler.stopped or storage.constraints_message()
        return scheduler
    except AbortTraining:
        status, message = (
            RunStatus.STOPPED,
            "interrupted twice; every finished trial is kept, and the study can be resumed",
        )
        raise TrainingInterrupted(message) from None
    except BaseException as err:
        message = one_line(str(err), 500) or type(err).__name__
        raise
    finally:
        channel.close()
        writer.close(status, message)
        notify(store, record.key, plan.config.notify)


class _LocalMonitor:
    """Monitors a trial of this process."""

    def __init__(self, scheduler: Scheduler, request: TrialRequest) -> None:
        self._scheduler = scheduler
        self._request = request

    def reached(self, epoch: int, value: float) -> str:
        """See `TrialMonitor`."""
        return self._scheduler.reached(self._request.number, epoch, value)

    def keeps(self, value: float | None) -> bool:
        """See `TrialMonitor`."""
        return self._scheduler.keeps(value)


def _run_trials_here(store: Store, plan: TrialSpec, scheduler: Scheduler) -> None:
    while True:
        scheduler.apply_commands()
        if scheduler.is_over:
            return
        request = scheduler.next()
        scheduler.record_progress()
        scheduler.ended(
            request,
            run_trial(store, plan, request, _LocalMonitor(scheduler, request), partial(scheduler.begun_here, request)),
        )
