"""What a step makes dies when it dies in Lightning's loop: its outputs, its batch and its loss; the graph not later."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import cross_entropy

from jupyter_train.training import engine
from tests.parity.both_ways import USUAL
from tests.parity.cases import both
from tests.parity.models import Plain
from tests.parity.spying import CALLBACK_HOOKS

pytestmark = [pytest.mark.filterwarnings("ignore")]


class Token:
    """Lives as long as the graph that holds it."""


class Marked(torch.autograd.Function):
    """Gives its input, and leaves a token in the graph."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, token: Token) -> torch.Tensor:
        ctx.token = token
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient, None


class Outputs(dict):
    """A dict that can be watched."""


class Makes(Plain):
    """Watches what its last step made, from the next one and wherever it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, Any] = {}
        self.notes: list[Any] = []

    def note(self, place: str) -> None:
        self.notes.append((place, [name for name, one in self.made.items() if one() is not None]))

    def training_step(self, batch, batch_idx):
        self.note("training_step")
        token, seen = Token(), self(batch[0])
        loss = Marked.apply(cross_entropy(seen, batch[1]), token)
        outputs = Outputs(loss=loss, seen=seen.detach(), kept=[torch.zeros(3)])
        self.made = {
            name: weakref.ref(one)
            for name, one in (
                *(("outputs", outputs), ("loss", loss), ("graph", token), ("seen", outputs["seen"])),
                *(("in a list", outputs["kept"][0]), ("input", batch[0]), ("target", batch[1])),
            )
        }
        return outputs

    def validation_step(self, batch, batch_idx):
        self.note("validation_step")
        seen = self(batch[0])
        self.made = {"seen": weakref.ref(seen), "input": weakref.ref(batch[0])}
        return {"seen": seen}


class OwnStep(Makes):
    """Overrides how it steps."""

    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
        self.note("before step")
        optimizer.step(closure=optimizer_closure)
        self.note("after step")


class Secant(Makes):
    """Asks for the loss several times."""

    optimizer, options = torch.optim.LBFGS, {"max_iter": 3}


class TensorAlone(Makes):
    """Gives nothing but the loss."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)["loss"]
        self.made = {"input": weakref.ref(batch[0]), "loss": weakref.ref(loss)}
        return loss


def _watching(places: list[str]) -> pl.Callback:
    def noting(place: str) -> Any:
        return lambda self, trainer, pl_module, *_: pl_module.note(place)

    return type("Watching", (pl.Callback,), {place: noting(place) for place in places})()


def _noted(module: type, places: list[str], is_lean: bool, **options: Any) -> list[Any]:
    pl.seed_everything(11, verbose=False)
    model, reasons = module(), []
    trainer = pl.Trainer(**USUAL | {"max_epochs": 2} | options, logger=False, callbacks=[_watching(places)])
    if is_lean:
        engine.install(trainer, reasons.append)
    trainer.fit(model, **both())
    assert reasons == ([None] if is_lean else [])
    return model.notes


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """What only the collector would free counts as alive."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


HOOKS = [name for name in CALLBACK_HOOKS if name not in ("setup", "teardown")]


@pytest.mark.parametrize("places", [[], ["on_train_batch_end"], ["on_before_optimizer_step"], HOOKS], ids=len)
@pytest.mark.parametrize("module", [Makes, OwnStep, Secant, TensorAlone])
def test_everything_dies_when_it_dies_in_lightnings_loop(module: type, places: list[str]) -> None:
    _compare(_noted(module, places, True), _noted(module, places, False))


def _compare(notes: list[Any], stock: list[Any]) -> None:
    """Lightning holds the graph until the optimizer's step is over; nothing needs it that long."""
    assert _without_graph(notes) == _without_graph(stock)
    assert all("graph" in theirs for (_, alive), (_, theirs) in zip(notes, stock, strict=True) if "graph" in alive)


def _without_graph(notes: list[Any]) -> list[Any]:
    return [(place, [name for name in alive if name != "graph"]) for place, alive in notes]


@pytest.mark.parametrize("options", [{"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"}], ids=str)
def test_with_other_options_too(options: dict[str, Any]) -> None:
    _compare(_noted(Makes, HOOKS, True, **options), _noted(Makes, HOOKS, False, **options))


def test_nothing_of_a_step_is_alive_in_the_next() -> None:
    notes = _noted(Makes, [], True)
    assert [alive for place, alive in notes if place == "training_step"] == [[]] * 12
