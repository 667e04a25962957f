"""Goes through an epoch inside `pl.Trainer.fit`, in Lightning's order, past what has nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loops.fetchers import _DataLoaderIterDataFetcher
from pytorch_lightning.utilities.exceptions import SIGTERMException

from jupyter_train.training.engine.eligibility import LoopSelector, ineligible_reason
from jupyter_train.training.engine.evaluation import Evaluation
from jupyter_train.training.engine.hooks import Hooks
from jupyter_train.training.engine.log_cache import ResultCache, opened
from jupyter_train.training.engine.step import Step
from jupyter_train.training.engine.transfer import Transfer, source_of


def install(trainer: pl.Trainer, tell: Callable[[str | None], None]) -> None:
    """Makes a trainer's fit take the lean loop, where it can.

    Must come before anything else that wraps the loops of this trainer.

    Args:
        trainer: Not yet fitting, of a Lightning release whose loops are known.
        tell: Told when the first epoch begins why Lightning's own loop is taken, None for the lean one; and again where
            that changes, each reason once.
    """
    _Engine(trainer, tell)


class _Engine:
    """Decides at every epoch which loop is taken."""

    def __init__(self, trainer: pl.Trainer, tell: Callable[[str | None], None]) -> None:
        loop: Any = trainer.fit_loop.epoch_loop
        self._trainer = trainer
        self._tell = tell
        self._told: set[str | None] = set()
        self._ledger: ResultCache | None = None
        self._theirs = loop.run, loop.on_advance_end, loop.val_loop.run
        self._advance_end: Callable[[Any], None] = loop.on_advance_end
        loop.run = self._run
        loop.on_advance_end = lambda fetcher: self._advance_end(fetcher)
        loop.val_loop.run = self._validate

    def _run(self, fetcher: Any) -> None:
        choice = LoopSelector(self._trainer)
        self._say(choice.reason)
        run, advance_end, _ = self._theirs
        self._advance_end = advance_end
        if choice.reason is not None:
            run(fetcher)
            return
        ledger = self._opened()
        epoch = _Epoch(self._trainer, ledger, choice, advance_end, self._say)
        self._advance_end = epoch.advance_end
        with opened(self._trainer.lightning_module, ledger):
            try:
                epoch.run(fetcher)
            finally:
                ledger.settle()
                self._advance_end = advance_end

    def _validate(self) -> Any:
        loop: Any = self._trainer.fit_loop.epoch_loop.val_loop
        if ineligible_reason(self._trainer) is not None:
            return self._theirs[2]()
        ledger = self._opened()
        loop._evaluation_step = _LazyEvaluation(self._trainer, ledger, loop)
        try:
            with opened(self._trainer.lightning_module, ledger):
                return self._theirs[2]()
        finally:
            del loop._evaluation_step

    def _say(self, reason: str | None) -> None:
        if reason not in self._told:
            self._told.add(reason)
            self._tell(reason)

    def _opened(self) -> ResultCache:
        if self._ledger is None:
            self._ledger = ResultCache(self._trainer)
        return self._ledger


class _LazyEvaluation:
    """Looks at a validation when its first batch is there: what is overridden may be decided in its first hooks."""

    def __init__(self, trainer: pl.Trainer, ledger: ResultCache, loop: Any) -> None:
        self._trainer = trainer
        self._ledger = ledger
        self._loop = loop
        self._theirs = loop._evaluation_step
        self._choice: LoopSelector | None = None
        self._step: Any = None

    def __call__(self, *arguments: Any) -> None:
        if self._choice is None or self._choice.has_changed():
            self._look()
        self._step(*arguments)

    def _look(self) -> None:
        is_first = self._choice is None
        if not is_first:
            self._ledger.settle()
        stand_in = vars(self._loop).pop("_evaluation_step")  # this object is no reason to take Lightning's own loop
        is_theirs = ineligible_reason(self._trainer) is not None or isinstance(
            self._loop._data_fetcher, _DataLoaderIterDataFetcher
        )
        self._loop._evaluation_step = stand_in
        self._choice = LoopSelector(self._trainer)
        self._step = self._theirs if is_theirs else Evaluation(self._trainer, self._ledger)


class _Epoch:
    """One run of the epoch loop.

    Args:
        trainer: The fitting trainer.
        ledger: Where `self.log` goes.
        choice: That it is lean, at first.
        theirs: Lightning's own end of a batch.
        say: Told where another loop is taken.
    """

    def __init__(
        self,
        trainer: pl.Trainer,
        ledger: ResultCache,
        choice: LoopSelector,
        theirs: Callable[[Any], None],
        say: Callable[[str | None], None],
    ) -> None:
        self._trainer = trainer
        self._ledger = ledger
        self._choice = choice
        self._theirs = theirs
        self._say = say
        self._loop: Any = trainer.fit_loop.epoch_loop
        self._connector: Any = trainer._logger_connector
        self._progress: Any = self._loop.batch_progress
        self._look()

    def _look(self) -> None:
        """Takes the trainer's parts as they are now."""
        if self._choice.reason is None:
            self._hooks = Hooks(self._trainer)
            self._transfer = Transfer(self._trainer, self._hooks)
            self._step = Step(self._trainer, self._hooks)
        else:
            self._ledger.settle()
            self._say(self._choice.reason)

    def run(self, fetcher: Any) -> None:
        """From the first batch that is left of the epoch to its last."""
        loop = self._loop
        loop.reset()
        loop.on_run_start(fetcher)
        following: Callable[[], Any] | None = None
        is_fresh = True
        while not self._is_done():
            try:
                if self._choice.has_changed():
                    self._look()
                if loop.restarting or self._choice.reason is not None:
                    loop.advance(fetcher)
                else:
                    if loop.val_loop.restarting:  # setting it looks through all that the loop has
                        loop.val_loop.restarting = False
                    following = following or source_of(fetcher)
                    self._advance(following, fetcher)
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
        parts = self._trainer.accumulate_grad_batches
        return bool(self._progress.current.ready % parts != 0 and not self._is_last())

    def _advance(self, following: Callable[[], Any], fetcher: Any) -> None:
        """One batch; as `_TrainingEpochLoop.advance`."""
        loop, connector, progress = self._loop, self._connector, self._progress
        total, current = progress.total, progress.current
        batch = following()
        hooks = self._hooks
        hooks.catch_up()
        batch_idx = current.ready
        progress.is_last_batch = fetcher.done
        batch = self._transfer(batch)
        total.ready += 1
        current.ready += 1
        self._ledger.begin(loop._results, batch)
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
            self._ledger.leave()
            raise StopIteration
        if hooks.on_train_batch_end is not None:
            hooks.on_train_batch_end(outputs, batch, batch_idx)
        self._ledger.end()
        total.completed += 1
        current.completed += 1
        connector.update_train_step_metrics()

    def advance_end(self, fetcher: Any) -> None:
        """What follows a batch: validation, where it is due; as `_TrainingEpochLoop.on_advance_end`."""
        trainer, loop = self._trainer, self._loop
        if self._choice.reason is not None or self._may_validate():
            self._ledger.settle()
            self._theirs(fetcher)
            if self._choice.reason is None:
                self._hooks.look()
            return
        if trainer.lr_scheduler_configs:
            loop.update_lr_schedulers("step", update_plateau_schedulers=True)
        if not self._is_accumulating():
            loop._batches_that_stepped += 1
        if trainer.received_sigterm and not loop._is_training_done:
            raise SIGTERMException

    def _may_validate(self) -> bool:
        """False only where a validation cannot be due; anything uncommon is left to Lightning to decide."""
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
