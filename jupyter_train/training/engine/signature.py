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
        self._seen: Any = None
        self._takes_index = False

    @property
    def takes_index(self) -> bool:
        """Whether it takes the batch's number too."""
        step = getattr(self._module, self._name)
        if step != self._seen:
            self._seen = step
            self._takes_index = is_param_in_hook_signature(step, "batch_idx", min_args=2)
        return self._takes_index
