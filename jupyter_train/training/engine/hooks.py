"""The overridden hooks of a fit, looked up once and again when a hook is set, added or removed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import filterfalse
from operator import attrgetter
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.core.hooks import DataHooks

from jupyter_train.training.engine.attribute_watch import AbsentKeys

#: Hooks after which the lookup is checked; after the others that happens at the training step, or the next batch.
_HOOKS_WITHIN_STEP = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
Hook = Callable[..., Any] | None

BATCH_HOOKS = (
    "on_train_batch_start",
    "on_train_batch_end",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_validation_batch_start",
    "on_validation_batch_end",
)
_STEP_METHODS = ("optimizer_step", "optimizer_zero_grad", "backward", "configure_gradient_clipping", "clip_gradients")
TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
_get_callback_hooks = attrgetter(*BATCH_HOOKS)
_get_module_hooks = attrgetter(*BATCH_HOOKS, *_STEP_METHODS, *TRANSFER_HOOKS)
_get_datamodule_hooks = attrgetter(*TRANSFER_HOOKS)

#: Lightning's empty hooks at import: one that is replaced in the base class later counts as overridden.
_EMPTY_HOOKS: dict[type, dict[str, Any]] = {
    base: {name: getattr(base, name) for name in dir(base)} for base in (pl.Callback, pl.LightningModule, DataHooks)
}
_BATCH_HOOK_NAMES, _TRANSFER_HOOK_NAMES = frozenset(BATCH_HOOKS), frozenset(TRANSFER_HOOKS)
_ALL_HOOK_NAMES = frozenset((*BATCH_HOOKS, *_STEP_METHODS, *TRANSFER_HOOKS))
_UNSET = object()
#: An attribute of every LightningModule (2.6) that is never deleted: the name of the running hook, for `self.log`.
_MARKER_KEY = "_current_fx_name"
#: Callbacks of these packages never delete an attribute, so the length of their `__dict__` shows a hook that is set.
_COMPLETE_PACKAGES = ("jupyter_train.", "pytorch_lightning.callbacks.")
_LIGHTNING_CLASSES = {
    kind for base in (pl.Callback, pl.LightningModule, pl.LightningDataModule) for kind in base.__mro__
}


class Hooks:
    """The overridden hooks of a fit's callbacks, module and datamodule; `refresh_if_changed` keeps them current.

    Each batch hook is an attribute: a function that calls it, or None where nothing overrides it.

    Args:
        trainer: The fitting trainer.

    Attributes:
        has_own_step: Whether the module overrides `optimizer_step`; likewise for the others.
        exposes_loss: Whether user code runs between the training step and the end of backward.
        runs_after_closure: Whether user code runs between backward and the optimizer's use of gradients.
    """

    on_train_batch_start: Hook
    on_train_batch_end: Hook
    on_before_zero_grad: Hook
    on_before_backward: Hook
    on_after_backward: Hook
    on_before_optimizer_step: Hook
    on_validation_batch_start: Hook
    on_validation_batch_end: Hook

    def __init__(self, trainer: pl.Trainer) -> None:
        fitting: Any = trainer
        self._trainer = fitting
        self._module: Any = trainer.lightning_module
        self._datamodule: Any = fitting.datamodule
        self._silent: dict[str, set[int]] = {}
        self._callers = {name: self._make_caller(name) for name in BATCH_HOOKS}
        self.refresh()

    def refresh(self) -> None:
        """Looks up what is overridden."""
        self._callbacks = list(self._trainer.callbacks)
        self._watch()
        self._hook_values = self._read_hooks()
        module = self._module
        for name, caller in self._callers.items():
            self._silent[name] = self._find_empty(name)
            is_silent = len(self._silent[name]) == len(self._callbacks) + 1
            setattr(self, name, None if is_silent else caller)
        own = {name for name in (*_STEP_METHODS, *TRANSFER_HOOKS) if is_overridden(module, name, pl.LightningModule)}
        self.has_own_step = "optimizer_step" in own
        self.has_own_zero_grad = "optimizer_zero_grad" in own
        self.has_own_backward = "backward" in own
        self.has_own_clipping = not own.isdisjoint(("configure_gradient_clipping", "clip_gradients"))
        self.has_own_transfer = not own.isdisjoint(TRANSFER_HOOKS) or any(
            is_overridden(self._datamodule, name, DataHooks) for name in TRANSFER_HOOKS if self._datamodule is not None
        )
        self.runs_after_closure = self.has_own_clipping or self.on_before_optimizer_step is not None
        self.exposes_loss = bool(
            self.on_before_zero_grad or self.on_before_backward or self.has_own_zero_grad or self.has_own_backward
        )

    def refresh_if_changed(self) -> None:
        """Looks up again where a hook may have changed; costs half a microsecond where none has."""
        if (
            self._absent.are_absent()
            and list(map(len, self._dicts)) == self._lengths
            and self._trainer.callbacks == self._callbacks
            and not (self._idle and self._is_idle_replaced())
        ):
            return
        if self._trainer.callbacks != self._callbacks or self._read_hooks() != self._hook_values:
            self.refresh()
        else:
            self._watch()

    def _watch(self) -> None:
        """Collects the `__dict__`s, of objects and classes, in which a hook would appear when it is set."""
        attributes = vars(self._module)
        other_owners = [*self._callbacks, *([] if self._datamodule is None else [self._datamodule])]
        kinds = {
            kind: None
            for owner in (self._module, *other_owners)
            for kind in type(owner).__mro__
            if kind not in _LIGHTNING_CLASSES
        }
        with_dict = [owner for owner in other_owners if hasattr(owner, "__dict__")]
        complete = [vars(owner) for owner in with_dict if _is_complete(owner)]
        free = [owner for owner in with_dict if not _is_complete(owner)]
        names = [_TRANSFER_HOOK_NAMES if owner is self._datamodule else _BATCH_HOOK_NAMES for owner in free]
        self._absent = AbsentKeys([(attributes, _MARKER_KEY)], zip(map(vars, free), names, strict=True))
        self._dicts: list[Any] = [*complete, *map(vars, kinds)]
        self._lengths = list(map(len, self._dicts))
        self._idle = [
            (owner, name, owner[name])
            for owner in map(vars, filterfalse(_is_of_this_package, (self._module, *with_dict, *kinds)))
            for name in _ALL_HOOK_NAMES & owner.keys()
            if _is_idle(name, owner[name])
        ]

    def _is_idle_replaced(self) -> bool:
        """Whether a hook that was None, or empty, has another value now."""
        for owner, name, value in self._idle:  # noqa: SIM110  a generator costs more than the check
            if owner.get(name, _UNSET) is not value:
                return True
        return False

    def _read_hooks(self) -> list[Any]:
        values = [_get_callback_hooks(callback) for callback in self._callbacks]
        return [*values, _get_module_hooks(self._module), self._datamodule and _get_datamodule_hooks(self._datamodule)]

    def _find_empty(self, name: str) -> set[int]:
        """The ids of the callbacks and the module that do not override a hook."""
        empty = {id(callback) for callback in self._callbacks if not is_overridden(callback, name, pl.Callback)}
        return empty if is_overridden(self._module, name, pl.LightningModule) else empty | {id(self._module)}

    def _make_caller(self, name: str) -> Callable[..., Any]:
        """A function that calls a hook of the current callbacks and of the module, and returns the module's result."""
        trainer, module, attributes = self._trainer, self._module, self._module.__dict__
        is_within = name in _HOOKS_WITHIN_STEP

        def call(*arguments: object) -> object:
            previous_hook = attributes["_current_fx_name"]
            attributes["_current_fx_name"] = name
            silent = self._silent[name]
            for callback in trainer.callbacks:
                if id(callback) in silent and name not in callback.__dict__:
                    continue
                hook = getattr(callback, name)
                if callable(hook):
                    hook(trainer, module, *arguments)
            output = None
            if id(module) not in silent or name in attributes:
                hook = getattr(module, name)
                output = hook(*arguments) if callable(hook) else None
            attributes["_current_fx_name"] = previous_hook
            if is_within:
                self.refresh_if_changed()
            return output

        return call


def is_overridden(owner: object, name: str, base: type) -> bool:
    """Whether a hook of an object is callable and not the empty one of `base`."""
    hook = getattr(owner, name)
    return callable(hook) and getattr(hook, "__func__", hook) is not _EMPTY_HOOKS[base][name]


def _is_of_this_package(owner: object) -> bool:
    """Whether a class, or an object's, is of this package, whose hooks never change from None."""
    return bool(owner.__module__.startswith("jupyter_train."))


def _is_complete(owner: object) -> bool:
    kind = type(owner)
    return kind is not pl.Callback and kind.__module__.startswith(_COMPLETE_PACKAGES)


def _is_idle(name: str, value: object) -> bool:
    """Whether the value of a hook overrides nothing: not callable, or Lightning's empty hook."""
    function = getattr(value, "__func__", value)
    return not callable(value) or any(function is empty.get(name) for empty in _EMPTY_HOOKS.values())
