"""Runs an epoch inside `pl.Trainer.fit` in Lightning's order, without calls that have no effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from pytorch_lightning.loops.fetchers import _DataLoaderIterDataFetcher
from pytorch_lightning.utilities.exceptions import SIGTERMException

from jupyter_train.training.engine.eligibility import LoopSelector, ineligible_reason
from jupyter_train.training.engine.evaluation import Evaluation
from jupyter_train.training.engine.hooks import Hooks
from jupyter_train.training.engine.log_cache import ResultCache, log_through
from jupyter_train.training.engine.step import Step
from jupyter_train.training.engine.transfer import Transfer, batch_reader
from jupyter_train.training.lightning.patches import LoopPatches, Moment

if TYPE_CHECKING:
    from pytorch_lightning.loops.fetchers import _DataFetcher


def install(trainer: pl.Trainer, report: Callable[[str | None], None]) -> LoopPatches:
    """Patches a trainer so that its fit takes the lean loop where it can; see `register`."""
    patches = LoopPatches(trainer)
    register(patches, report)
    patches.install()
    return patches


def register(patches: LoopPatches, report: Callable[[str | None], None]) -> None:
    """Registers the lean loop for a trainer that is not yet fitting.

    Args:
        patches: Of the trainer.
        report: Called with the reason for Lightning's own loop, None for the lean loop: when the first epoch begins
            and when that changes, once per reason.
    """
    _Engine(patches, report)


class _Engine:
    """Decides at every epoch which loop is taken."""

    def __init__(self, patches: LoopPatches, report: Callable[[str | None], None]) -> None:
        self._patches = patches
        self._trainer = patches.trainer
        self._report_reason = report
        self._reported: set[str | None] = set()
        self._cache: ResultCache | None = None
        self._epoch: _Epoch | None = None
        patches.register(Moment.RUN_EPOCH, self._run_epoch)
        patches.register(Moment.END_BATCH, self._end_batch)
        patches.register(Moment.RUN_VALIDATION, self._run_validation)

    def _run_epoch(self, lightning_run: Callable[[Any], None], fetcher: _DataFetcher) -> None:
        selector = LoopSelector(self._trainer)
        self._report(selector.reason)
        self._epoch = None
        if selector.reason is not None:
            lightning_run(fetcher)
            return
        cache = self._open_cache()
        lightning_end = self._patches.lightning(Moment.END_BATCH)
        epoch = self._epoch = _Epoch(self._trainer, cache, selector, lightning_end, self._report)
        with log_through(self._trainer.lightning_module, cache):
            try:
                epoch.run(fetcher)
            finally:
                cache.flush()
                self._epoch = None

    def _end_batch(self, lightning_end: Callable[[Any], None], fetcher: _DataFetcher) -> None:
        if self._epoch is None:
            lightning_end(fetcher)
        else:
            self._epoch.advance_end(fetcher)

    def _run_validation(self, lightning_run: Callable[[], Any]) -> object:
        if ineligible_reason(self._trainer) is not None:
            return lightning_run()
        cache = self._open_cache()
        step = _LazyEvaluation(self._patches, cache)
        with self._patches.replaced(Moment.EVALUATION_STEP, step), log_through(self._trainer.lightning_module, cache):
            return lightning_run()

    def _report(self, reason: str | None) -> None:
        if reason not in self._reported:
            self._reported.add(reason)
            self._report_reason(reason)

    def _open_cache(self) -> ResultCache:
        if self._cache is None:
            self._cache = ResultCache(self._trainer)
        return self._cache


class _LazyEvaluation:
    """Chooses the evaluation step at the first batch of a validation: its first hooks may still override others."""

    def __init__(self, patches: LoopPatches, cache: ResultCache) -> None:
        self._patches = patches
        self._trainer = patches.trainer
        self._cache = cache
        self._lightning_step = patches.lightning(Moment.EVALUATION_STEP)
        self._selector: LoopSelector | None = None
        self._step: Any = None

    def __call__(self, *arguments: object) -> None:
        if self._selector is None or self._selector.has_changed():
            self._refresh()
        self._step(*arguments)

    def _refresh(self) -> None:
        is_first = self._selector is None
        if not is_first:
            self._cache.flush()
        val_loop: Any = self._trainer.fit_loop.epoch_loop.val_loop
        with self._patches.suspended(Moment.EVALUATION_STEP):  # else it would be a reason for Lightning's own loop
            reason = ineligible_reason(self._trainer)
        takes_lightning = reason is not None or isinstance(val_loop._data_fetcher, _DataLoaderIterDataFetcher)
        self._selector = LoopSelector(self._trainer)
        self._step = self._lightning_step if takes_lightning else Evaluation(self._trainer, self._cache)


class _Epoch:
    """One run of the epoch loop.

    Args:
        trainer: The fitting trainer.
        cache: Where `self.log` goes.
        selector: Has selected the lean loop for the first batch.
        lightning_advance_end: Lightning's `on_advance_end`.
        report: Called with the reason where another loop is taken.
    """

    def __init__(
        self,
        trainer: pl.Trainer,
        cache: ResultCache,
        selector: LoopSelector,
        lightning_advance_end: Callable[[Any], None],
        report: Callable[[str | None], None],
    ) -> None:
        self._trainer = trainer
        self._cache = cache
        self._selector = selector
        self._lightning_advance_end = lightning_advance_end
        self._report = report
        self._loop: Any = trainer.fit_loop.epoch_loop
        self._connector: Any = trainer._logger_connector
        self._progress: Any = self._loop.batch_progress
        self._refresh()

    def _refresh(self) -> None:
        """Looks up the trainer's parts again, or reports why Lightning's own loop is taken."""
        if self._selector.reason is None:
            self._hooks = Hooks(self._trainer)
            self._transfer = Transfer(self._trainer, self._hooks)
            self._step = Step(self._trainer, self._hooks)
        else:
            self._cache.flush()
            self._report(self._selector.reason)

    def run(self, fetcher: _DataFetcher) -> None:
        """Runs the batches left of the epoch, as `_TrainingEpochLoop.run` (2.6)."""
        loop = self._loop
        loop.reset()
        loop.on_run_start(fetcher)
        read_batch: Callable[[], Any] | None = None
        is_fresh = True
        while not self._is_done():
            try:
                if self._selector.has_changed():
                    self._refresh()
                if loop.restarting or self._selector.reason is not None:
                    loop.advance(fetcher)
                else:
                    if loop.val_loop.restarting:  # its setter walks through all child loops
                        loop.val_loop.restarting = False
                    read_batch = read_batch or batch_reader(fetcher)
                    self._advance(read_batch, fetcher)
                loop.on_advance_end(fetcher)
            except StopIteration:
                break
            finally:
                if is_fresh:
                    loop.on_iteration_done()
                    is_fresh = False

    def _is_done(self) -> bool:
        loop, trainer = self._loop, self._trainer
        if loop.restarting or trainer.should_stop:
            return bool(loop.done)
        if self._is_last():
            return True
        return loop.max_steps != -1 and bool(loop.global_step >= loop.max_steps)

    def _is_last(self) -> bool:
        progress = self._progress
        return bool(progress.is_last_batch or progress.current.ready == self._trainer.num_training_batches)

    def _is_accumulating(self) -> bool:
        accumulated = self._trainer.accumulate_grad_batches
        return bool(self._progress.current.ready % accumulated != 0 and not self._is_last())

    def _advance(self, read_batch: Callable[[], Any], fetcher: _DataFetcher) -> None:
        """Runs one batch, as `_TrainingEpochLoop.advance` (2.6)."""
        loop, connector, progress = self._loop, self._connector, self._progress
        total, current = progress.total, progress.current
        batch = read_batch()
        hooks = self._hooks
        hooks.refresh_if_changed()
        batch_idx = current.ready
        progress.is_last_batch = fetcher.done
        batch = self._transfer(batch)
        total.ready += 1
        current.ready += 1
        self._cache.begin(loop._results, batch)
        outputs: Any = None
        is_over = False
        if batch is None:
            loop._warning_cache.warn("train_dataloader yielded None. If this was on purpose, ignore this warning...")
        else:
            is_over = hooks.on_train_batch_start is not None and hooks.on_train_batch_start(batch, batch_idx) == -1
            if is_over:
                progress.increment_by(0, is_last_batch=True)
            else:
                total.started += 1
                current.started += 1
                outputs = self._step(batch, batch_idx, self._is_accumulating())
        total.processed += 1
        current.processed += 1
        if self._trainer.lr_scheduler_configs:
            loop.update_lr_schedulers("step", update_plateau_schedulers=False)
            if self._is_last():
                loop.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        if is_over:
            self._cache.discard()
            raise StopIteration
        if hooks.on_train_batch_end is not None:
            hooks.on_train_batch_end(outputs, batch, batch_idx)
        self._cache.end()
        total.completed += 1
        current.completed += 1
        connector.update_train_step_metrics()

    def advance_end(self, fetcher: _DataFetcher) -> None:
        """Ends a batch and validates where that is due, as `_TrainingEpochLoop.on_advance_end` (2.6)."""
        trainer, loop = self._trainer, self._loop
        if self._selector.reason is not None or self._may_validate():
            self._cache.flush()
            self._lightning_advance_end(fetcher)
            if self._selector.reason is None:
                self._hooks.refresh()
            return
        if trainer.lr_scheduler_configs:
            loop.update_lr_schedulers("step", update_plateau_schedulers=True)
        if not self._is_accumulating():
            loop._batches_that_stepped += 1
        if trainer.received_sigterm and not loop._is_training_done:
            raise SIGTERMException

    def _may_validate(self) -> bool:
        """False only where no validation can be due; uncommon settings are left to Lightning."""
        trainer: Any = self._trainer
        loop, progress = self._loop, self._progress
        every = trainer.val_check_batch
        if (
            progress.is_last_batch
            or trainer.should_stop
            or loop._skip_next_val
            or trainer._val_check_time_interval is not None
            or "_should_check_val_fx" in loop.__dict__
            or not isinstance(every, int)
        ):
            return True
        batches = progress.total.ready if trainer.check_val_every_n_epoch is None else progress.current.ready
        return bool(batches % every == 0)
