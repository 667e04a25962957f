"""Starts workers: from the second one on, a process that has torch imported already and waited for a job.

Such a process is no fork: it runs no torch operation and touches no device before it has its job, and it is a session
of its own from the beginning, so that it outlives the kernel like any other worker.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from jupyter_train.execution.workers.crash_report import open_crash_file
from jupyter_train.store.environment_variables import variables

#: Set, by the process that owns a run, to the run's key for those that Lightning starts to share the work.
OWNED_VARIABLE = "JUPYTER_TRAIN_OWNED_RUN"
#: Options, as JSON, that are others than those of the payload: another attempt at a run.
CHANGES_VARIABLE = "JUPYTER_TRAIN_CHANGED_OPTIONS"
#: Set for a run that is queued: one that was stopped meanwhile must not be resumed instead.
QUEUED_VARIABLE = "JUPYTER_TRAIN_QUEUED_RUN"
#: What a worker is started with instead of a run while there is none.
STAND_BY = "--stand-by"
_COMMAND = [sys.executable, "-m", "jupyter_train.execution.worker_main"]
#: Read while torch is imported; a process that was started with others is of no use.
_READ_AT_IMPORT = ("OMP_", "MKL_", "CUDA_", "PYTORCH_", "TORCH_", "NCCL_", "KMP_", "OPENBLAS_", "LD_", "PYTHONPATH")
#: Set by scikit-learn and Lightning once they are imported; a process that imported torch before that is as good.
_OF_NO_MATTER = ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "PYTORCH_NVML_BASED_CUDA_CHECK")
_PACKAGES = ("torch", "pytorch-lightning", "jupyter-train")
#: Imported in advance too where this process has them: unpickling models and data needs them more often than not.
LIKELY = ("cloudpickle", "pandas", "scipy", "sklearn.model_selection", "torchmetrics")
_MIN_FREE_BYTES = 2 * 1024**3


def start(run: str, sha256: str, folder: Path, extra: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts the process that trains a run.

    Args:
        run: Its key.
        sha256: Hash of its payload.
        folder: Its folder.
        extra: Environment variables to add.

    Raises:
        OSError: It could not be started.
    """
    environment = worker_environment() | extra
    with open_crash_file(folder) as output:
        warm = WARM_WORKER.take()
        if warm is not None and _hand_over(warm, run, sha256, folder, environment):
            return warm
        return subprocess.Popen(
            [*_COMMAND, run, sha256],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,  # else a restart of the kernel would take it along
        )


def worker_environment() -> dict[str, str]:
    """The environment of a process that finds this package where this process does, and owns no run yet."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = variables() | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    for name in (OWNED_VARIABLE, CHANGES_VARIABLE, QUEUED_VARIABLE):
        environment.pop(name, None)
    return environment


def _hand_over(
    process: subprocess.Popen[bytes], run: str, sha256: str, folder: Path, environment: dict[str, str]
) -> bool:
    """Gives a waiting process its job; False when it is gone."""
    assert process.stdin is not None
    job = {"run": run, "sha256": sha256, "folder": str(folder), "environment": environment}
    try:
        with process.stdin as stream:
            stream.write(json.dumps(job).encode() + b"\n")
    except OSError:
        process.kill()
        process.wait()
        return False
    return True


class WarmWorker:
    """At most one process that waits for a job, for as long as this process lives and it is of use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._made_for: tuple[object, ...] = ()

    def prepare(self, is_quiet: Callable[[], bool]) -> None:
        """Starts one, once the machine is not busy with starting something else.

        Args:
            is_quiet: Waits for that; False when it never came to be.
        """
        if is_quiet() and has_room():
            with self._lock, contextlib.suppress(OSError):
                if self._process is None or self._process.poll() is not None:
                    self._made_for = surroundings()
                    likely = [name for name in LIKELY if name in sys.modules]
                    self._process = subprocess.Popen(
                        [*_COMMAND, STAND_BY, *likely],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        env=worker_environment(),
                        start_new_session=True,
                    )

    def take(self) -> subprocess.Popen[bytes] | None:
        """The process that waits, if there is one and nothing it imported has changed since."""
        with self._lock:
            process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return None
        if self._made_for == surroundings():
            return process
        process.kill()
        process.wait()
        return None


def surroundings() -> tuple[object, ...]:
    """What a process that has imported torch cannot change any more."""
    read_at_import = sorted(
        (name, value)
        for name, value in variables().items()
        if name.startswith(_READ_AT_IMPORT) and name not in _OF_NO_MATTER
    )
    return (tuple(read_at_import), tuple(_version(name) for name in _PACKAGES))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def has_room() -> bool:
    """Whether a process that waits for work would not take memory from those that have some."""
    import psutil

    return bool(psutil.virtual_memory().available > _MIN_FREE_BYTES)


#: This process's.
WARM_WORKER = WarmWorker()
