"""Decides between the lean loop and Lightning's own, with the reason."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.core.optimizer import _MockOptimizer
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from pytorch_lightning.loops.fit_loop import _FitLoop
from pytorch_lightning.loops.optimization.automatic import _AutomaticOptimization
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.signature_utils import is_param_in_hook_signature

from jupyter_train.training.engine.attribute_watch import AbsentKeys
from jupyter_train.training.engine.patch_detection import find_patched_function, patchable_parts

#: Attributes that are never deleted: `_Loop._loaded_from_state_dict` and `Strategy._forward_redirection` of 2.6.
_MARKER_KEYS = {"_loaded_from_state_dict", "_forward_redirection"}


def ineligible_reason(trainer: pl.Trainer) -> str | None:
    """Why a fit takes Lightning's own loop, as a short text; None where it takes the lean loop.

    Args:
        trainer: A trainer that is fitting, with its optimizers made.
    """
    module, strategy, loop = trainer.lightning_module, trainer.strategy, trainer.fit_loop
    if not module.automatic_optimization:
        return "the model optimizes manually"
    if type(strategy) is not SingleDeviceStrategy or strategy.model is not module:
        return f"the strategy is {type(strategy).__name__}"
    if len(trainer.optimizers) != 1 or isinstance(trainer.optimizers[0], _MockOptimizer):
        return "the model has no optimizer" if len(trainer.optimizers) < 2 else "the model has several optimizers"
    profiler: Any = getattr(trainer, "profiler", None)
    if type(profiler) is not PassThroughProfiler:
        return f"{type(profiler).__name__} watches Lightning's own loop"
    if is_param_in_hook_signature(module.training_step, "dataloader_iter", explicit=True):
        return "`training_step` takes a `dataloader_iter`"
    loops: list[tuple[Any, type]] = [
        (loop, _FitLoop),
        (loop.epoch_loop, _TrainingEpochLoop),
        (loop.epoch_loop.val_loop, _EvaluationLoop),
        (loop.epoch_loop.automatic_optimization, _AutomaticOptimization),
    ]
    for loop_part, kind in loops:
        if type(loop_part) is not kind:
            return f"{type(loop_part).__name__} is a loop of its own"
    name = find_patched_function(trainer)
    return None if name is None else f"{name} has been replaced"


class LoopSelector:
    """Which loop the next batch takes; decided again when something it depends on has changed.

    Args:
        trainer: A trainer that is fitting.

    Attributes:
        reason: Why Lightning's own loop; None for the lean loop.
    """

    def __init__(self, trainer: pl.Trainer) -> None:
        self._trainer: Any = trainer
        self._strategy: Any = trainer.strategy
        self._module: Any = trainer.lightning_module
        self._decide()

    def has_changed(self) -> bool:
        """Whether something it depends on has changed since the last call; costs half a microsecond."""
        strategy = self._strategy
        if (
            strategy._model is self._model
            and strategy._precision_plugin is self._precision
            and len(strategy._optimizers) == self._optimizers
            and self._trainer.profiler is self._profiler
            and self._module._automatic_optimization is self._is_automatic
            and self._absent.are_absent()
            and (self.reason is None or list(map(len, self._dicts)) == self._lengths)
        ):
            return False
        self._decide()
        return True

    def _decide(self) -> None:
        trainer, strategy = self._trainer, self._strategy
        self.reason = ineligible_reason(trainer)
        self._model = strategy._model
        self._precision = strategy._precision_plugin
        self._optimizers = len(strategy._optimizers)
        self._profiler = trainer.profiler
        self._is_automatic = self._module._automatic_optimization
        watched = [(vars(part), names) for part, names in patchable_parts(trainer)]
        marked = [(attributes, mark) for attributes, _ in watched for mark in _MARKER_KEYS if mark in attributes]
        self._absent = AbsentKeys(marked, [pair for pair in watched if not pair[0].keys() & _MARKER_KEYS])
        self._dicts = [attributes for attributes, _ in watched]
        self._lengths = list(map(len, self._dicts))
