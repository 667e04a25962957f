"""Restores a fit to the moment of a checkpoint, so that it continues as it would have then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, StochasticWeightAveraging

from jupyter_train.config import TrainConfig
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.training.checkpoints.format import RUN_STATE_KEY
from jupyter_train.training.data.loader_position import LoaderOrders
from jupyter_train.training.lightning.learning_rate import set_learning_rate
from jupyter_train.training.lightning.patches import LoopPatches, Moment
from jupyter_train.training.lightning.safe_points import SafePoint
from jupyter_train.training.state import fit_state, rng_state


@dataclass(kw_only=True)
class StartPoint:
    """Where another attempt at a run starts, or a new run that is forked from one.

    Attributes:
        step: Its first step.
        path: The checkpoint's file; empty where there is none and it starts at step 0.
        content: The whole checkpoint, verified and read.
        replay_check: Compares what is recorded with the earlier attempt; None for a fork.
        summary: The run's summary up to here.
        description: The event text of the panel.
        remarks: Further warnings for the user.
        keeps_epochs: Whether `max_epochs`, as last set in the run, is kept.
        keeps_patience: The same for the patience of early stopping.
        keeps_stop: Whether a decision to stop early is kept; not where a finished run is extended.
        lr: The learning rate from here on; the checkpoint's if None.
    """

    step: int = 0
    path: str = ""
    content: dict[str, Any] = field(default_factory=dict)
    replay_check: ReplayCheck | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    remarks: list[str] = field(default_factory=list)
    keeps_epochs: bool = True
    keeps_patience: bool = True
    keeps_stop: bool = True
    lr: float | None = None

    @property
    def run_state(self) -> dict[str, Any]:
        """What the checkpoint holds besides Lightning's content."""
        return dict(self.content[RUN_STATE_KEY])

    @property
    def moment(self) -> SafePoint:
        """Where in the fit it was taken."""
        return SafePoint(self.run_state["moment"])

    @property
    def is_exact(self) -> bool:
        """Whether all random state in it is known to be of that moment."""
        return bool(self.run_state["random"].get("is_exact"))

    @property
    def batches(self) -> int:
        """Training batches of the epoch that were done."""
        progress = self.content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
        return 0 if self.moment is SafePoint.BETWEEN_EPOCHS else int(progress["completed"])

    def prepare(self, patches: LoopPatches, orders: LoaderOrders, config: TrainConfig) -> None:
        """Makes a trainer that is not yet fitting resume from here; `fit` must get `path` as its `ckpt_path`."""
        trainer = patches.trainer
        epoch_loop: Any = trainer.fit_loop.epoch_loop
        content = {name: value for name, value in self.content.items() if name != RUN_STATE_KEY}
        patches.register(Moment.READ_CHECKPOINT, lambda _lightning, *_, **__: content)
        trainer.num_sanity_val_steps = 0
        self._keep_epochs(trainer)  # else a fit that was made longer while it ran would be over before it begins
        if self.moment is SafePoint.BETWEEN_EPOCHS:
            patches.register(Moment.RESUME_EPOCH, lambda: self._enter_epoch(trainer, orders, config), once=True)
            return
        steps = epoch_loop.max_steps
        if steps != -1:
            epoch_loop.max_steps = steps + 1  # else a fit that was killed at its last step would skip the epoch's end
        patches.register(Moment.RESUME_PROGRESS, lambda _lightning: _reset(trainer, steps), once=True)
        patches.register(Moment.RESUME_LOADERS, lambda _fetcher: self._restore_loaders(trainer, orders), once=True)
        patches.register(Moment.RESUME_STATE, lambda _fetcher: self._enter_batches(trainer, config), once=True)

    def _enter_epoch(self, trainer: pl.Trainer, orders: LoaderOrders, config: TrainConfig) -> None:
        _forget_restart(trainer)
        orders.restore(is_mid_epoch=False, is_first_process=trainer.is_global_zero)
        trainer.fit_loop._resuming_from_checkpoint = False  # the epoch begins as any other, with a new pass
        self._restore(trainer, config)

    def _restore_loaders(self, trainer: pl.Trainer, orders: LoaderOrders) -> None:
        orders.restore(is_mid_epoch=True, is_first_process=trainer.is_global_zero)
        orders.remark(self._loader_remarks(trainer))

    def _enter_batches(self, trainer: pl.Trainer, config: TrainConfig) -> None:
        self._restore(trainer, config)
        if self.moment is SafePoint.BEFORE_VALIDATION:
            fit_loop: Any = trainer.fit_loop
            fit_loop.epoch_loop.on_advance_end(fit_loop._data_fetcher)

    def _loader_remarks(self, trainer: pl.Trainer) -> list[str]:
        """A remark where training loaders are made in another epoch than in the earlier attempt."""
        fitting: Any = trainer
        every, made_in = fitting.reload_dataloaders_every_n_epochs, self.run_state["loaded_at"]["train"]
        if every < 2 or made_in == trainer.current_epoch:
            return []
        return [f"loaders are made every {every} epochs: those of epoch {made_in} are made again in this one"]

    def _restore(self, trainer: pl.Trainer, config: TrainConfig) -> None:
        run_state = self.run_state
        fit_state.restore(
            trainer, run_state | {"has_stopped_early": run_state["has_stopped_early"] and self.keeps_stop}
        )
        self._keep_epochs(trainer)
        if not self.keeps_patience:
            for stopper in trainer.early_stopping_callbacks:
                if isinstance(stopper, EarlyStopping) and stopper.monitor == config.early_stop_metric:
                    stopper.patience = config.early_stop_patience
        if self.lr is not None:
            set_learning_rate(trainer, lr=self.lr)
        self._resume_weight_averaging(trainer)
        rng_state.restore(run_state["random"])

    def _keep_epochs(self, trainer: pl.Trainer) -> None:
        if self.keeps_epochs and self.run_state["max_epochs"] is not None:
            trainer.fit_loop.max_epochs = self.run_state["max_epochs"]

    def _resume_weight_averaging(self, trainer: pl.Trainer) -> None:
        """Lets `StochasticWeightAveraging` replace the scheduler again, as it does at the start of an epoch.

        Making its scheduler changes the learning rate, which is then restored from the checkpoint.
        `_latest_update_epoch` is of Lightning 2.6.
        """
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        for callback in callbacks:
            if isinstance(callback, StochasticWeightAveraging) and callback._latest_update_epoch >= callback.swa_start:
                callback.on_train_epoch_start(trainer, trainer.lightning_module)
                trainer.strategy.load_optimizer_state_dict(self.content)


def _reset(trainer: pl.Trainer, max_steps: int) -> None:
    """Replaces `_TrainingEpochLoop.reset`, which would guess where in a batch the checkpoint was taken (2.6)."""
    trainer.fit_loop.epoch_loop.max_steps = max_steps
    _forget_restart(trainer)


def _forget_restart(trainer: pl.Trainer) -> None:
    """Clears the restart flags (`_Loop._restarting`, 2.6), so that the loops run as in an uninterrupted fit."""
    fit_loop: Any = trainer.fit_loop
    fit_loop._restarting = False
    for loop in (fit_loop.epoch_loop, fit_loop.epoch_loop.val_loop):
        loop._restarting = False
        loop.reset_restart_stage()
    for loop in (fit_loop.epoch_loop.automatic_optimization, fit_loop.epoch_loop.manual_optimization):
        loop._restarting = False
