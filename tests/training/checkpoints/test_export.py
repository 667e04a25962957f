"""A checkpoint in the formats of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from jupyter_train.events import CheckpointKind
from jupyter_train.exceptions import ModelError, StoreError
from jupyter_train.store.metrics.reader import Checkpoint
from jupyter_train.training.checkpoints.export import FORMATS, check_format, to_lightning, to_safetensors
from jupyter_train.training.checkpoints.format import RUN_STATE_KEY, write


def written(path: Path, **content: Any) -> Checkpoint:
    size, sha256, _ = write({RUN_STATE_KEY: {"moment": "x"}, **content}, path)
    return Checkpoint("a.ckpt", CheckpointKind.BEST, 7, 2, 0.5, size, sha256)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_known(name: str) -> None:
    check_format(name)


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(ModelError, match=r"`safetensor`: no such format. Did you mean `safetensors`\? Known are: saf"):
        check_format("safetensor")


def test_weights_and_a_plain_config_are_written_for_other_tools(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    weights = {"a": shared[:3], "b": shared[:3], "c": torch.arange(6.0).reshape(2, 3).T, "extra": "no tensor"}
    row = written(tmp_path / "a.ckpt", state_dict=weights, hyper_parameters={"lr": 0.1, "act": torch.relu})
    folder = to_safetensors(tmp_path / "a.ckpt", row, tmp_path / "deep" / "model", {"run": "digits-k3f9"})
    found = load_file(folder / "model.safetensors")
    assert set(found) == {"a", "b", "c"}
    assert torch.equal(found["b"], shared[:3])
    assert torch.equal(found["c"], weights["c"])
    config = json.loads((folder / "config.json").read_text())
    assert {name: config[name] for name in ("run", "step", "epoch")} == {"run": "digits-k3f9", "step": 7, "epoch": 2}
    assert config["hyperparameters"]["lr"] == 0.1


def test_a_stock_checkpoint_holds_nothing_of_ours(tmp_path: Path) -> None:
    content = {"state_dict": {"a": torch.ones(2)}, "hyper_parameters": {"lr": 0.1, "act": torch.relu}, "epoch": 2}
    row = written(tmp_path / "a.ckpt", **content)
    path = to_lightning(tmp_path / "a.ckpt", row, tmp_path / "deep" / "stock.ckpt")
    found = torch.load(path, weights_only=False)
    assert RUN_STATE_KEY not in found
    assert found["hyper_parameters"] == {"lr": 0.1, "act": torch.relu}
    assert (found["epoch"], found["state_dict"]["a"].tolist()) == (2, [1.0, 1.0])


def test_a_file_that_is_another_is_not_exported(tmp_path: Path) -> None:
    row = written(tmp_path / "a.ckpt", state_dict={"a": torch.ones(2)})
    with pytest.raises(StoreError, match="is not the file the run recorded"):
        to_lightning(tmp_path / "a.ckpt", row._replace(sha256="0" * 64), tmp_path / "b.ckpt")
    assert not (tmp_path / "b.ckpt").exists()
