"""What overrides a hook, found once an epoch instead of at every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.core.hooks import DataHooks

#: Lightning's hooks as they came: one that was replaced in the base class itself is overridden too.
_EMPTY: dict[type, dict[str, Any]] = {
    base: {name: getattr(base, name) for name in dir(base)} for base in (pl.Callback, pl.LightningModule, DataHooks)
}


class Hooks:
    """Finds the overridden hooks of a fit's callbacks and module.

    Args:
        trainer: The fitting trainer.
    """

    def __init__(self, trainer: pl.Trainer) -> None:
        fitting: Any = trainer
        self._trainer = fitting
        self._module = trainer.lightning_module
        self._callbacks = list(fitting.callbacks)

    @property
    def are_current(self) -> bool:
        """False once callbacks were added or taken away."""
        return bool(self._trainer.callbacks == self._callbacks)

    def of(self, name: str) -> Callable[..., Any] | None:
        """One function that calls a hook wherever it is overridden, in Lightning's order; None where it is nowhere.

        It gives what the module's own hook gave.
        """
        theirs = [found for one in self._callbacks if (found := overridden(one, name, pl.Callback)) is not None]
        its_own = self.of_module(name)
        if not theirs and its_own is None:
            return None
        trainer, module, attributes = self._trainer, self._module, self._module.__dict__

        def call(*arguments: Any) -> Any:
            before = attributes["_current_fx_name"]
            attributes["_current_fx_name"] = name
            for hook in theirs:
                hook(trainer, module, *arguments)
            found = its_own(*arguments) if its_own is not None else None
            attributes["_current_fx_name"] = before
            return found

        return call

    def of_module(self, name: str) -> Callable[..., Any] | None:
        """The module's own hook; None where it is Lightning's empty one."""
        return overridden(self._module, name, pl.LightningModule)


def overridden(owner: Any, name: str, base: type) -> Callable[..., Any] | None:
    """A hook of an object; None where it is the empty one of `base`, or cannot be called."""
    found = getattr(owner, name)
    if not callable(found) or getattr(found, "__func__", found) is _EMPTY[base][name]:
        return None
    hook: Callable[..., Any] = found
    return hook
