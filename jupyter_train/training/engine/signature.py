"""What a step takes beside its batch."""

from __future__ import annotations

from typing import Any

from pytorch_lightning.utilities.signature_utils import is_param_in_hook_signature


class Signature:
    """Of a module's `training_step` or `validation_step`, whichever that is at the moment.

    Args:
        module: The fitting module.
        name: Of the step.
    """

    def __init__(self, module: Any, name: str) -> None:
        self._module = module
        self._name = name
        self._set: Any = None
        self._look()

    @property
    def takes_index(self) -> bool:
        """Whether it takes the batch's number too."""
        if self._module.__dict__.get(self._name) is not self._set:
            self._look()
        return self._takes_index

    def _look(self) -> None:
        self._set = self._module.__dict__.get(self._name)
        step = getattr(self._module, self._name)
        self._takes_index = is_param_in_hook_signature(step, "batch_idx", min_args=2)
