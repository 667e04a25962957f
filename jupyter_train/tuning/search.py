"""Carries a study out: its own run, and its trials one after the other here or several at once in processes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from jupyter_train.config.search_space import difference
from jupyter_train.exceptions import RunStateError, StudyError, TrainingInterrupted
from jupyter_train.execution.notify import notify
from jupyter_train.execution.run_spec import recorded_options
from jupyter_train.execution.workers import payload
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, RunWriter, Store
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.redaction import one_line
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.takeover import take_over
from jupyter_train.training.inspection.ineffective_options import without_effect
from jupyter_train.training.interrupt import AbortTraining, InterruptWatch
from jupyter_train.tuning.confirm import confirm
from jupyter_train.tuning.enqueue import check_enqueued
from jupyter_train.tuning.samplers import check_methods
from jupyter_train.tuning.scheduler import Scheduler
from jupyter_train.tuning.search_spec import SearchSpec
from jupyter_train.tuning.study_storage import StudyStorage
from jupyter_train.tuning.trial import run_trial
from jupyter_train.tuning.trial_records import TrialRequest
from jupyter_train.tuning.trial_spec import ModelFactory, TrialSpec
from jupyter_train.tuning.warm_start import JOURNAL, earlier_trials


def search(store: Store, asked: SearchSpec, made: tuple[RunRecord, RunLock] | None = None) -> RunRecord:
    """Searches, and gives the study's record as it is afterwards.

    Args:
        store: Where it is recorded.
        asked: What is searched.
        made: The study's run and its lock, where it has been recorded already and this process owns it.

    Raises:
        StudyError: It cannot go on, or every trial failed the same way.
        TrainingInterrupted: The user pressed Interrupt; the study can go on.
    """
    config = asked.plan.config
    check_methods(config, asked.constraints)
    queued = check_enqueued(config)
    known, asked.remarks = earlier_trials(store, config) if config.resume is None else ([], [])
    record, lock = _begun(store, asked, made)
    folder = RunFolder(record.folder)
    asked.plan.study = record.key
    asked.plan.name = record.name
    asked.plan.first = len(known)
    try:
        with InterruptWatch() as interrupt:
            book = StudyStorage(folder.path / JOURNAL, config, asked.suggest, asked.constraints)
            if not book.trials():  # else they are in it
                book.know(known)
                for params in queued:
                    book.enqueue(params)
            driver = _drive(store, asked, record, book, interrupt)
        book.close()
    finally:
        lock.release()
    interrupt.pass_on()
    if driver.failed:
        raise StudyError(f"`{record.ref}`: {driver.failed}")
    if driver.is_interrupted:
        raise TrainingInterrupted(f"`{record.ref}` was {driver.stopped}: add `--resume {record.ref}`")
    return store.get(record.key)


def create(store: Store, asked: SearchSpec) -> RunRecord:
    """A QUEUED run for a new study.

    Raises:
        StoreError: It cannot be recorded.
    """
    config = asked.plan.config
    return store.create_run(
        config.name or asked.plan.name,
        kind="tune",
        notebook=asked.plan.notebook,
        note=config.note or "",
        parent=asked.parent,
        tags=list(config.train.get("tag", [])),
        config=recorded_options(config) | _besides(asked),
    )


def _besides(asked: SearchSpec) -> dict[str, Any]:
    """What a study's row says of it that is no option."""
    found: dict[str, Any] = {"searched_options": asked.plan.options}
    if isinstance(asked.plan.model, ModelFactory):
        found["is_made"] = True  # by the class or function that is named
    if asked.constraints is not None:
        found["constraints"] = getattr(asked.constraints, "__name__", type(asked.constraints).__name__)
    return found


def _begun(store: Store, asked: SearchSpec, made: tuple[RunRecord, RunLock] | None) -> tuple[RunRecord, RunLock]:
    """The study's run, RUNNING and owned by this process: a new one, or the next attempt."""
    config = asked.plan.config
    if config.resume is None:
        record, lock = made or _owned(create(store, asked))
        now = time.time()
        begun = {"started_at": now, "heartbeat_at": now}
        store.set_status(record.key, RunStatus.RUNNING, record.attempt, RunStatus.QUEUED, **begun)
        return store.get(record.key), lock
    old = study_record(store, config.resume)
    check_same(old, asked)
    record, lock = take_over(store, old.key)
    changes: dict[str, Any] = {"config": old.config | {"trials": config.trials}}
    if record.payload and not asked.payload:  # what its own process was given is not what is searched here
        payload.discard(RunFolder(record.folder))
        changes["payload"] = ""
    store.update(record.key, record.attempt, **changes)
    return store.get(record.key), lock


def _owned(record: RunRecord) -> tuple[RunRecord, RunLock]:
    lock = RunLock(RunFolder(record.folder).lock)
    lock.acquire()
    return record, lock


def study_record(store: Store, word: str) -> RunRecord:
    """The study meant by a word.

    Raises:
        RunStateError: The run meant is no study.
        RunNotFoundError: None is meant.
    """
    record = store.find(word)
    if record.kind != "tune":
        raise RunStateError(f"`{record.ref}` is no study but a run; `%train --resume {record.ref}` goes on with it")
    return record


def check_same(old: RunRecord, asked: SearchSpec) -> None:
    """Raises when a study is to go on with another space, objective or seed, or without its constraints.

    Raises:
        StudyError: It is; the difference is shown.
    """
    config = asked.plan.config
    if (known := old.config.get("constraints")) and asked.constraints is None:
        raise StudyError(f"`{old.ref}` keeps to constraints, and none are given; add `constraints={known}`")
    new = config.to_json()
    before = {
        **old.config.get("space", {}),
        "objectives": old.config.get("objectives"),
        "seed": old.config.get("seed"),
        "sampler": old.config.get("sampler", "tpe"),
        "prune": old.config.get("prune", "asha"),
        "objective": old.config.get("objective", "best"),
        "warm_start": old.config.get("warm_start", []),
    }
    after = {
        **new["space"],
        "objectives": new["objectives"],
        "seed": new.get("seed"),
        "sampler": config.sampler,
        "prune": config.prune,
        "objective": config.objective,
        "warm_start": config.warm_start or before["warm_start"],
    }
    before |= _plain(old.config.get("train", {}))
    after |= _plain(new.get("train", {}))
    lines = difference(before, after)
    if lines:
        shown = "\n".join(f"  {line}" for line in lines)
        raise StudyError(
            f"`{old.ref}` searched something else:\n{shown}\nGo on with what it searched, or begin another study"
        )


def _remarks(plan: TrialSpec) -> list[str]:
    """What works otherwise than somebody might expect."""
    config = plan.config
    found = without_effect(plan.usual_config(), plan.data)
    every = config.train.get("check_val_every_n_epoch") or 1
    is_validated = config.objectives[0][0].startswith(("val", "valid", "dev"))
    if config.prune == "none" or not is_validated or every == 1 or {"cv", "seeds"} & config.train.keys():
        return found
    return [
        *found,
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


def _drive(
    store: Store, asked: SearchSpec, record: RunRecord, book: StudyStorage, interrupt: InterruptWatch
) -> Scheduler:
    plan = asked.plan
    folder = RunFolder(record.folder)
    writer = RunWriter(store, record.key, folder, None, record.attempt)
    mailbox = CommandChannel(store, record.key, folder, record.attempt)
    writer.at_every_flush(mailbox.exchange)
    status, message = RunStatus.FAILED, ""
    try:
        asked.observer.on_start(record, writer)
        for words in asked.remarks:
            writer.event("found", words)
        for remark in _remarks(plan):
            writer.event("warning", remark)
        driver = Scheduler(store, plan.config, book, folder, writer, mailbox, interrupt)
        if plan.config.parallel > 1:
            from jupyter_train.tuning.parallel.dispatcher import run_trials_in_parallel

            run_trials_in_parallel(store, asked, driver, record, writer)
        else:
            _run_trials_here(store, plan, driver)
        if plan.config.confirm and not (driver.stopped or driver.failed):
            confirm(store, plan, driver)
        driver.finish()
        status = RunStatus.FAILED if driver.failed else RunStatus.STOPPED if driver.stopped else RunStatus.FINISHED
        message = driver.failed or driver.stopped or book.words_of_constraints()
        return driver
    except AbortTraining:
        status, message = RunStatus.STOPPED, "interrupted twice; every finished trial is kept, and the study can go on"
        raise TrainingInterrupted(message) from None
    except BaseException as err:
        message = one_line(str(err), 500) or type(err).__name__
        raise
    finally:
        mailbox.close()
        writer.close(status, message)
        notify(store, record.key, plan.config.notify)


class _LocalMonitor:
    """Monitors a trial of this process."""

    def __init__(self, driver: Scheduler, asked: TrialRequest) -> None:
        self._driver = driver
        self._asked = asked

    def reached(self, epoch: int, value: float) -> str:
        """See `TrialMonitor`."""
        return self._driver.reached(self._asked.number, epoch, value)

    def keeps(self, value: float | None) -> bool:
        """See `TrialMonitor`."""
        return self._driver.keeps(value)


def _run_trials_here(store: Store, plan: TrialSpec, driver: Scheduler) -> None:
    while True:
        driver.obey()
        if driver.is_over:
            return
        asked = driver.next()
        driver.tell_progress()
        driver.ended(
            asked, run_trial(store, plan, asked, _LocalMonitor(driver, asked), partial(driver.begun_here, asked))
        )
