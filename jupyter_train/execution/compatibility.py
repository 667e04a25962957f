"""Whether a model can be resumed from a run's checkpoint: weights, shapes, hyperparameters, length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_train.config import TrainConfig
from jupyter_train.config.train import as_json
from jupyter_train.exceptions import ChangedError, RunStateError
from jupyter_train.store.redaction import mask_tree
from jupyter_train.store.text_columns import storable_tree

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from jupyter_train.execution.preparation import PreparedRun
    from jupyter_train.run import RunRecord

_MAX_SHAPES = 3
#: What may give a model its layers, or change weights, after it was made.
_LATE = ("configure_model", "on_load_checkpoint", "setup")


def hyperparameters_changed(record: RunRecord, prepared: PreparedRun) -> list[str]:
    """What is said where the model, or the datamodule, has other values of its hyperparameters than the run recorded.

    The run is resumed all the same: which of them shape the result, and which only say how (a flag that broke it), is
    known to the model alone. Only plain values are compared: of an object the record has its `repr`, which may be
    another in every process.
    """
    before = record.summary.get("hyperparameters", {})
    owners = [owner for owner in (prepared.module, prepared.data) if getattr(owner, "_log_hyperparams", False)]
    values = {str(name): value for owner in owners for name, value in dict(owner.hparams_initial).items()}
    plain = {name: as_json(value) for name, value in values.items() if _is_plain(value)}
    now = storable_tree(mask_tree(plain))
    changed = [name for name in now if name in before and _text(before[name]) != _text(now[name])]
    if not changed:
        return []
    names = ", ".join(f"`{name}` was `{before[name]}` and is `{now[name]}`" for name in changed)
    return [
        f"hyperparameters have changed: {names}; weights and the optimizer's state, its learning rate with them, are "
        "those of the checkpoint"
    ]


def _is_plain(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def check_fits(record: RunRecord, content: Mapping[str, Any], config: TrainConfig, prepared: PreparedRun) -> None:
    """Raises for a checkpoint that the model cannot be resumed from, or that is past the requested length.

    Args:
        record: The run.
        content: The checkpoint's.
        config: The options of the attempt.
        prepared: The model of the attempt.

    Raises:
        ChangedError: A weight has another shape.
        RunStateError: The run is further than its new length.
    """
    shapes = _other_shapes(content.get("state_dict", {}), prepared.module)
    if shapes:
        more = f" and {len(shapes) - _MAX_SHAPES:,} more" if len(shapes) > _MAX_SHAPES else ""
        raise ChangedError(
            f"`{record.ref}` has weights of another model: {', '.join(shapes[:_MAX_SHAPES])}{more}; build it as "
            "it was, or train a new run"
        )
    epochs, done = _epochs(config.epochs, config.trainer), content.get("epoch", 0)
    if epochs == _epochs(record.config.get("epochs"), record.config.get("trainer") or {}):
        return  # the checkpoint knows how long it is: it may have been made longer while it ran
    if epochs is not None and 0 <= epochs < done:
        raise RunStateError(f"`{record.ref}` has trained {done:,} epochs: give `--epochs {done}` or more")


def _epochs(epochs: int | None, trainer: Mapping[str, Any]) -> int | None:
    return trainer.get("max_epochs") if epochs is None else epochs


def _other_shapes(saved: Mapping[str, Any], module: pl.LightningModule) -> list[str]:
    """Weights that have another shape now; none where a model's layers may come later."""
    import torch
    from pytorch_lightning.utilities.model_helpers import is_overridden
    from torch.nn.parameter import is_lazy

    if any(is_overridden(name, module) for name in _LATE):
        return []
    now = {
        name: weight
        for name, weight in module.state_dict().items()
        if isinstance(weight, torch.Tensor) and not is_lazy(weight)
    }
    known = {name: weight for name, weight in saved.items() if isinstance(weight, torch.Tensor) and name in now}
    return [
        f"`{name}` was {tuple(weight.shape)} and is {tuple(now[name].shape)}"
        for name, weight in known.items()
        if weight.shape != now[name].shape
    ]
