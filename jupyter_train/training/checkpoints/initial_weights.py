"""The step-0 weights of a run, saved so that it can be restarted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from jupyter_train.exceptions import ModelError, UntrustedError
from jupyter_train.store.private_files import open_to_read
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.training.checkpoints.format import save_atomically

MAX_BYTES_KEPT = 200 * 1024 * 1024
_ORIGIN_ATTRIBUTE = "_jupyter_train_run"


@dataclass(frozen=True)
class Origin:
    """The run that last trained an instance, to which step, and the folder with the instance's first weights.

    `initial_sha256` is their hash by `state_hash`; empty where it is not known.
    """

    run: str
    ref: str
    step: int
    initial_folder: str
    initial_sha256: str = ""


def state_hash(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers; empty while some are lazy."""
    return _hash_tensors(module.state_dict())


def _hash_tensors(state: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            continue
        if isinstance(tensor, UninitializedParameter):
            return ""
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()


def save_initial_weights(module: nn.Module, folder: RunFolder) -> dict[str, Any]:
    """Writes the step-0 weights into the run folder; of large models, or on a full disk, only their hash is kept.

    Returns:
        The run record's entries: `sha256`, `bytes` and `kept`.
    """
    digest = state_hash(module)
    if not digest:
        return {"sha256": "", "bytes": 0, "kept": False}
    tensors = {k: v for k, v in module.state_dict().items() if isinstance(v, torch.Tensor)}
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    is_kept = size <= MAX_BYTES_KEPT and _try_write(tensors, folder)
    return {"sha256": digest, "bytes": size, "kept": is_kept}


def _try_write(tensors: dict[str, torch.Tensor], folder: RunFolder) -> bool:
    """Writes the weights; False where that fails, which must not prevent training."""
    try:
        save_atomically(tensors, folder.checkpoints / "initial.pt")
    except OSError:
        return False
    return True


def origin_of(module: nn.Module) -> Origin | None:
    """The run that trained this instance before; None for a fresh one."""
    origin = getattr(module, _ORIGIN_ATTRIBUTE, None)
    return origin if isinstance(origin, Origin) else None


def set_origin(module: nn.Module, origin: Origin) -> None:
    """Stores on the instance which run trained it."""
    object.__setattr__(module, _ORIGIN_ATTRIBUTE, origin)


def load_initial_weights(module: nn.Module, folder: RunFolder, sha256: str) -> bool:
    """Loads the step-0 weights that a run saved; False where it saved none.

    Args:
        module: The model.
        folder: The run's.
        sha256: Their hash, from the store; empty where it is not known.

    Raises:
        UntrustedError: The file's weights have another hash.
    """
    path = folder.checkpoints / "initial.pt"
    if not path.exists():
        return False
    with open_to_read(path) as file:
        tensors = torch.load(file, weights_only=True, map_location="cpu")
    if sha256 and _hash_tensors(tensors) != sha256:
        raise UntrustedError(f"`{path}` does not hold the weights the run began with (their hash differs)")
    module.load_state_dict(tensors, strict=False)
    return True


def reinitialise(module: nn.Module) -> None:
    """Restores the weights the instance had before its first run.

    Raises:
        ModelError: They were not saved.
    """
    origin = origin_of(module)
    if origin is None:
        return
    if not load_initial_weights(module, RunFolder(origin.initial_folder), origin.initial_sha256):
        raise ModelError(
            f"`--reinit`: the step-0 weights of `{origin.ref}` were not kept; build the model again instead"
        )
    object.__setattr__(module, _ORIGIN_ATTRIBUTE, None)
