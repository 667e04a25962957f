"""The surroundings of a run, as they are recorded."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

import torch

import jupyter_train
from jupyter_train.execution.environment import environment, git_state, hardware


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_repository_is_told_by_its_commit_and_whether_tracked_files_changed(tmp_path: Path) -> None:
    assert git_state(tmp_path / "nowhere") == {}
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) == {}
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "deep").mkdir()
    (tmp_path / "untracked.py").write_text("2")
    assert git_state(tmp_path / "deep") == {"commit": commit, "dirty": False}
    (tmp_path / "a.py").write_text("3")
    assert git_state(tmp_path) == {"commit": commit, "dirty": True}


def test_versions_and_hardware_are_plain_json(tmp_path: Path) -> None:
    found = json.loads(json.dumps(environment()))
    assert found["python"] == platform.python_version()
    assert found["packages"]["jupyter-train"] == jupyter_train.__version__
    assert found["packages"]["torch"] == torch.__version__
    assert found["cwd"] == str(tmp_path)
    assert found["hardware"] == hardware()
    assert found["hardware"]["threads"] == torch.get_num_threads()
    assert found["hardware"]["memory_gb"] > 0
    assert len(found["hardware"]["gpus"]) == torch.cuda.device_count()
