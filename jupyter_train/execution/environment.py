"""The surroundings of a run: versions, hardware, threads, git. Part of its record."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

_PACKAGES = (
    "jupyter-train",
    "torch",
    "pytorch-lightning",
    "torchmetrics",
    "numpy",
    "pandas",
    "scikit-learn",
    "ipykernel",
    "jupyterlab",
    "papermill",
    "wandb",
)
_GIT_TIMEOUT_S = 5.0


def environment() -> dict[str, Any]:
    """Python, package versions, hardware, threads and git state, as plain JSON."""
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "packages": _versions(),
        "platform": platform.platform(),
        "hardware": hardware(),
        "cwd": str(Path.cwd()),
        "git": git_state(Path.cwd()),
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def hardware() -> dict[str, Any]:
    """CPU, memory, threads and GPUs; threads and instruction set change results in the 7th decimal."""
    import psutil
    import torch

    return {
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": _gpus(),
    }


def _gpus() -> list[str]:
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def git_state(folder: Path) -> dict[str, Any]:
    """Commit and dirty flag of the repository around `folder`; empty outside one."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
