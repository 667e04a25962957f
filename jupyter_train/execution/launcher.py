"""Decides where a run trains: in this process, or in one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_train.execution import cross_validation, detached, detached_fits, inline
from jupyter_train.execution.preparation import prepare
from jupyter_train.execution.run_spec import Build, RunSpec
from jupyter_train.store import Store
from jupyter_train.training.run_observer import RunObserver

if TYPE_CHECKING:
    from jupyter_train.training.result import RunResult
    from jupyter_train.training.run_observer import RunObserver


def launch_run(store: Store, spec: RunSpec, build: Build, observer: RunObserver | None = None) -> RunResult:
    """Trains and gives what is left; a detached run trains on after that. The error to raise is in the result.

    The random state of this process is as before.

    Args:
        store: Where it is recorded.
        spec: What was requested.
        build: Gives model and data.
        observer: Follows the run.

    Raises:
        JupyterTrainError: Model, data or options do not fit, or cannot be taken to another process; no run was made.
        TrainingInterrupted: The user pressed Interrupt twice.
    """
    from jupyter_train.training.state import seeds

    observer = observer or RunObserver()
    kernel_state = seeds.KernelRandomState()
    try:
        if cross_validation.is_repeated(spec.config) and spec.config.detach:
            return detached_fits.launch(store, spec, build, observer).result()
        if cross_validation.is_repeated(spec.config):
            return cross_validation.run_cross_validation(store, spec, build, observer)
        prepared = prepare(spec, build, store)
        if spec.config.detach:
            return detached.launch_detached(store, spec, prepared, observer).result()
        if prepared.world_size > 1:
            return detached.run_detached(store, spec, prepared, observer)
        return inline.run_inline(store, spec, prepared, observer)
    finally:
        kernel_state.restore()
