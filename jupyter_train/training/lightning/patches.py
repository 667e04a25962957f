"""`LoopPatches`: installs the patches of `patch_list` and removes them; nothing else patches a Trainer.

Other modules register work for a moment of a fit. `install` puts one wrapper over each Lightning method that has
work: the work before it, Lightning's method or what runs instead, the work after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

import pytorch_lightning as pl

from jupyter_train.training.lightning.patch_list import PATCH_OF, PATCHES, Moment, Patch

__all__ = ["LoopPatches", "Moment", "is_tested", "replace_log", "restore_log"]

_TESTED = ("2.6.",)

Work = Callable[..., Any]
_MISSING = object()


def is_tested() -> bool:
    """True for releases of Lightning whose private parts were tested with these patches."""
    return str(getattr(pl, "__version__", "")).startswith(_TESTED)


class LoopPatches:
    """The patches of one trainer.

    Args:
        trainer: Not yet fitting.
    """

    def __init__(self, trainer: pl.Trainer) -> None:
        self.trainer = trainer
        self._work: dict[Moment, list[Work]] = {moment: [] for moment in Moment}
        self._set: dict[Patch, _Replaced] = {}

    def register(self, moment: Moment, work: Work, once: bool = False) -> None:
        """Adds work for a moment, before `install`; after the work that is registered for it already.

        Args:
            moment: When it runs.
            work: Called with the method's arguments; where it runs instead of the method, with that first.
            once: Whether it runs at the first time alone.
        """
        is_instead = PATCH_OF[moment].instead is moment
        self._work[moment].append(_once(work, is_instead) if once else work)

    def install(self) -> None:
        """Patches every method that has work; on an untested release of Lightning, none."""
        for patch in PATCHES if is_tested() else ():
            if not patch.is_temporary and any(self._work[moment] for moment in patch.moments):
                self._replace(patch, self._wrapper(patch))

    def remove(self) -> None:
        """Makes the trainer and its loops what they were before `install`."""
        for patch in list(self._set):
            self._restore(patch)
        for work in self._work.values():
            work.clear()

    def lightning(self, moment: Moment) -> Work:
        """Lightning's own method at this moment, bound to its object."""
        patch = PATCH_OF[moment]
        replaced = self._set.get(patch)
        method: Work = replaced.method if replaced is not None else getattr(self._owner(patch), patch.method)
        return method

    @contextlib.contextmanager
    def replaced(self, moment: Moment, function: Work) -> Iterator[None]:
        """While entered, `function` is called instead of a temporarily patched method, with its arguments."""
        patch = PATCH_OF[moment]
        self._replace(patch, function)
        try:
            yield
        finally:
            self._restore(patch)

    def replace_once(self, moment: Moment, function: Work) -> None:
        """Calls `function` instead of a temporarily patched method the next time, with its arguments.

        Raises:
            AttributeError: This release of Lightning has no such method.
        """
        patch = PATCH_OF[moment]
        self._restore(patch)

        def replacement(*arguments: object) -> object:
            self._restore(patch)
            return function(*arguments)

        self._replace(patch, replacement)

    @contextlib.contextmanager
    def suspended(self, moment: Moment) -> Iterator[None]:
        """While entered, Lightning's own method stands in its place."""
        patch = PATCH_OF[moment]
        owner = self._owner(patch)
        own = vars(owner).pop(patch.method, _MISSING)
        try:
            yield
        finally:
            if own is not _MISSING:
                setattr(owner, patch.method, own)

    def _owner(self, patch: Patch) -> object:
        return attrgetter(patch.owner)(self.trainer)

    def _wrapper(self, patch: Patch) -> Work:
        """One function for all the work at a method."""
        before = [work for moment in patch.before for work in self._work[moment]]
        after = [work for moment in patch.after for work in self._work[moment]]
        method: Work = getattr(self._owner(patch), patch.method)
        for work in self._work[patch.instead] if patch.instead is not None else ():
            method = partial(work, method)
        if not before and not after:
            return method

        def patched(*arguments: object) -> object:
            for work in before:
                work(*arguments)
            result = method(*arguments)
            for work in after:
                work(*arguments)
            return result

        return patched

    def _replace(self, patch: Patch, by: Work) -> None:
        owner = self._owner(patch)
        method = getattr(owner, patch.method)
        self._set[patch] = _Replaced(owner, method, vars(owner).get(patch.method, _MISSING), by)
        setattr(owner, patch.method, by)

    def _restore(self, patch: Patch) -> None:
        """Puts back what the object had, unless another patch lies over this one by now."""
        replaced = self._set.pop(patch, None)
        if replaced is None or vars(replaced.owner).get(patch.method) is not replaced.by:
            return
        if replaced.own is _MISSING:
            delattr(replaced.owner, patch.method)
        else:
            setattr(replaced.owner, patch.method, replaced.own)


@dataclass(frozen=True)
class _Replaced:
    """What stood in the place of a patch.

    Attributes:
        owner: The object whose attribute was set.
        method: What was called there.
        own: The object's own attribute; `_MISSING` where the method was its class's.
        by: What was set.
    """

    owner: Any
    method: Work
    own: Any
    by: Work


def _once(work: Work, is_instead: bool) -> Work:
    """Work that runs at the first call; later calls do nothing, or call Lightning's method."""
    is_done = False

    def first(*arguments: Any) -> object:
        nonlocal is_done
        if not is_done:
            is_done = True
            return work(*arguments)
        return arguments[0](*arguments[1:]) if is_instead else None

    return first


def replace_log(function: Work) -> Work:
    """Replaces `LightningModule.log` for all modules, while a lean loop runs; returns Lightning's own.

    `log_cache` sends the calls of modules that are not fitting on to it.
    """
    lightning_log = pl.LightningModule.log
    pl.LightningModule.log = function  # type: ignore[method-assign]
    return lightning_log


def restore_log(function: Work, lightning_log: Work) -> None:
    """Takes `function` away again, unless another patch lies over it by now."""
    if pl.LightningModule.log is function:
        pl.LightningModule.log = lightning_log  # type: ignore[method-assign]
