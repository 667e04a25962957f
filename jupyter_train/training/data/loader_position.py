"""Where each loader of a fit stands: which pass of which epoch, and how many of its batches were had before."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.data import sized_len
from torch.utils.data import DataLoader

from jupyter_train.training.data.sample_order import (
    PassStart,
    SampleOrder,
    in_order,
    keeps_its_place,
    order_of,
    order_seed,
)
from jupyter_train.training.lightning.safe_points import before
from jupyter_train.training.state.rng_state import PreservedRandomState

_TRAIN, _VALIDATION = "train", "validation"


class LoaderOrders:
    """Puts every loader of a fit in order, and names what cannot be.

    Where a pass begins is decided when its epoch begins, whatever has asked the loaders before: a resumed fit may set
    them up, and let workers read ahead, before it knows in which epoch it is.

    Args:
        seed: The run's.
        skip: Batches of the first training epoch that an earlier attempt has had.
        by_index: Whether tensors in memory are read a batch at a time.
        earlier: Where that attempt stood, as `state` gives it.

    Attributes:
        remarks: What cannot be made exact, and can be seen: one line each.
        on_remark: Told of what comes to light after the first epoch has begun.
    """

    def __init__(self, seed: int, skip: int = 0, by_index: bool = True, earlier: dict[str, Any] | None = None) -> None:
        self.remarks: list[str] = []
        self.on_remark: Callable[[str], None] = lambda _line: None
        self._by_index = by_index
        self._seed = seed
        self._skip = skip
        self._earlier = earlier or {_TRAIN: [], _VALIDATION: []}
        self._known: dict[str, list[SampleOrder | _Skip | None]] = {_TRAIN: [], _VALIDATION: []}
        self._at_validation: list[list[int]] = []

    def watch(self, trainer: pl.Trainer) -> None:
        """Puts loaders in order as Lightning gets them from the user."""
        strategy: Any = trainer.strategy
        process_dataloader = strategy.process_dataloader

        def process(loader: Any) -> Any:
            stage = _TRAIN if trainer.training else _VALIDATION
            epochs: Any = trainer.fit_loop.epoch_progress.current
            return self._ordered(process_dataloader(loader), stage, epochs.processed)

        strategy.process_dataloader = process
        before(trainer.fit_loop, "setup_data", lambda: self._forget(_TRAIN, trainer.fit_loop))
        val_loop = trainer.fit_loop.epoch_loop.val_loop
        before(val_loop, "setup_data", lambda: self._forget(_VALIDATION, val_loop))
        before(trainer.fit_loop.epoch_loop, "on_run_start", lambda: self._begin_epoch(trainer))
        before(val_loop, "run", self._begin_validation)

    def _forget(self, stage: str, loop: Any) -> None:
        """Loaders may be asked for anew every few epochs; they are counted from the first again."""
        is_anew = loop._should_reload_train_dl if stage == _TRAIN else loop._should_reload_val_dl
        if is_anew:
            self._known[stage] = []

    def _ordered(self, loader: Any, stage: str, epoch: int) -> Any:
        known, is_training = self._known[stage], stage == _TRAIN
        seed = order_seed(self._seed, len(known), is_training)
        lines: list[str] = []
        loader = in_order(loader, seed, lines if is_training else None, self._by_index)
        self.remarks += [line for line in dict.fromkeys(lines) if line not in self.remarks]
        order: SampleOrder | _Skip | None = order_of(loader)
        if order is None and is_training and self._skip and not keeps_its_place(loader):
            order = _Skip()
            loader = order.without_first(loader)
        known.append(order)
        if order is not None:
            order.begin_at(self._first_place(len(known) - 1, epoch) if is_training else PassStart(epoch))
        return loader

    def _first_place(self, number: int, epoch: int) -> PassStart:
        """Where a training loader stands after the batches to be skipped: whole passes, and batches of the next."""
        order = self._known[_TRAIN][number]
        length = sized_len(order) if isinstance(order, SampleOrder) else None
        if not length:
            return PassStart(epoch, 0, self._skip)
        passes, rest = divmod(self._skip, length)
        if rest == 0 and passes:
            # at the end of a pass it is not in the next one yet: that begins, and draws from the global generator,
            # when its first batch is asked for
            passes, rest = passes - 1, length
        if number < len(self._earlier[_TRAIN]):  # an endless sampler with a length begins no second pass
            passes = min(passes, max(0, self._earlier_passes(number) - 1))
        return PassStart(epoch, passes, self._skip - passes * length)

    def state(self, trainer: pl.Trainer) -> dict[str, Any]:
        """Each loader's epoch, how many passes through it have begun in that, and what its sampler is made of.

        Of a validation that is running, it is that of its beginning.
        """
        epochs = trainer.fit_loop.epoch_progress.current
        is_inside = epochs.ready != epochs.completed
        training, validation = self._known[_TRAIN], self._known[_VALIDATION]
        now = [_place_of(one) for one in validation]
        # loaders that the running validation itself has set up stood at the epoch's first pass
        then = [*self._at_validation, *([epoch, 0] for epoch, _ in now[len(self._at_validation) :])][: len(now)]
        at = then if trainer.validating else now
        samplers = {
            _TRAIN: [_sampler_of(one, is_inside) for one in training],
            _VALIDATION: [_sampler_of(one, False, at[number] != now[number]) for number, one in enumerate(validation)],
        }
        for record in samplers[_TRAIN]:
            self.remark(record["in_pass"] if record is not None else [])
        return {_TRAIN: [_place_of(one) for one in training], _VALIDATION: at, "samplers": samplers}

    def remark(self, lines: list[str]) -> None:
        """What has come to light, and cannot be made exact."""
        for line in lines:
            if line not in self.remarks:
                self.remarks.append(line)
                self.on_remark(line)

    def _begin_validation(self) -> None:
        self._at_validation = [_place_of(one) for one in self._known[_VALIDATION]]

    def restore(self, is_inside: bool, is_first_process: bool) -> None:
        """Puts loaders back to where they stood, before the first epoch of another attempt begins.

        Where training loaders stand in the epoch follows from the batches to be skipped.

        Args:
            is_inside: Whether the fit goes on in the middle of an epoch.
            is_first_process: Whether this is the process that wrote the checkpoint, of several that train together.
        """
        for one, (epoch, cycle) in zip(self._known[_VALIDATION], self._earlier[_VALIDATION], strict=False):
            if one is not None:
                one.begin_at(PassStart(epoch, cycle))
        records = self._earlier.get("samplers", {})
        for stage, known in self._known.items():
            for one, record in zip(known, records.get(stage, []), strict=False):
                if isinstance(one, SampleOrder) and record is not None:
                    self.remark(one.state.restore(record, is_inside and stage == _TRAIN, is_first_process))

    def _begin_epoch(self, trainer: pl.Trainer) -> None:
        """Before Lightning begins an epoch: every training loader stands where this epoch's first batch is.

        Lightning makes no iterator for the first epoch of a fit, whose iterator is as old as its loaders: where that
        one has begun elsewhere, or somebody else has begun a pass since, it is made anew here.
        """
        fit_loop: Any = trainer.fit_loop
        is_old = trainer.current_epoch == 0 or fit_loop.is_resuming or fit_loop.epoch_loop.restarting
        orders = [(number, one) for number, one in enumerate(self._known[_TRAIN]) if one is not None]
        places = {number: self._first_place(number, one.next.epoch) for number, one in orders}
        is_stale = is_old and (self._load_places(fit_loop) or self._is_stale(orders, places, fit_loop._data_fetcher))
        for number, one in orders:
            if is_stale or not is_old or not one.begun:
                one.begin_at(places[number], self._earlier_passes(number))
        if is_stale:
            with PreservedRandomState():  # an iterator draws from the global generator
                iter(fit_loop._data_fetcher)
        self._skip, self._earlier = 0, {_TRAIN: [], _VALIDATION: []}

    def _earlier_passes(self, number: int) -> int:
        """How many passes through a training loader an earlier attempt has begun in this epoch."""
        places = self._earlier[_TRAIN]
        return int(places[number][1]) if self._skip and number < len(places) else 0

    def _is_stale(
        self, orders: list[tuple[int, SampleOrder | _Skip]], places: dict[int, PassStart], fetcher: Any
    ) -> bool:
        """Whether a pass has begun elsewhere, by somebody else, or with a sampler that has been put back since."""
        has_samplers = bool(self._earlier.get("samplers"))
        reads_ahead = bool(getattr(fetcher, "batches", None))
        for number, one in orders:
            begun = [places[number]] if one.begins_at_once or reads_ahead else []
            if one.begun and (has_samplers or one.begun != begun):
                return True
        return False

    def _load_places(self, fit_loop: Any) -> bool:
        """Gives loaders that keep their place the one in the checkpoint, where Lightning came too early to do so."""
        states = fit_loop._combined_loader_states_to_load
        if not (self._skip and states):
            return False
        fit_loop._combined_loader._load_state_dicts(states)
        fit_loop._combined_loader_states_to_load = []
        return True


def _place_of(order: SampleOrder | _Skip | None) -> list[int]:
    return [order.next.epoch, order.next.cycle] if isinstance(order, SampleOrder) else [0, 0]


def _sampler_of(order: SampleOrder | _Skip | None, is_inside: bool, is_again: bool = False) -> dict[str, Any] | None:
    return order.state.record(is_inside, is_again) if isinstance(order, SampleOrder) else None


class _Skip:
    """Leaves out the first batches of a loader whose order is its own, once: they are read and dropped.

    Attributes:
        next: Where the next pass begins.
        begun: Where the passes so far began.
    """

    begins_at_once = True

    def __init__(self) -> None:
        self.next = PassStart()
        self.begun: list[PassStart] = []

    def begin_at(self, place: PassStart, passes: int = 0) -> None:
        """Where the next pass begins, whatever passes there were before."""
        self.next = place
        self.begun = []

    def _shortened(self, batches: Iterator[Any]) -> Iterator[Any]:
        place = self.next
        self.begun.append(place)
        self.next = PassStart(place.epoch, place.cycle + 1)
        return itertools.islice(batches, place.skip, None)

    def without_first(self, loader: Any) -> Any:
        """What gives the batches of a loader, and looks like it."""
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
