"""Whether a module's step takes the batch index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_lightning.utilities.signature_utils import is_param_in_hook_signature

if TYPE_CHECKING:
    import pytorch_lightning as pl


class Signature:
    """The signature of a module's current `training_step` or `validation_step`.

    Args:
        module: The fitting module.
        name: Name of the step.
    """

    def __init__(self, module: pl.LightningModule, name: str) -> None:
        self._module = module
        self._name = name
        self._own_step: Any = None
        self._inspect()

    @property
    def takes_index(self) -> bool:
        """Whether the step takes `batch_idx`."""
        if self._module.__dict__.get(self._name) is not self._own_step:
            self._inspect()
        return self._takes_index

    def _inspect(self) -> None:
        self._own_step = self._module.__dict__.get(self._name)
        step = getattr(self._module, self._name)
        self._takes_index = is_param_in_hook_signature(step, "batch_idx", min_args=2)
