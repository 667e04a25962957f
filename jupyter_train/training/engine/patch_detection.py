"""Detects patches of Lightning's functions that the lean loop would not call."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from pytorch_lightning.loops.optimization.automatic import Closure, _AutomaticOptimization
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.plugins.precision import DoublePrecision, HalfPrecision, MixedPrecision, Precision
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.trainer import call
from pytorch_lightning.trainer.connectors.logger_connector.logger_connector import _LoggerConnector
from pytorch_lightning.trainer.connectors.logger_connector.result import _ResultCollection, _ResultMetric

_EPOCH = (
    "advance",
    "_should_accumulate",
    "_accumulated_batches_reached",
    "_num_ready_batches_reached",
    "_should_check_val_fx",
    "_should_check_val_epoch",
    "_on_before_fetch",
    "_on_after_fetch",
    "_build_kwargs",
    "_save_loggers_on_train_batch_end",
    "_broadcast_sigterm_tensor",
    "update_lr_schedulers",
    "_update_learning_rates",
)
_OPTIMIZATION = (
    "run",
    "_make_closure",
    "_make_step_fn",
    "_make_zero_grad_fn",
    "_make_backward_fn",
    "_optimizer_step",
    "_on_before_zero_grad",
    "_optimizer_zero_grad",
    "_training_step",
)
_EVALUATION = ("_evaluation_step", "_build_kwargs", "_build_step_args_from_hook_kwargs")
_STRATEGY = (
    "batch_to_device",
    "training_step",
    "post_training_step",
    "validation_step",
    "backward",
    "pre_backward",
    "post_backward",
    "optimizer_step",
    "on_train_batch_start",
)
_PRECISION = (
    "convert_input",
    "pre_backward",
    "backward",
    "post_backward",
    "_after_closure",
    "_wrap_closure",
    "optimizer_step",
    "_clip_gradients",
    "clip_gradients",
    "clip_grad_by_value",
    "clip_grad_by_norm",
    "train_step_context",
    "val_step_context",
)
_CALL_FUNCTIONS = ("_call_lightning_module_hook", "_call_callback_hooks", "_call_strategy_hook")

_CALLED_FUNCTIONS: list[tuple[Any, tuple[str, ...]]] = [
    (_TrainingEpochLoop, ("run", "on_advance_end", *_EPOCH)),
    (_AutomaticOptimization, _OPTIMIZATION),
    (Closure, ("closure", "__call__")),
    (_EvaluationLoop, ("run", *_EVALUATION)),
    (SingleDeviceStrategy, _STRATEGY),
    *((kind, _PRECISION) for kind in (Precision, MixedPrecision, HalfPrecision, DoublePrecision)),
    (LightningOptimizer, ("step",)),
    (pl.LightningModule, ("backward", "optimizer_step", "clip_gradients", "_on_before_batch_transfer")),
    (_LoggerConnector, ("on_batch_start", "on_batch_end", "update_train_step_metrics", "update_eval_step_metrics")),
    (_ResultCollection, ("log", "update_metrics")),
    (_ResultMetric, ("update", "forward")),
    (call, _CALL_FUNCTIONS),
]
_ORIGINALS = [(owner, name, getattr(owner, name)) for owner, names in _CALLED_FUNCTIONS for name in names]


def find_patched_function(trainer: pl.Trainer) -> str | None:
    """The name of a function that is patched, in its class or for this trainer alone; None where none is.

    Args:
        trainer: A trainer that is fitting.
    """
    for owner, name, original in _ORIGINALS:
        if getattr(owner, name) is not original:
            return f"{owner.__name__}.{name}"
    for part, names in patchable_parts(trainer):
        own = vars(part).keys() & names
        if own:
            return f"{type(part).__name__}.{min(own)}"
    return None


def patchable_parts(trainer: pl.Trainer) -> list[tuple[Any, frozenset[str]]]:
    """The objects of a trainer that may be patched, each with the names of the functions that matter."""
    loop: Any = trainer.fit_loop.epoch_loop
    return [
        (loop, frozenset(_EPOCH)),
        (loop.automatic_optimization, frozenset(_OPTIMIZATION)),
        (loop.val_loop, frozenset(_EVALUATION)),
        (trainer.strategy, frozenset(_STRATEGY)),
        (trainer.precision_plugin, frozenset(_PRECISION)),
    ]
