"""A cross-validation in a process of its own: its payload, and what runs it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import JupyterTrainError
from jupyter_train.execution.cross_validation import create_cross_validation, run_cross_validation
from jupyter_train.execution.detached import LaunchedRun, keep_payload, start_process
from jupyter_train.execution.fit_specs import FitSpec, fit_specs_of, spec_of
from jupyter_train.execution.preparation import PreparedRun, prepare
from jupyter_train.execution.resume_fits import compared
from jupyter_train.execution.run_spec import Build, RunSpec, changed, spec_in
from jupyter_train.execution.worker_main import OutputCapture
from jupyter_train.execution.workers import crash_report, payload
from jupyter_train.execution.workers.pickling import pickled
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store, shared_arrays
from jupyter_train.store.paths import runs_home
from jupyter_train.store.redaction import error_summary
from jupyter_train.store.takeover import check_can_resume, own_queued
from jupyter_train.training.run_observer import RunObserver

if TYPE_CHECKING:
    from jupyter_train.config import TrainConfig

_ENTRY_POINT = "fits"


def launch(store: Store, spec: RunSpec, build: Build, observer: RunObserver) -> LaunchedRun:
    """Starts the process of several fits and gives their run at once.

    Raises:
        UsageError: Something does not fit, or cannot be taken to another process; no run was made.
        ChangedError: Model, data or options of a run to be resumed are others, and `--force` is not given.
        RunStateError: The run cannot be resumed.
        StoreError: The process could not be started.
    """
    parts = fit_specs_of(spec.config)
    first = prepare(spec_of(spec, parts[0], None), build)
    content = pickled(
        {
            "models": _models(build, parts, first),
            "data": first.data,
            "spec": spec,
        },
        spec.config.yes,
    )
    shared_arrays.check_room(runs_home(), content.size)
    if spec.config.resume is not None:
        record, _, _ = compared(store, spec, parts, first)
        check_can_resume(store, record)
    else:
        record = create_cross_validation(store, spec, first, goes_elsewhere=True)
    sha256 = keep_payload(store, record, content, _ENTRY_POINT)
    return start_process(store, record, sha256, spec.config.notify, observer.on_start)


def _models(build: Build, parts: Sequence[FitSpec], first: PreparedRun) -> list[Any]:
    """The model of every part, made under its seed as it would be here; of an object that is given, that alone."""
    from jupyter_train.training.model import unwrap_compiled
    from jupyter_train.training.state import seeds

    models = [first.model]
    for part in parts[1:]:
        seeds.seed_all(part.recorded["seed"])
        model = unwrap_compiled(build(part.config)[0])
        if model is first.model:
            return models
        models.append(model)
    return models


def main(store: Store, record: RunRecord, own_payload: payload.Payload, changes: Mapping[str, Any]) -> int:
    """Trains them, in their own process; returns the exit code: 0 however it ended, as long as that is recorded.

    Args:
        store: Where the run is recorded.
        record: Its run: new, or one to be resumed.
        own_payload: Its payload.
        changes: Options that differ from those of the payload.
    """
    lock = None
    if record.status is RunStatus.QUEUED and not changes:
        lock = own_queued(store, record)
    try:
        spec, build = _requested(own_payload.content(), changes, None if lock is not None else record.key)
        owned = (record, lock) if lock is not None else None
        result = run_cross_validation(store, spec, build, OutputCapture(), owned)
    except Exception as err:
        if lock is not None:
            store.end_run(record, RunStatus.FAILED, record.attempt, error_summary(err))
        elif isinstance(err, JupyterTrainError):
            crash_report.keep_refusal(RunFolder(record.folder).path, str(err))
        raise
    if result.status is RunStatus.FINISHED:
        payload.discard_of(store, record)
    return 0


def _requested(content: dict[str, Any], changes: Mapping[str, Any], resume: str | None) -> tuple[RunSpec, Build]:
    """What was requested, with changes, and what gives model and data of each fit."""
    spec = spec_in(content)
    spec.config = changed(spec.config, dict(changes)) if changes else spec.config
    spec.config.resume = resume
    models: list[Any] = content["models"]
    places = [part.place for part in fit_specs_of(spec.config)]

    def build(config: TrainConfig) -> tuple[Any, Any]:
        fold = config.fold.number if config.fold is not None else None
        index = places.index((fold, int(config.seed or 0)))
        return models[index if len(models) > 1 else 0], content["data"]

    return spec, build
