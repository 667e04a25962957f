"""What overrides a hook: looked up once, and again as soon as something has been set, added or taken away."""

from __future__ import annotations

from collections.abc import Callable
from itertools import filterfalse
from operator import attrgetter
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.core.hooks import DataHooks

from jupyter_train.training.engine.attribute_watch import AbsentKeys

#: Hooks after which the fit catches up; after the others that comes with the training step, or the next batch.
_WITHIN = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
Hook = Callable[..., Any] | None

CALLED = (
    "on_train_batch_start",
    "on_train_batch_end",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_validation_batch_start",
    "on_validation_batch_end",
)
_STEPPING = ("optimizer_step", "optimizer_zero_grad", "backward", "configure_gradient_clipping", "clip_gradients")
TRANSFER = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
_of_callback = attrgetter(*CALLED)
_of_module = attrgetter(*CALLED, *_STEPPING, *TRANSFER)
_of_datamodule = attrgetter(*TRANSFER)

#: Lightning's hooks as they came: one that was replaced in the base class itself is overridden too.
_EMPTY: dict[type, dict[str, Any]] = {
    base: {name: getattr(base, name) for name in dir(base)} for base in (pl.Callback, pl.LightningModule, DataHooks)
}
_CALLING, _TRANSFERRING = frozenset(CALLED), frozenset(TRANSFER)
_HOOKS = frozenset((*CALLED, *_STEPPING, *TRANSFER))
_UNSET = object()
#: An attribute that every module has, and that nobody takes away.
_MARK = "_current_fx_name"
#: Kinds of callbacks that come with their hooks: where one is set late on such an object, nothing is taken away.
_COMPLETE = ("jupyter_train.", "pytorch_lightning.callbacks.")
_LIGHTNINGS = {kind for base in (pl.Callback, pl.LightningModule, pl.LightningDataModule) for kind in base.__mro__}


class Hooks:
    """The overridden hooks of a fit's callbacks and modules, kept current by `catch_up`.

    Each hook that callbacks and the module share is an attribute: a function that calls it, or None where nothing
    overrides it.

    Args:
        trainer: The fitting trainer.

    Attributes:
        has_own_step: Whether the module overrides `optimizer_step`; so on for the others.
        shows_loss: Whether anything of the user's runs between the training step and the end of backward.
        comes_after_closure: Whether anything of the user's runs between backward and the optimizer's use of gradients.
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
        self._callers = {name: self._caller(name) for name in CALLED}
        self.look()

    def look(self) -> None:
        """Finds what is overridden."""
        self._callbacks = list(self._trainer.callbacks)
        self._watch()
        self._answers = self._ask()
        module = self._module
        for name, caller in self._callers.items():
            self._silent[name] = self._empty_of(name)
            is_silent = len(self._silent[name]) == len(self._callbacks) + 1
            setattr(self, name, None if is_silent else caller)
        own = {name for name in (*_STEPPING, *TRANSFER) if overridden(module, name, pl.LightningModule)}
        self.has_own_step = "optimizer_step" in own
        self.has_own_zero_grad = "optimizer_zero_grad" in own
        self.has_own_backward = "backward" in own
        self.has_own_clipping = not own.isdisjoint(("configure_gradient_clipping", "clip_gradients"))
        self.has_own_transfer = not own.isdisjoint(TRANSFER) or any(
            overridden(self._datamodule, name, DataHooks) for name in TRANSFER if self._datamodule is not None
        )
        self.comes_after_closure = self.has_own_clipping or self.on_before_optimizer_step is not None
        self.shows_loss = bool(
            self.on_before_zero_grad or self.on_before_backward or self.has_own_zero_grad or self.has_own_backward
        )

    def catch_up(self) -> None:
        """Looks again where something was set or taken away since; costs half a microsecond where nothing was."""
        if (
            self._absent.hold()
            and list(map(len, self._dicts)) == self._lengths
            and self._trainer.callbacks == self._callbacks
            and not (self._idle and self._has_woken())
        ):
            return
        if self._trainer.callbacks != self._callbacks or self._ask() != self._answers:
            self.look()
        else:
            self._watch()

    def _watch(self) -> None:
        """Takes down the dicts in which a hook appears when it is set late: of the objects, and of their classes."""
        attributes = vars(self._module)
        others = [*self._callbacks, *([] if self._datamodule is None else [self._datamodule])]
        kinds = {kind: None for one in (self._module, *others) for kind in type(one).__mro__ if kind not in _LIGHTNINGS}
        with_dict = [one for one in others if hasattr(one, "__dict__")]
        complete = [vars(one) for one in with_dict if _is_complete(one)]
        own = [one for one in with_dict if not _is_complete(one)]
        names = [_TRANSFERRING if one is self._datamodule else _CALLING for one in own]
        self._absent = AbsentKeys([(attributes, _MARK)], zip(map(vars, own), names, strict=True))
        self._dicts: list[Any] = [*complete, *map(vars, kinds)]
        self._lengths = list(map(len, self._dicts))
        self._idle = [
            (owner, name, owner[name])
            for owner in map(vars, filterfalse(_is_ours, (self._module, *with_dict, *kinds)))
            for name in _HOOKS & owner.keys()
            if _is_idle(name, owner[name])
        ]

    def _has_woken(self) -> bool:
        """Whether another value stands where a hook had one that is none, such as None."""
        for owner, name, value in self._idle:  # noqa: SIM110  a generator costs more than what it is asked
            if owner.get(name, _UNSET) is not value:
                return True
        return False

    def _ask(self) -> list[Any]:
        answers = [_of_callback(one) for one in self._callbacks]
        return [*answers, _of_module(self._module), self._datamodule and _of_datamodule(self._datamodule)]

    def _empty_of(self, name: str) -> set[int]:
        """The ids of the callbacks, and of the module, whose hook is Lightning's empty one."""
        empty = {id(one) for one in self._callbacks if not overridden(one, name, pl.Callback)}
        return empty if overridden(self._module, name, pl.LightningModule) else empty | {id(self._module)}

    def _caller(self, name: str) -> Callable[..., Any]:
        """What calls a hook of the callbacks there are by then, and of the module, whose answer it gives."""
        trainer, module, attributes = self._trainer, self._module, self._module.__dict__
        is_within = name in _WITHIN

        def call(*arguments: Any) -> Any:
            before = attributes["_current_fx_name"]
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
            attributes["_current_fx_name"] = before
            if is_within:
                self.catch_up()
            return output

        return call


def overridden(owner: Any, name: str, base: type) -> bool:
    """Whether a hook of an object does anything: it is not the empty one of `base`, and can be called."""
    hook = getattr(owner, name)
    return callable(hook) and getattr(hook, "__func__", hook) is not _EMPTY[base][name]


def _is_ours(one: Any) -> bool:
    """Whether a class, or an object's, is of this package, whose hooks that are None stay so."""
    return bool(one.__module__.startswith("jupyter_train."))


def _is_complete(owner: Any) -> bool:
    kind = type(owner)
    return kind is not pl.Callback and kind.__module__.startswith(_COMPLETE)


def _is_idle(name: str, value: Any) -> bool:
    """Whether what stands in an attribute or class for a hook overrides nothing."""
    function = getattr(value, "__func__", value)
    return not callable(value) or any(function is empty.get(name) for empty in _EMPTY.values())
