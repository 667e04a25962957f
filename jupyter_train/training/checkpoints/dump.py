"""Lightning's checkpoint content, with the hyperparameters that `Trainer.fit` removes."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import is_picklable


def dump_checkpoint(trainer: pl.Trainer) -> dict[str, Any]:
    """The content of a checkpoint taken now, by `_CheckpointConnector.dump_checkpoint` (2.6).

    `Trainer.fit` removes from `hparams` what cannot be pickled, such as a lambda: a module built again without it
    would silently be a different model.
    """
    content: dict[str, Any] = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
    module: Any = trainer.lightning_module
    removed = _removed_hyperparameters(module)
    if removed:
        content.setdefault(module.CHECKPOINT_HYPER_PARAMS_KEY, {}).update(removed)
        content.setdefault(module.CHECKPOINT_HYPER_PARAMS_NAME, getattr(module, "_hparams_name", None))
    return content


def _removed_hyperparameters(module: pl.LightningModule) -> dict[str, Any]:
    initial = getattr(module, "_hparams_initial", None)
    if not isinstance(initial, dict) or initial.keys() == module.hparams.keys():
        return {}
    missing = {name: value for name, value in initial.items() if name not in module.hparams}
    return {name: value for name, value in missing.items() if not is_picklable(value)}
