"""The position of each DataLoader of a fit: epoch, pass within it, and batches to skip after a resume."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.data import sized_len
from torch.utils.data import DataLoader

from jupyter_train.training.data.sample_order import (
    PassStart,
    SampleOrder,
    in_order,
    is_stateful_loader,
    order_seed,
    sample_order_of,
)
from jupyter_train.training.lightning.patches import LoopPatches, Moment
from jupyter_train.training.state.rng_state import PreservedRandomState

_TRAIN, _VALIDATION = "train", "validation"


class LoaderOrders:
    """Gives every DataLoader of a fit a seeded order, and reports those that cannot have one.

    Where a pass begins is decided when its epoch begins: a resumed fit may set loaders up, and let workers prefetch,
    before it knows its epoch.

    Args:
        seed: The run's.
        skip: Batches of the first training epoch that an earlier attempt has trained on.
        by_index: Whether tensors in memory are read a batch at a time.
        earlier: The positions of that attempt, as `state` returns them.

    Attributes:
        remarks: What a resume cannot repeat exactly: one line each.
        on_remark: Called with remarks that come up after the first epoch has begun.
    """

    def __init__(self, seed: int, skip: int = 0, by_index: bool = True, earlier: dict[str, Any] | None = None) -> None:
        self.remarks: list[str] = []
        self.on_remark: Callable[[str], None] = lambda _line: None
        self._by_index = by_index
        self._seed = seed
        self._skip = skip
        self._earlier = earlier or {_TRAIN: [], _VALIDATION: []}
        self._orders: dict[str, list[SampleOrder | _SkippedBatches | None]] = {_TRAIN: [], _VALIDATION: []}
        self._validation_start: list[list[int]] = []

    def register(self, patches: LoopPatches) -> None:
        """Registers the sample order of every loader that Lightning gets from the user."""
        trainer = patches.trainer
        val_loop = trainer.fit_loop.epoch_loop.val_loop

        def make(process_dataloader: Callable[[Any], Any], loader: object) -> Iterable[Any]:
            stage = _TRAIN if trainer.training else _VALIDATION
            epochs: Any = trainer.fit_loop.epoch_progress.current
            return self._ordered(process_dataloader(loader), stage, epochs.processed)

        patches.register(Moment.MAKE_LOADER, make)
        patches.register(Moment.BEFORE_TRAIN_LOADERS, lambda: self._forget(_TRAIN, trainer.fit_loop))
        patches.register(Moment.BEFORE_VALIDATION_LOADERS, lambda: self._forget(_VALIDATION, val_loop))
        patches.register(Moment.PLACE_TRAIN_LOADERS, lambda _fetcher: self._begin_epoch(trainer))
        patches.register(Moment.PLACE_VALIDATION_LOADERS, self._begin_validation)

    def _forget(self, stage: str, loop: Any) -> None:
        """Lightning may reload DataLoaders every few epochs; they are counted from the first again."""
        # private in Lightning 2.6: `reload_dataloaders_every_n_epochs` is evaluated in these properties alone
        is_reloading = loop._should_reload_train_dl if stage == _TRAIN else loop._should_reload_val_dl
        if is_reloading:
            self._orders[stage] = []

    def _ordered(self, loader: Iterable[Any], stage: str, epoch: int) -> Iterable[Any]:
        orders, is_training = self._orders[stage], stage == _TRAIN
        seed = order_seed(self._seed, len(orders), is_training)
        lines: list[str] = []
        loader = in_order(loader, seed, lines if is_training else None, self._by_index)
        self.remarks += [line for line in dict.fromkeys(lines) if line not in self.remarks]
        order: SampleOrder | _SkippedBatches | None = sample_order_of(loader)
        if order is None and is_training and self._skip and not is_stateful_loader(loader):
            order = _SkippedBatches()
            loader = order.without_first(loader)
        orders.append(order)
        if order is not None:
            order.begin_at(self._epoch_start(len(orders) - 1, epoch) if is_training else PassStart(epoch))
        return loader

    def _epoch_start(self, number: int, epoch: int) -> PassStart:
        """Where a training loader begins after the batches to skip: whole passes, and batches of the next."""
        order = self._orders[_TRAIN][number]
        length = sized_len(order) if isinstance(order, SampleOrder) else None
        if not length:
            return PassStart(epoch, 0, self._skip)
        passes, batches = divmod(self._skip, length)
        if batches == 0 and passes:
            # the next pass begins, and draws from the global generator, only when its first batch is requested
            passes, batches = passes - 1, length
        if number < len(self._earlier[_TRAIN]):  # an endless sampler with a length begins no second pass
            passes = min(passes, max(0, self._earlier_passes(number) - 1))
        return PassStart(epoch, passes, self._skip - passes * length)

    def state(self, trainer: pl.Trainer) -> dict[str, Any]:
        """For a checkpoint: each loader's epoch, passes begun in it, and sampler state.

        Of a running validation, the state at its beginning.
        """
        epochs = trainer.fit_loop.epoch_progress.current
        is_mid_epoch = epochs.ready != epochs.completed
        training, validation = self._orders[_TRAIN], self._orders[_VALIDATION]
        current = [_position_of(order) for order in validation]
        # loaders that the running validation itself has set up began with the epoch's first pass
        at_begin = [*self._validation_start, *([epoch, 0] for epoch, _ in current[len(self._validation_start) :])][
            : len(current)
        ]
        positions = at_begin if trainer.validating else current
        samplers = {
            _TRAIN: [_record_sampler(order, is_mid_epoch) for order in training],
            _VALIDATION: [
                _record_sampler(order, False, positions[number] != current[number])
                for number, order in enumerate(validation)
            ],
        }
        for record in samplers[_TRAIN]:
            self.remark(record["in_pass"] if record is not None else [])
        return {_TRAIN: [_position_of(order) for order in training], _VALIDATION: positions, "samplers": samplers}

    def remark(self, lines: list[str]) -> None:
        """Reports lines that have not been reported yet."""
        for line in lines:
            if line not in self.remarks:
                self.remarks.append(line)
                self.on_remark(line)

    def _begin_validation(self) -> None:
        self._validation_start = [_position_of(order) for order in self._orders[_VALIDATION]]

    def restore(self, is_mid_epoch: bool, is_first_process: bool) -> None:
        """Restores positions and samplers, before the first epoch of the next attempt.

        The position of training loaders follows from the batches to skip.

        Args:
            is_mid_epoch: Whether the fit resumes in the middle of an epoch.
            is_first_process: Whether this is rank 0, which wrote the checkpoint.
        """
        for order, (epoch, cycle) in zip(self._orders[_VALIDATION], self._earlier[_VALIDATION], strict=False):
            if order is not None:
                order.begin_at(PassStart(epoch, cycle))
        records = self._earlier.get("samplers", {})
        for stage, orders in self._orders.items():
            for order, record in zip(orders, records.get(stage, []), strict=False):
                if isinstance(order, SampleOrder) and record is not None:
                    self.remark(order.state.restore(record, is_mid_epoch and stage == _TRAIN, is_first_process))

    def _begin_epoch(self, trainer: pl.Trainer) -> None:
        """Positions every training loader at this epoch's first batch, before Lightning begins the epoch.

        For the first epoch of a fit Lightning keeps the iterator it made when it set the loaders up: where that one
        began at another position, or another pass has begun since, a new one is made here.
        """
        fit_loop: Any = trainer.fit_loop  # `_data_fetcher` has no public name in Lightning 2.6
        is_first_fit_epoch = trainer.current_epoch == 0 or fit_loop.is_resuming or fit_loop.epoch_loop.restarting
        orders = [(number, order) for number, order in enumerate(self._orders[_TRAIN]) if order is not None]
        starts = {number: self._epoch_start(number, order.next.epoch) for number, order in orders}
        is_stale = is_first_fit_epoch and (
            self._load_loader_states(fit_loop) or self._is_stale(orders, starts, fit_loop._data_fetcher)
        )
        for number, order in orders:
            if is_stale or not is_first_fit_epoch or not order.begun:
                order.begin_at(starts[number], self._earlier_passes(number))
        if is_stale:
            with PreservedRandomState():  # an iterator draws from the global generator
                iter(fit_loop._data_fetcher)
        self._skip, self._earlier = 0, {_TRAIN: [], _VALIDATION: []}

    def _earlier_passes(self, number: int) -> int:
        """Passes through a training loader that an earlier attempt has begun in this epoch."""
        positions = self._earlier[_TRAIN]
        return int(positions[number][1]) if self._skip and number < len(positions) else 0

    def _is_stale(
        self, orders: list[tuple[int, SampleOrder | _SkippedBatches]], starts: dict[int, PassStart], fetcher: object
    ) -> bool:
        """Whether a pass has begun at another position, or with a sampler that has been restored since."""
        has_samplers = bool(self._earlier.get("samplers"))
        reads_ahead = bool(getattr(fetcher, "batches", None))
        for number, order in orders:
            expected = [starts[number]] if order.begins_at_once or reads_ahead else []
            if order.begun and (has_samplers or order.begun != expected):
                return True
        return False

    def _load_loader_states(self, fit_loop: Any) -> bool:
        """Loads the state of stateful DataLoaders, where Lightning had it before it had the loaders."""
        # private in Lightning 2.6: a checkpoint that is loaded before the loaders leaves their states here
        states = fit_loop._combined_loader_states_to_load
        if not (self._skip and states):
            return False
        fit_loop._combined_loader._load_state_dicts(states)
        fit_loop._combined_loader_states_to_load = []
        return True


def _position_of(order: SampleOrder | _SkippedBatches | None) -> list[int]:
    return [order.next.epoch, order.next.cycle] if isinstance(order, SampleOrder) else [0, 0]


def _record_sampler(
    order: SampleOrder | _SkippedBatches | None, is_mid_epoch: bool, repeats_pass: bool = False
) -> dict[str, Any] | None:
    return order.state.record(is_mid_epoch, repeats_pass) if isinstance(order, SampleOrder) else None


class _SkippedBatches:
    """Skips the first batches of a loader without a seeded order, once: they are read and dropped.

    Attributes:
        next: Where the next pass begins.
        begun: Where the passes so far began.
    """

    begins_at_once = True

    def __init__(self) -> None:
        self.next = PassStart()
        self.begun: list[PassStart] = []

    def begin_at(self, start: PassStart, passes: int = 0) -> None:
        """Where the next pass begins, whatever passes there were before."""
        self.next = start
        self.begun = []

    def _shortened(self, batches: Iterator[Any]) -> Iterator[Any]:
        start = self.next
        self.begun.append(start)
        self.next = PassStart(start.epoch, start.cycle + 1)
        return itertools.islice(batches, start.skip, None)

    def without_first(self, loader: Any) -> Iterable[Any]:
        """The loader without its first batches; of the same class, or with its attributes."""
        shortened = self._shortened
        if isinstance(loader, DataLoader):
            kind = type(loader)
            shorter = copy.copy(loader)
            iterate = {"__iter__": lambda self: shortened(kind.__iter__(self))}
            shorter.__class__ = type(kind.__name__, (kind,), iterate)
            return shorter

        class Shorter:
            def __getattr__(self, name: str) -> Any:
                return getattr(loader, name)

            def __iter__(self) -> Iterator[Any]:
                return shortened(iter(loader))

        if hasattr(loader, "__len__"):
            Shorter.__len__ = lambda _self: len(loader)  # type: ignore[attr-defined]
        return Shorter()
