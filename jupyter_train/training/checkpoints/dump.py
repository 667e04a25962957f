"""What Lightning writes into a checkpoint, with the hyperparameters it took away before the fit."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import is_picklable


def dump_checkpoint(trainer: pl.Trainer) -> dict[str, Any]:
    """The content of a checkpoint of this moment.

    `Trainer.fit` removes from `hparams` what `pickle` refuses, such as a lambda: a class made anew without it would be
    another model, and nothing would say so.
    """
    content: dict[str, Any] = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
    module: Any = trainer.lightning_module
    removed = _removed_hyperparameters(module)
    if removed:
        content.setdefault(module.CHECKPOINT_HYPER_PARAMS_KEY, {}).update(removed)
        content.setdefault(module.CHECKPOINT_HYPER_PARAMS_NAME, getattr(module, "_hparams_name", None))
    return content


def _removed_hyperparameters(module: Any) -> dict[str, Any]:
    initial = getattr(module, "_hparams_initial", None)
    if not isinstance(initial, dict) or initial.keys() == module.hparams.keys():
        return {}
    missing = {name: value for name, value in initial.items() if name not in module.hparams}
    return {name: value for name, value in missing.items() if not is_picklable(value)}
