"""Chooses where a run is carried out: here, or in a process of its own."""

from __future__ import annotations

from jupyter_train.execution import detached, inline
from jupyter_train.execution.job import Job, RunResult, prepare
from jupyter_train.store import Store


def launch_run(store: Store, job: Job) -> RunResult:
    """Trains and gives what is left; a detached run trains on after that. The error to raise is in the result.

    The random state of this process is as before.

    Raises:
        JupyterTrainError: Model, data or options do not fit, or cannot be taken to another process; no run was made.
        TrainingInterrupted: The user pressed Interrupt twice.
    """
    from jupyter_train.execution import cross_validation, detached_fits
    from jupyter_train.training.state import seeds

    kernel_state = seeds.KernelRandomState()
    try:
        if cross_validation.is_repeated(job.config) and job.config.detach:
            return detached_fits.launch(store, job).done()
        if cross_validation.is_repeated(job.config):
            return cross_validation.run_cross_validation(store, job)
        prepared = prepare(job, store)
        if job.config.detach:
            return detached.launch_detached(store, job, prepared).done()
        if prepared.world_size > 1:
            return detached.run_detached(store, job, prepared)
        return inline.run_inline(store, job, prepared)
    finally:
        kernel_state.restore()
