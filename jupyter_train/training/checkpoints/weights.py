"""Reads weights from a verified checkpoint and loads them into a model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.compile import to_uncompiled

from jupyter_train.exceptions import ModelError
from jupyter_train.training.checkpoints.format import read, read_plain
from jupyter_train.training.plain_module import PlainModule


def read_weights(path: Path, sha256: str, is_own: bool = True) -> dict[str, Any]:
    """The `state_dict` of a checkpoint whose hash is the recorded one.

    Args:
        path: The file.
        sha256: Its hash.
        is_own: Whether its pickled values may be unpickled.

    Raises:
        StoreError: The file cannot be read, or its hash differs.
    """
    content = read(path, sha256, only="state_dict") if is_own else read_plain(path, sha256)
    weights: dict[str, Any] = content["state_dict"]
    return weights


def load_weights(module: torch.nn.Module, weights: dict[str, Any], ref: str) -> torch.nn.Module:
    """The module with these weights, in eval mode; of a wrapped `nn.Module`, that.

    Raises:
        ModelError: The weights do not fit.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError as err:
        raise ModelError(f"the weights of `{ref}` do not fit: {' '.join(str(err).split())[:300]}") from err
    module.eval()
    return module.module if isinstance(module, PlainModule) else module


def wrap_for_weights(into: object, weights: dict[str, Any]) -> torch.nn.Module:
    """`into`, wrapped in a `PlainModule` where the weights were saved from one.

    Raises:
        ModelError: It is not a module.
    """
    if isinstance(into, pl.LightningModule):
        return into
    if not isinstance(into, torch.nn.Module):
        raise ModelError(f"`run.model(...)` takes a model, not a {type(into).__name__}")
    is_wrapped = all(name.startswith("module.") for name in weights)
    return PlainModule(into, torch.nn.functional.mse_loss, torch.optim.Adam) if is_wrapped else into


def detached_copy(module: pl.LightningModule) -> pl.LightningModule:
    """A deep copy without its trainer (`LightningModule._trainer`, 2.6); a compiled module's copy is not compiled."""
    trainer, module._trainer = getattr(module, "_trainer", None), None
    try:
        copied = copy.deepcopy(module)
    finally:
        module._trainer = trainer
    # a compiled function cannot be copied: it would still run with the original's weights
    return to_uncompiled(copied) if getattr(copied, "_compiler_ctx", None) else copied
