"""A search in a process of its own, which outlives the kernel: its payload, and what runs it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import StudyError, TrainingInterrupted
from jupyter_train.execution.detached import LaunchedRun, keep_payload, start_process
from jupyter_train.execution.worker_main import OutputCapture
from jupyter_train.execution.workers import payload
from jupyter_train.execution.workers.pickling import pickled
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import Store, shared_arrays
from jupyter_train.store.paths import runs_home
from jupyter_train.store.redaction import error_summary
from jupyter_train.store.takeover import check_can_resume, own_queued
from jupyter_train.tuning.enqueue import check_enqueued
from jupyter_train.tuning.samplers import check_methods
from jupyter_train.tuning.search import check_same, create, search, study_record
from jupyter_train.tuning.search_spec import SearchSpec
from jupyter_train.tuning.warm_start import earlier_trials

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENTRY_POINT = "search"


def launch(store: Store, spec: SearchSpec) -> LaunchedRun:
    """Starts the search's process and gives its run at once.

    Raises:
        UsageError: Something does not fit, or cannot be taken to another process; no run was made.
        StudyError: The study cannot be resumed.
        StoreError: The process could not be started.
    """
    config = spec.plan.config
    check_methods(config, spec.constraints)
    check_enqueued(config)
    earlier_trials(store, config)
    if config.resume is not None:
        record = study_record(store, config.resume)
        check_can_resume(store, record)
        check_same(record, spec)
    content = pickled(
        {"plan": spec.plan, "suggest": spec.suggest, "constraints": spec.constraints, "parent": spec.parent},
        config.yes,
    )
    shared_arrays.check_room(runs_home(), content.size)
    if config.resume is None:
        record = create(store, spec)
    sha256 = keep_payload(store, record, content, _ENTRY_POINT)
    return start_process(store, record, sha256, config.notify, spec.observer.on_start)


def main(store: Store, record: RunRecord, own_payload: payload.Payload, changes: Mapping[str, Any]) -> int:
    """Searches, in the search's own process; gives the exit code: 0 however it ended, as long as that is recorded.

    Args:
        store: Where the study is recorded.
        record: Its run: new, or one to be resumed.
        own_payload: Its payload.
        changes: Options that differ from those of the payload.
    """
    lock = None
    if record.status is RunStatus.QUEUED and not changes:
        lock = own_queued(store, record)
    try:
        content = own_payload.content()
        plan = content["plan"]
        plan.config.resume = None if lock is not None else record.key
        for name in ("trials", "timeout"):
            if name in changes:
                setattr(plan.config, name, changes[name])
        spec = SearchSpec(
            plan,
            content["parent"],
            content["suggest"],
            content["constraints"],
            own_payload.sha256,
            observer=OutputCapture(),
        )
        ended = search(store, spec, (record, lock) if lock is not None else None)
    except (StudyError, TrainingInterrupted):
        return 0  # recorded with the study
    except Exception as err:
        if lock is not None and store.get(record.key).status is RunStatus.QUEUED:
            store.set_status(record.key, RunStatus.FAILED, record.attempt, message=error_summary(err))
        raise
    if ended.status is RunStatus.FINISHED:
        payload.discard_of(store, record)
    return 0
