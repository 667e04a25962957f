"""Runs a validation batch, calling the overridden hooks only."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.utilities.exceptions import SIGTERMException

from jupyter_train.training.engine.hooks import Hooks
from jupyter_train.training.engine.log_cache import ResultCache
from jupyter_train.training.engine.signature import Signature
from jupyter_train.training.engine.transfer import Transfer


class Evaluation:
    """Replaces `_EvaluationLoop._evaluation_step` (2.6) in the validation of a fit; made for each validation.

    Args:
        trainer: The fitting trainer.
        cache: Where `self.log` goes.
    """

    def __init__(self, trainer: pl.Trainer, cache: ResultCache) -> None:
        loop: Any = trainer.fit_loop.epoch_loop.val_loop
        module: Any = trainer.lightning_module
        hooks = Hooks(trainer)
        precision: Any = trainer.precision_plugin
        self._trainer = trainer
        self._cache = cache
        self._loop = loop
        self._attributes = module.__dict__
        self._module = module
        self._signature = Signature(module, "validation_step")
        self._names_loader = loop._is_sequential and loop.num_dataloaders > 1
        self._context = None if type(precision) is Precision else precision.val_step_context
        self._hooks = hooks
        self._transfer = Transfer(trainer, hooks)

    def __call__(self, batch: object, batch_idx: int, dataloader_idx: int, _dataloader_iter: object) -> None:
        """Runs one batch."""
        loop, cache, hooks = self._loop, self._cache, self._hooks
        hooks.refresh_if_changed()
        batch = self._transfer(batch, dataloader_idx)
        loader = dataloader_idx if self._names_loader else None
        rest = () if loader is None else (loader,)
        progress = loop.batch_progress
        total, current, results = progress.total, progress.current, loop._results

        total.ready += 1
        current.ready += 1
        cache.begin(results, batch, loader)
        if hooks.on_validation_batch_start is not None:
            hooks.on_validation_batch_start(batch, batch_idx, *rest)
        total.started += 1
        current.started += 1
        output = self._step(batch, batch_idx, rest)
        total.processed += 1
        current.processed += 1
        if hooks.on_validation_batch_end is not None:
            hooks.on_validation_batch_end(output, batch, batch_idx, *rest)
        connector: Any = self._trainer._logger_connector
        logs_steps = cache.has_step_values(results)
        if logs_steps:
            connector.on_batch_end()
        results.batch = None
        results.batch_size = None
        cache.discard()
        total.completed += 1
        current.completed += 1

        if not self._trainer.sanity_checking:
            loop._has_run = True
            seen_batches = loop._seen_batches_per_dataloader
            if logs_steps:
                connector.update_eval_step_metrics(seen_batches[dataloader_idx])
            seen_batches[dataloader_idx] += 1
        if not progress.is_last_batch and self._trainer.received_sigterm:
            raise SIGTERMException

    def _step(self, batch: object, batch_idx: int, rest: tuple[Any, ...]) -> object:
        arguments = (batch, batch_idx, *rest) if self._signature.takes_index else (batch, *rest)
        attributes = self._attributes
        previous_hook = attributes["_current_fx_name"]
        attributes["_current_fx_name"] = "validation_step"
        if self._context is None:
            output = self._module.validation_step(*arguments)
        else:
            with self._context():
                output = self._module.validation_step(*arguments)
        attributes["_current_fx_name"] = previous_hook
        self._hooks.refresh_if_changed()
        return output
