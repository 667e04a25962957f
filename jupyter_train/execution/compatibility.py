"""Whether a model can go on from what a run has kept, as the same model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_train.config import TrainConfig
from jupyter_train.config.train import as_json
from jupyter_train.exceptions import ChangedError, RunStateError
from jupyter_train.store.masking import mask_tree
from jupyter_train.store.text import storable_tree

if TYPE_CHECKING:
    from jupyter_train.execution.job import Prepared
    from jupyter_train.run import RunRecord

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_MOST_SHAPES = 3
#: What may give a model its layers, or change weights, after it was made.
_LATE = ("configure_model", "on_load_checkpoint", "setup")


def comparable(value: Any) -> Any:
    """A value without what is another one in every process: where an object lies."""
    return _ADDRESS.sub("", value) if isinstance(value, str) else value


def hyperparameters_changed(record: RunRecord, prepared: Prepared) -> list[str]:
    """A line for each hyperparameter that the model, or the datamodule, has another value of than the run recorded."""
    before = record.summary.get("hyperparameters", {})
    owners = [one for one in (prepared.module, prepared.data) if getattr(one, "_log_hyperparams", False)]
    found = {str(name): as_json(value) for one in owners for name, value in dict(one.hparams_initial).items()}
    now = storable_tree(mask_tree(found))
    changed = [name for name in now if name in before and _text(before[name]) != _text(now[name])]
    return [f"`{name}` of the model was `{before[name]}` and is `{now[name]}`" for name in changed]


def _text(value: Any) -> str:
    return str(comparable(json.dumps(value, sort_keys=True)))


def check_fits(record: RunRecord, content: Mapping[str, Any], config: TrainConfig, prepared: Prepared) -> None:
    """Raises for a checkpoint that the model, or the length, cannot go on from.

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
        more = f" and {len(shapes) - _MOST_SHAPES:,} more" if len(shapes) > _MOST_SHAPES else ""
        raise ChangedError(
            f"`{record.ref}` has weights of another model: {', '.join(shapes[:_MOST_SHAPES])}{more}; build it as "
            "it was, or train a new run"
        )
    epochs, done = config.epochs, content.get("epoch", 0)
    if epochs is None:
        epochs = config.trainer.get("max_epochs")
    if epochs is not None and 0 <= epochs < done:
        raise RunStateError(f"`{record.ref}` has trained {done:,} epochs: give `--epochs {done}` or more")


def _other_shapes(saved: Mapping[str, Any], module: Any) -> list[str]:
    """Weights that have another shape now; none where a model's layers may come later."""
    import torch
    from pytorch_lightning.utilities.model_helpers import is_overridden
    from torch.nn.parameter import is_lazy

    if any(is_overridden(name, module) for name in _LATE):
        return []
    now = {name: one for name, one in module.state_dict().items() if isinstance(one, torch.Tensor) and not is_lazy(one)}
    known = {name: one for name, one in saved.items() if isinstance(one, torch.Tensor) and name in now}
    return [
        f"`{name}` was {tuple(one.shape)} and is {tuple(now[name].shape)}"
        for name, one in known.items() if one.shape != now[name].shape
    ]  # fmt: skip
