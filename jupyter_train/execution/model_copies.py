"""A model for every fit of several, where one object was given for all of them."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

from jupyter_train.config import TrainConfig


class ModelCopies:
    """Gives every fit a model of its own: one that was given as an object is copied, and never trained itself.

    Args:
        build: Gives `(model, data)`: another model at every call, or always the same.
    """

    def __init__(self, build: Callable[[TrainConfig], tuple[Any, Any]]) -> None:
        self._build = build
        self._before: Callable[[], Any] = lambda: None
        self.given: Any = None

    def __call__(self, config: TrainConfig) -> tuple[Any, Any]:
        """The model of the next fit, and the data; the first call is there to see whether they fit the options."""
        from jupyter_train.training.model import copy_model, unwrap_compiled

        model, data = self._build(config)
        if model is not None and model is self._before():
            self.given = model
        else:
            with contextlib.suppress(TypeError):  # no model at all, which is said later
                self._before = weakref.ref(model)
        return (model if self.given is None else copy_model(unwrap_compiled(model))), data

    def warning(self, config: TrainConfig) -> str:
        """A warning about a model that was given as an object; empty where there is none."""
        from jupyter_train.training.checkpoints.initial_weights import origin_of

        origin = origin_of(self.given) if self.given is not None else None
        if origin is not None and not config.reinit:
            return (
                f"the model was trained by `{origin.ref}` before: every fit begins with those weights, which may have "
                "learnt the rows that it is validated on; write what makes it, as in `Net()`, for fresh weights"
            )
        if self.given is not None and config.seeds is not None:
            return (
                "the model was given as an object: every fit begins with the weights that it has, so that seeds decide "
                "the order of the rows and dropout alone; write what makes it, as in `Net()`, to draw them by seed"
            )
        return ""
