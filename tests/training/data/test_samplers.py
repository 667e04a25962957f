"""Samplers of the user's: read as stock reads them, in an order of the seed's, and resumed where they were."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import mse_loss
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from jupyter_train import train
from jupyter_train.training.data.sample_order import in_order
from jupyter_train.training.data.sampler_state import SamplerState
from jupyter_train.training.data.samplers import find_hidden_state, iterate_seeded
from jupyter_train.training.state.rng_state import RandomStream, seed_sample

ROWS = 48
X = torch.arange(float(ROWS))[:, None] / ROWS
ROWS_SET = TensorDataset(X, 2 * X)


class Line(pl.LightningModule):
    """Notes which rows it is given in which epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.rows: dict[int, list[int]] = {}

    def training_step(self, batch, batch_idx):
        rows = [round(one * ROWS) for one in batch[0][:, 0].tolist()]
        self.rows.setdefault(self.current_epoch, []).extend(rows)
        loss = mse_loss(self.layer(torch.nn.functional.dropout(batch[0], 0.2)), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", mse_loss(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class OneCycle(Line):
    """Asks the trainer how long it will be, which makes Lightning set the data up before loops are restored."""

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class InterruptAt(pl.Callback):
    """Presses Interrupt after so many steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def fit(data: Any, step: int = 0, model: type[Line] = Line, callbacks: Callable[[], list[Any]] = list, **options: Any):
    """A run of three epochs, and its model; interrupted at a step where one is given."""
    models = []

    def make() -> Line:
        models.append(model())
        return models[-1]

    given = [*callbacks(), *([InterruptAt(step)] if step else [])]
    options = {"epochs": 3, "seed": 5, "quiet": True, "accelerator": "cpu", "on_interrupt": "return"} | options
    run = train(make, data(), callbacks=given, **options)
    return run, models[-1]


def resumed(data: Any, step: int, **options: Any):
    """What became of the same run, interrupted at a step and resumed: unbroken model, resumed run and model."""
    _, whole = fit(data, **options)
    broken, _ = fit(data, step, **options)
    assert broken.status == "stopped"
    run, model = fit(data, resume=broken.ref, **options)
    assert run.attempts[-1]["from_step"] == step
    return whole, run, model


def is_same(one: Line, other: Line) -> bool:
    return torch.equal(one.layer.weight, other.layer.weight) and torch.equal(one.layer.bias, other.layer.bias)


def remarks(run: Any) -> list[str]:
    return [event.text for event in run.events if event.kind == "order"]


class Endless(Sampler):
    """Has a length, and no end; counts what it has given."""

    def __init__(self) -> None:
        self.count = 0

    def __len__(self):
        return 24

    def __iter__(self):
        while True:
            self.count += 1
            yield random.randrange(ROWS)


@pytest.mark.parametrize(("workers", "engine"), [(0, "lean"), (0, "lightning"), (2, "lean")])
def test_of_an_endless_sampler_with_a_length_only_what_is_used_is_read(workers: int, engine: str) -> None:
    training, validation = Endless(), Endless()
    loaders = [DataLoader(ROWS_SET, 8, sampler=one, num_workers=workers) for one in (training, validation)]
    run, model = fit(lambda: tuple(loaders), engine=engine)
    assert {epoch: len(rows) for epoch, rows in model.rows.items()} == {0: 24, 1: 24, 2: 24}
    assert run.status == "finished"
    ahead = 4 * 8 * (workers > 0)  # what two workers are given before
    assert training.count <= 3 * (24 + ahead)
    assert validation.count <= 4 * (24 + ahead)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_endless_sampler_is_resumed_in_the_middle_of_an_epoch(workers: int) -> None:
    data = lambda: DataLoader(ROWS_SET, 8, sampler=Endless(), num_workers=workers)  # noqa: E731
    whole, run, model = resumed(data, 5)
    assert is_same(whole, model)
    assert remarks(run) == []


class Cycled(Line):
    """Two loaders, the one that ends and the one that does not."""

    def training_step(self, batch, batch_idx):
        return super().training_step([torch.cat(parts) for parts in zip(batch["a"], batch["b"], strict=True)], 0)

    def train_dataloader(self):
        return {
            "a": DataLoader(ROWS_SET, 4, shuffle=True),
            "b": DataLoader(ROWS_SET, 4, sampler=Endless()),
        }


def test_an_endless_sampler_beside_a_longer_loader_begins_no_second_pass() -> None:
    """Its length is 6 batches, and 12 an epoch are drawn from it."""
    whole, _, model = resumed(lambda: None, 21, model=Cycled)
    assert is_same(whole, model)


class Upto(Sampler):
    """A curriculum."""

    def __init__(self) -> None:
        self.upto = 24

    def __len__(self):
        return ROWS

    def __iter__(self):
        return iter(random.sample(range(self.upto), self.upto))


class Counting(Upto):
    """Grows by itself."""

    used = 0

    def __iter__(self):
        self.used += 1
        self.upto = 24 if self.used == 1 else ROWS
        return super().__iter__()


class AtEpochEnd(pl.Callback):
    """Does something when an epoch ends."""

    def __init__(self, work: Callable[[pl.Trainer], None]) -> None:
        self.work = work

    def on_train_epoch_end(self, trainer, pl_module):
        self.work(trainer)


HIGH = torch.cat([torch.zeros(24), torch.ones(24)]).double()


def weighted() -> WeightedRandomSampler:
    return WeightedRandomSampler(1 - HIGH, ROWS)


def _reassign(sampler: Any, name: str, value: Any) -> Callable[[Any], None]:
    return lambda _trainer: setattr(sampler, name, value)


#: A sampler, how it is put into a loader, and what is done to it when an epoch ends.
CHANGES: dict[str, Any] = {
    "weights reassigned": (weighted, "sampler", lambda one: _reassign(one, "weights", HIGH)),
    "weights in place": (weighted, "sampler", lambda one: lambda _: one.weights.copy_(HIGH)),
    "weights by the trainer": (
        weighted,
        "sampler",
        lambda _: lambda trainer: setattr(trainer.train_dataloader.sampler, "weights", HIGH),
    ),
    "curriculum": (Upto, "sampler", lambda one: _reassign(one, "upto", ROWS)),
    "curriculum by the trainer": (
        Upto,
        "sampler",
        lambda _: lambda trainer: setattr(trainer.train_dataloader.sampler, "upto", ROWS),
    ),
    "counts itself": (Counting, "sampler", lambda _: lambda trainer: None),
    "batch size": (
        lambda: BatchSampler(RandomSampler(ROWS_SET), 8, False),
        "batch_sampler",
        lambda one: _reassign(one, "batch_size", 24),
    ),
    "batch size by the trainer": (
        lambda: BatchSampler(RandomSampler(ROWS_SET), 8, False),
        "batch_sampler",
        lambda _: lambda trainer: setattr(trainer.train_dataloader.batch_sampler, "batch_size", 24),
    ),
}


def _changing(name: str, workers: int = 0) -> tuple[Callable[[], Any], Callable[[], list[Any]], list[Any]]:
    make, where, change = CHANGES[name]
    samplers: list[Any] = []

    def data() -> DataLoader:
        samplers.append(make())
        size = {"batch_size": 8} if where == "sampler" else {}
        return DataLoader(ROWS_SET, **size, **{where: samplers[-1]}, num_workers=workers)

    return data, lambda: [AtEpochEnd(lambda trainer: change(samplers[-1])(trainer))], samplers


@pytest.mark.parametrize(
    ("name", "engine"), [*((name, "lean") for name in CHANGES), ("weights reassigned", "lightning")]
)
def test_what_is_assigned_to_a_sampler_holds_from_the_next_epoch_on(name: str, engine: str) -> None:
    data, callbacks, samplers = _changing(name)
    _, model = fit(data, callbacks=callbacks, engine=engine)
    sizes = {epoch: (len(rows), sum(row >= 24 for row in rows)) for epoch, rows in model.rows.items()}
    if name.startswith("batch size"):
        assert [samplers[-1].batch_size, sizes[2][0]] == [24, ROWS]
        assert model.trainer.global_step == 6 + 2 + 2
    elif name.startswith("weights"):
        assert sizes == {0: (48, 0), 1: (48, 48), 2: (48, 48)}
    else:
        assert sizes == {0: (24, 0), 1: (48, 24), 2: (48, 24)}
    if name == "counts itself":
        assert samplers[-1].used == 3


@pytest.mark.parametrize(
    ("name", "workers"), [*((name, 0) for name in CHANGES if "by the trainer" not in name), ("counts itself", 2)]
)
def test_a_sampler_that_changed_between_epochs_is_resumed_as_it_was(name: str, workers: int) -> None:
    data, callbacks, _ = _changing(name, workers)
    step = 7 if name.startswith("batch size") else 8
    whole, run, model = resumed(data, step, callbacks=callbacks, model=OneCycle)
    assert is_same(whole, model)
    assert remarks(run) == []


class Stage:
    """How far a curriculum is."""

    def __init__(self) -> None:
        self.number = 1


class Staged(Sampler):
    """Keeps its stage in an object of another class."""

    def __init__(self) -> None:
        self.stage = Stage()

    def __len__(self):
        return ROWS

    def __iter__(self):
        return iter(torch.randint(12 * self.stage.number, (ROWS,)).tolist())


class Limited(TensorDataset):
    """Says how many of its rows are to be taken."""

    limit = 12

    def __init__(self) -> None:
        super().__init__(X, 2 * X)
        self.limit = 12


class OfDataset(Sampler):
    """Asks the dataset."""

    def __init__(self, rows: Limited) -> None:
        self.rows = rows

    def __len__(self):
        return ROWS

    def __iter__(self):
        return iter(torch.randint(self.rows.limit, (ROWS,)).tolist())


def _of_dataset() -> DataLoader:
    rows = Limited()
    return DataLoader(rows, 8, sampler=OfDataset(rows))


def _next_stage(trainer: pl.Trainer) -> None:
    trainer.train_dataloader.sampler.stage.number += 1


def _raise_limit(trainer: pl.Trainer) -> None:
    trainer.train_dataloader.dataset.limit += 12


@pytest.mark.parametrize(
    ("data", "work"),
    [(lambda: DataLoader(ROWS_SET, 8, sampler=Staged()), _next_stage), (_of_dataset, _raise_limit)],
    ids=["object", "dataset"],
)
def test_what_a_sampler_looks_at_in_another_object_is_resumed_as_it_was(data, work) -> None:
    whole, run, model = resumed(data, 9, callbacks=lambda: [AtEpochEnd(work)])
    assert max(whole.rows[0]) < 12 <= max(whole.rows[1]) < 24
    assert is_same(whole, model)
    assert remarks(run) == []


class Mining(Sampler):
    """Hard examples: notified of every loss where it keeps them."""

    def __init__(self) -> None:
        self.losses = [1.0] * ROWS

    def __len__(self):
        return ROWS

    def __iter__(self):
        for _ in range(ROWS):
            yield int(torch.multinomial(torch.tensor(self.losses), 1))

    def update(self, row: int, loss: float) -> None:
        """Notes a loss."""
        self.losses[row] = loss


class Mined(Line):
    """Tells its sampler."""

    def training_step(self, batch, batch_idx):
        self.trainer.train_dataloader.sampler.update(batch_idx, 5.0)
        return super().training_step(batch, batch_idx)


def test_a_list_that_is_changed_where_it_lies_is_named_and_stands_in_the_verdict() -> None:
    named = [
        "`Mining` can be changed in the middle of an epoch (`update`)",
        "`losses` of `Mining` was changed in the middle of an epoch",
    ]
    data = lambda: DataLoader(ROWS_SET, 8, sampler=Mining())  # noqa: E731
    _, run, _ = resumed(data, 4, model=Mined)
    assert list(dict.fromkeys(remarks(run))) == [f"{line}; a resumed run may differ" for line in named]
    assert run.record.summary["resume"]["words"].endswith("; ".join(named))


class Inner(Line):
    """Takes a batch of its own in every third step."""

    def training_step(self, batch, batch_idx):
        if batch_idx % 3 == 0:
            other = next(iter(self.trainer.train_dataloader))
            batch = [torch.cat(parts) for parts in zip(batch, other, strict=True)]
        return super().training_step(batch, batch_idx)


def test_passes_that_a_step_begins_by_itself_are_counted_on() -> None:
    whole, _, model = resumed(lambda: DataLoader(ROWS_SET, 8, shuffle=True), 8, model=Inner)
    assert is_same(whole, model)


class Remade(pl.LightningDataModule):
    """Other rows whenever its loader is made."""

    def train_dataloader(self):
        return DataLoader(torch.utils.data.Subset(ROWS_SET, range(24 * (self.trainer.current_epoch % 2), 48)), 8)


def test_a_loader_that_is_made_in_another_epoch_is_named() -> None:
    _, run, _ = resumed(Remade, 9, reload_dataloaders_every_n_epochs=2)
    assert remarks(run) == [
        "loaders are made every 2 epochs: those of epoch 0 are made again in this one; a resumed run may differ"
    ]


class Answering(Sampler):
    """What comes next depends on what was seen."""

    seen: list[int] = []

    def __len__(self):
        return ROWS

    def __iter__(self):
        for _ in range(ROWS):
            yield ROWS - 1 if Answering.seen else 0


class Feed(pl.Callback):
    """Tells the sampler."""

    def on_train_batch_end(self, *_):
        Answering.seen.append(1)


def test_a_sampler_that_answers_within_an_epoch_is_heard_and_named() -> None:
    Answering.seen = []
    data = lambda: DataLoader(ROWS_SET, 8, sampler=Answering())  # noqa: E731
    run, model = fit(data, callbacks=lambda: [Feed()], epochs=1)
    assert model.rows[0] == [0] * 8 + [ROWS - 1] * 40
    line = "`Answering` reads `Answering`, which may change, while it is iterated; a resumed run may differ"
    assert remarks(run) == [line]
    assert train(Line(), data(), epochs=1, seed=5, quiet=True, explain=True)["order"] == line


class OfRank(Upto):
    """One of several processes that train together."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rng = random.Random(rank)
        self.turn = rank


def test_what_differs_from_process_to_process_is_not_taken_from_another() -> None:
    first, second = OfRank(0), OfRank(1)
    state = SamplerState(first)
    first.upto, first.turn = 40, 2
    first.rng.random()
    before = second.rng.getstate()
    lines = SamplerState(second).restore(state.record(), is_pass=False, is_same_process=False)
    assert (second.upto, second.turn, second.rng.getstate()) == (40, 1, before)
    assert sorted(lines) == [f"`{name}` of `OfRank` is kept for the first process alone" for name in ("rng", "turn")]
    fresh = OfRank(0)
    assert SamplerState(fresh).restore(state.record(), is_pass=False) == []
    assert (fresh.upto, fresh.turn, fresh.rng.getstate()) == (40, 2, first.rng.getstate())


class Shared(Upto):
    """Holds what others hold too."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.scores, self.names = [1, 2], torch.zeros(3), {"a": 1}


def test_what_was_changed_where_it_lies_is_put_back_there() -> None:
    used, fresh = Shared(), Shared()
    state = SamplerState(used)
    used.rows.append(3)
    used.scores[1] = 5
    used.names = {"b": 2}
    rows, scores, names = fresh.rows, fresh.scores, fresh.names
    SamplerState(fresh).restore(state.record(), is_pass=False)
    assert (rows, scores.tolist()) == ([1, 2, 3], [0, 5, 0])
    assert fresh.rows is rows
    assert fresh.scores is scores
    assert (fresh.names, names) == ({"b": 2}, {"a": 1})


def test_a_sampler_given_otherwise_at_a_resume_stays_so_and_is_named() -> None:
    data = lambda size: lambda: DataLoader(ROWS_SET, batch_sampler=BatchSampler(RandomSampler(ROWS_SET), size, False))  # noqa: E731
    broken, _ = fit(data(8), 3)
    run, model = fit(data(12), resume=broken.ref)
    assert model.trainer.train_dataloader.batch_sampler.batch_size == 12
    assert remarks(run) == ["`batch_size` of `BatchSampler` was 8 and is 12; a resumed run may differ"]


class Scored(Sampler):
    """Has a method by which training changes it."""

    def __init__(self) -> None:
        self.hardest = 0

    def __len__(self):
        return ROWS

    def __iter__(self):
        for _ in range(ROWS):
            yield self.hardest

    def update(self, row: int) -> None:
        """Tells it the hardest row."""
        self.hardest = row


class Deeper(Counting):
    """Inherits what it counts; asks its base for the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.more = 1

    def __iter__(self):
        return super().__iter__()


def test_what_a_base_class_does_is_the_samplers_own() -> None:
    assert find_hidden_state(Deeper()) == []
    sampler = Deeper()
    state = SamplerState(sampler)
    list(sampler)
    assert state.record(is_mid_pass=True)["in_pass"] == []


def test_a_change_in_the_middle_of_an_epoch_is_named_at_the_start_and_where_it_counts() -> None:
    sampler = Scored()

    class Update(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            sampler.update(batch_idx)

    data = lambda: DataLoader(ROWS_SET, 8, sampler=sampler)  # noqa: E731
    run, model = fit(data, 4, callbacks=lambda: [Update()])
    assert model.rows[0] == [row for hardest in (0, 0, 1, 2) for row in [hardest] * 8]
    assert remarks(run) == [
        "`Scored` can be changed in the middle of an epoch (`update`); a resumed run may differ",
        "`hardest` of `Scored` was changed in the middle of an epoch; a resumed run may differ",
    ]


def test_a_sampler_is_notified_of_an_epoch_once() -> None:
    class Told(RandomSampler):
        epochs: list[int] = []

        def set_epoch(self, epoch: int) -> None:
            self.epochs.append(epoch)

    fit(lambda: DataLoader(ROWS_SET, 8, sampler=Told(ROWS_SET)))
    assert Told.epochs == [0, 1, 2]


class Buckets(BatchSampler):
    """Draws in the way of the library named."""

    def __init__(self, draw: str, sampler: Any = None) -> None:
        super().__init__(RandomSampler(ROWS_SET) if sampler is None else sampler, 8, False)
        self.draw = draw

    def __iter__(self):
        batches = list(super().__iter__())
        if self.draw == "random":
            random.shuffle(batches)
        if self.draw == "numpy, late":
            yield from ([int(one) for one in np.random.permutation(batch)[:5]] for batch in batches)
        elif self.draw == "torch, late":
            yield from ([batch[int(torch.randint(8, ()))] for _ in batch] for batch in batches)
        else:
            yield from batches


class Bare:
    """No Sampler at all: only what torch asks for."""

    def __len__(self):
        return 6

    def __iter__(self):
        batches = [list(range(start, start + 8)) for start in range(0, ROWS, 8)]
        random.shuffle(batches)
        return iter(batches)


class Kept(Bare):
    """Shuffles what it has, where it lies: every epoch begins from the order of the one before."""

    def __init__(self) -> None:
        self.batches = [list(range(start, start + 8)) for start in range(0, ROWS, 8)]

    def __iter__(self):
        random.shuffle(self.batches)
        return iter(self.batches)


class OwnGenerator(Bare):
    """Continues to draw from a generator of its own."""

    def __init__(self, kind: str) -> None:
        self.rng = {
            "torch": torch.Generator().manual_seed(3),
            "numpy": np.random.default_rng(3),
            "python": random.Random(3),
            "state": np.random.RandomState(3),
        }[kind]

    def __iter__(self):
        rng = self.rng
        if isinstance(rng, torch.Generator):
            rows = torch.randperm(ROWS, generator=rng).tolist()
        elif isinstance(rng, random.Random):
            rows = rng.sample(range(ROWS), ROWS)
        else:
            rows = rng.permutation(ROWS).tolist()
        for start in range(0, ROWS, 8):
            yield rows[start : start + 8]


BATCHES: dict[str, Callable[[], Any]] = {
    **{draw: lambda draw=draw: Buckets(draw) for draw in ("random", "numpy, late", "torch, late")},
    "around a sequence": lambda: Buckets("random", SequentialSampler(ROWS_SET)),
    "no sampler": Bare,
    "arrays": lambda: [np.arange(start, start + 8) for start in range(0, ROWS, 8)],
    "shuffled in place": Kept,
    **{f"own {kind}": lambda kind=kind: OwnGenerator(kind) for kind in ("torch", "numpy", "python", "state")},
}


@pytest.mark.parametrize("name", BATCHES)
def test_the_order_of_batch_samplers_follows_from_the_seed(name: str) -> None:
    def rows(seed: int) -> list[Any]:
        torch.manual_seed(random.randrange(2**31))  # whatever else is drawn meanwhile
        return [batch[0].tolist() for batch in in_order(DataLoader(ROWS_SET, batch_sampler=BATCHES[name]()), seed)]

    assert rows(1) == rows(1)
    is_drawn = name != "arrays" and not name.startswith("own")
    assert (rows(1) != rows(2)) is is_drawn


@pytest.mark.parametrize(
    ("name", "workers"), [*((name, 0) for name in BATCHES), ("numpy, late", 2), ("arrays", 2), ("own numpy", 2)]
)
def test_batch_samplers_are_resumed_in_the_middle_of_an_epoch(name: str, workers: int) -> None:
    data = lambda: DataLoader(ROWS_SET, batch_sampler=BATCHES[name](), num_workers=workers)  # noqa: E731
    whole, _, model = resumed(data, 9)
    assert is_same(whole, model)
    assert model.rows[1] == whole.rows[1][-len(model.rows[1]) :]


class Gaussian(Sampler):
    """Draws late, from all three."""

    def __len__(self):
        return ROWS

    def __iter__(self):
        for _ in range(ROWS):
            yield int(random.random() * 16) + int(np.random.randn() * 16) + int(torch.rand(()).item() * 16)


def test_draws_of_a_sampler_and_of_everybody_else_do_not_touch() -> None:
    seed_sample(9)
    expected = list(Gaussian())
    seed_sample(1)
    others = [(random.gauss(), np.random.randn(), torch.randn(()).item()) for _ in range(ROWS)]
    seed_sample(1)
    asked = iterate_seeded(Gaussian(), 9)
    found = [(next(asked), (random.gauss(), np.random.randn(), torch.randn(()).item())) for _ in range(ROWS)]
    assert [row for row, _ in found] == expected  # as drawn in one go, which is how earlier releases drew
    assert [other for _, other in found] == others


def test_a_stream_of_another_bit_generator_of_numpys_is_its_own_too() -> None:
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.MT19937(3))
    try:
        stream, first = RandomStream(4), np.random.rand()
        with stream:
            drawn = np.random.rand(3)
        second = np.random.rand()
        np.random.set_bit_generator(np.random.MT19937(3))
        assert [np.random.rand(), np.random.rand()] == [first, second]
        seed_sample(4)
        assert (np.random.rand(3) == drawn).all()
    finally:
        np.random.set_bit_generator(before)


class Touch(pl.Callback):
    """Looks at the training data before anything is trained."""

    def __init__(self, hook: str) -> None:
        setattr(self, hook, self.touch)

    @staticmethod
    def touch(trainer: pl.Trainer, *_: Any) -> None:
        trainer.fit_loop.setup_data()
        next(iter(trainer.train_dataloader))


def shuffled(workers: int = 0, **options: Any) -> Callable[[], Any]:
    return lambda: DataLoader(ROWS_SET, 8, shuffle=True, num_workers=workers, **options)


@pytest.mark.parametrize(
    ("step", "workers", "touched"),
    [(9, 0, ""), (9, 2, ""), (15, 2, "on_fit_start"), (3, 0, "on_fit_start"), (9, 0, "on_train_start")],
)
def test_a_resumed_epoch_has_its_own_order_whatever_touched_the_loader(step: int, workers: int, touched: str) -> None:
    callbacks = lambda: [Touch(touched)] if touched else []  # noqa: E731
    whole, _, model = resumed(shuffled(workers), step, model=OneCycle, callbacks=callbacks)
    epoch = (step - 1) // 6
    assert model.rows[epoch] == whole.rows[epoch][8 * (step - 6 * epoch) :]
    assert is_same(whole, model)
    assert whole.rows == fit(shuffled())[1].rows


def test_a_resumed_epoch_has_its_own_order_with_workers_that_stay() -> None:
    data = shuffled(2, persistent_workers=True)
    whole, _, model = resumed(data, 9, model=OneCycle)
    assert is_same(whole, model)
    assert model.rows[1] == whole.rows[1][24:]


class Stream(torch.utils.data.IterableDataset):
    """In an order of its own, the same in every epoch."""

    def __iter__(self):
        return iter([(X[row], 2 * X[row]) for row in range(ROWS)])


@pytest.mark.parametrize("touched", ["", "on_fit_start"])
def test_a_resumed_stream_continues_where_it_was(touched: str) -> None:
    callbacks = lambda: [Touch(touched)] if touched else []  # noqa: E731
    whole, run, model = resumed(lambda: DataLoader(Stream(), 8), 9, callbacks=callbacks)
    assert is_same(whole, model)
    assert model.rows[1] == list(range(24, ROWS))
    assert "is a stream" in remarks(run)[0]


class InterruptInValidation(pl.Callback):
    """Presses Interrupt in the second validation."""

    validations = 0

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
        self.validations += batch_idx == 0 and not trainer.sanity_checking
        if self.validations == 2 and batch_idx == 1:
            os.kill(os.getpid(), signal.SIGINT)


class Noisy(Line):
    """What it makes of its validation depends on the order of that."""

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", (batch_idx + 1) * mse_loss(self.layer(batch[0]), batch[1]))

    def train_dataloader(self):
        return DataLoader(ROWS_SET, 8, shuffle=True)

    def val_dataloader(self):
        return DataLoader(ROWS_SET, batch_sampler=Kept())


def test_a_validation_that_is_begun_again_has_the_order_it_had() -> None:
    options: dict[str, Any] = {"model": Noisy, "val_check_interval": 3}
    whole, _ = fit(lambda: None, **options)
    broken, _ = fit(lambda: None, callbacks=lambda: [InterruptInValidation()], **options)
    assert broken.status == "stopped"
    run, _ = fit(lambda: None, resume=broken.ref, **options)
    assert run.attempts[-1]["from_step"] == 6
    assert run.metrics["val_loss"].dropna().tolist() == whole.metrics["val_loss"].dropna().tolist()


@pytest.mark.parametrize("options", [{}, {"engine": "lightning"}, {"accumulate_grad_batches": 2}])
def test_an_interrupt_in_the_last_batch_of_an_epoch_loses_no_epoch(options: dict[str, Any]) -> None:
    """No validation closes the epoch: the next moment at which nothing is half done is the next epoch's first."""
    step = 3 if options.get("accumulate_grad_batches") else 6
    whole, run, model = resumed(lambda: DataLoader(ROWS_SET, 8, shuffle=True), step, **options)
    assert (run.status, model.trainer.global_step) == ("finished", 3 * step)
    assert is_same(whole, model)


class Rng(Dataset):
    """Draws from a generator that is well hidden."""

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.noise = lambda: float(rng.normal())

    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        return X[index] + self.noise(), 2 * X[index]


def test_a_generator_inside_a_function_is_named() -> None:
    run, _ = fit(lambda: DataLoader(Rng(), 8), epochs=1)
    assert remarks(run) == ["`Rng` draws from a generator of its own (`noise.<closure>.rng`); a resumed run may differ"]
