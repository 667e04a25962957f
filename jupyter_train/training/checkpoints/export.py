"""Exports a run's model: safetensors, a stock Lightning checkpoint, or ONNX."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from jupyter_train.config.train import as_json
from jupyter_train.exceptions import ModelError, did_you_mean
from jupyter_train.store.run_folder import write_atomically
from jupyter_train.training.checkpoints.format import read, read_plain, save_atomically, stock_content
from jupyter_train.training.checkpoints.plain_content import drop_unpicklable, hyperparameters

if TYPE_CHECKING:
    from jupyter_train.store.metrics.reader import Checkpoint

FORMATS = ("safetensors", "lightning", "onnx")


def check_format(format: str) -> None:
    """Checks the name of an export format.

    Raises:
        ModelError: There is no such format.
    """
    if format not in FORMATS:
        raise ModelError(f"`{format}`: no such format.{did_you_mean(format, FORMATS)} Known are: {', '.join(FORMATS)}")


def to_safetensors(file: Path, checkpoint: Checkpoint, target: Path, config_entries: dict[str, Any]) -> Path:
    """Writes weights and a `config.json` into a folder, as other tools read them; returns the folder.

    Args:
        file: The checkpoint.
        checkpoint: Its row.
        target: The folder; created if it does not exist.
        config_entries: Entries of `config.json`.
    """
    from safetensors.torch import save

    content = read_plain(file, checkpoint.sha256)
    # tensors that share memory are refused by the format: each gets its own
    weights = {
        name: tensor.detach().clone().contiguous()
        for name, tensor in content["state_dict"].items()
        if isinstance(tensor, torch.Tensor)
    }
    target.mkdir(parents=True, exist_ok=True)
    write_atomically(target / "model.safetensors", save(weights, {"format": "pt"}))
    config = {**config_entries, "step": checkpoint.step, "epoch": checkpoint.epoch, "hyperparameters": _plain(content)}
    write_atomically(target / "config.json", json.dumps(config, indent=1, default=str).encode())
    return target


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    return {str(name): as_json(value) for name, value in hyperparameters(content).items()}


def to_lightning(file: Path, checkpoint: Checkpoint, target: Path) -> Path:
    """Writes a checkpoint as Lightning itself does, with all hyperparameters that can be pickled."""
    target.parent.mkdir(parents=True, exist_ok=True)
    content = stock_content(read(file, checkpoint.sha256))
    drop_unpicklable(content)
    save_atomically(content, target)
    return target


def to_onnx(model: torch.nn.Module, target: Path, example: object) -> Path:
    """Writes the model as an ONNX graph, for batches of any size where the model allows.

    Raises:
        ModelError: PyTorch cannot export it, or a package for that is missing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    inputs = tuple(example) if isinstance(example, tuple) else (torch.as_tensor(example),)
    try:
        import onnxscript  # noqa: F401
    except ImportError as err:
        raise ModelError(f"ONNX needs a package that is missing ({err}); type `pip install onnx onnxscript`") from err
    any_batch = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    try:
        _write_onnx(model, inputs, target, any_batch)
    except Exception:  # noqa: BLE001  a model may be made for batches of one size: then it is written for those
        try:
            _write_onnx(model, inputs, target, None)
        except Exception as err:
            reason = " ".join(str(err).split())[:300]
            raise ModelError(f"PyTorch cannot write this model as ONNX: {reason}") from err
    return target


def _write_onnx(
    model: torch.nn.Module, inputs: tuple[Any, ...], target: Path, dynamic: tuple[dict[int, Any], ...] | None
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), inputs, str(target), dynamo=True, verbose=False, dynamic_shapes=dynamic)
