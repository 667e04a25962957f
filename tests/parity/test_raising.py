"""A fit that ends in the middle of a batch leaves the same behind with both loops."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from jupyter_train.training import engine
from tests.parity.both_ways import USUAL
from tests.parity.cases import both
from tests.parity.models import LogsAll
from tests.parity.spying import Journal, metrics_of, spied, spy, told

PLACES = [
    ("module", "training_step"),
    ("module", "on_train_batch_start"),
    ("module", "on_train_batch_end"),
    ("module", "on_before_zero_grad"),
    ("module", "optimizer_zero_grad"),
    ("module", "on_before_backward"),
    ("module", "backward"),
    ("module", "on_after_backward"),
    ("module", "on_before_optimizer_step"),
    ("module", "configure_gradient_clipping"),
    ("module", "optimizer_step"),
    ("module", "on_before_batch_transfer"),
    ("module", "transfer_batch_to_device"),
    ("module", "on_validation_start"),
    ("module", "validation_step"),
    ("module", "on_validation_batch_start"),
    ("module", "on_validation_batch_end"),
    ("module", "on_validation_epoch_end"),
    ("module", "on_train_epoch_end"),
    ("module", "on_train_epoch_start"),
    ("callback", "on_train_batch_start"),
    ("callback", "on_train_batch_end"),
    ("callback", "on_before_zero_grad"),
    ("callback", "on_before_backward"),
    ("callback", "on_before_optimizer_step"),
    ("callback", "on_validation_batch_start"),
    ("callback", "on_validation_batch_end"),
    ("loader", "next"),
]


class Broken(Exception):
    """What the test raises."""


class _Fuse:
    """Raises at its n-th call."""

    def __init__(self, calls: int, error: type[BaseException]) -> None:
        self.left = calls
        self.error = error

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error("here")


def _wired(kind: type, name: str, fuse: _Fuse) -> type:
    theirs = getattr(kind, name)

    def hook(self: Any, *arguments: Any, **named: Any) -> Any:
        fuse.burn()
        return theirs(self, *arguments, **named)

    if name == "training_step":
        return type(kind.__name__, (kind,), {name: lambda self, batch, batch_idx: hook(self, batch, batch_idx)})
    if name == "validation_step":
        return type(kind.__name__, (kind,), {name: lambda self, batch, batch_idx: hook(self, batch, batch_idx)})
    return type(kind.__name__, (kind,), {name: hook})


class _Breaking(torch.utils.data.Dataset):
    def __init__(self, theirs: Any, fuse: _Fuse) -> None:
        self.theirs = theirs
        self.fuse = fuse

    def __len__(self) -> int:
        return len(self.theirs)

    def __getitem__(self, index: int) -> Any:
        self.fuse.burn()
        return self.theirs[index]


def _left_behind(place: tuple[str, str], error: type[BaseException], is_lean: bool, is_spied: bool) -> dict[str, Any]:
    journal, (where, name) = Journal(), place
    calls = 2 if name.endswith(("epoch_end", "epoch_start", "validation_start")) else 40 if where == "loader" else 9
    fuse = _Fuse(calls, error)
    pl.seed_everything(11, verbose=False)
    kind: type = spied(LogsAll, journal) if is_spied else LogsAll
    module = (_wired(kind, name, fuse) if where == "module" else kind)()
    callbacks = [spy(journal)] if is_spied else []
    if where == "callback":
        callbacks.append(_wired(pl.Callback, name, fuse)())
    data = both()
    if where == "loader":
        theirs = data["train_dataloaders"]
        data["train_dataloaders"] = torch.utils.data.DataLoader(_Breaking(theirs.dataset, fuse), batch_size=8)
    options = USUAL | {"accumulate_grad_batches": 2} if name == "backward" else USUAL
    trainer = pl.Trainer(**options, logger=False, callbacks=callbacks)
    if is_lean:
        engine.install(trainer, lambda reason: None)
    with pytest.raises((Broken, SystemExit)) as caught:  # an Interrupt becomes an exit
        trainer.fit(module, **data)
    return {
        "error": (type(caught.value), str(caught.value)),
        "weights": told(module.state_dict()),
        "optimizers": told([one.state_dict() for one in trainer.optimizers]),
        "gradients": told({name: one.grad for name, one in module.named_parameters()}),
        "metrics": metrics_of(trainer),
        "loops": copy.deepcopy(trainer.fit_loop.state_dict()),
        "hook": module._current_fx_name,
        "status": str(trainer.state.status),
        "interrupted": trainer.interrupted,
        "random": told(torch.get_rng_state()),
        "hooks": list(journal),
        "fuse": fuse.left,
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_spied", [False, True])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(place))
def test_an_exception_leaves_the_same_behind(place: tuple[str, str], is_spied: bool) -> None:
    expected = _left_behind(place, Broken, False, is_spied)
    found = _left_behind(place, Broken, True, is_spied)
    assert expected["fuse"] == 0
    assert {name: found[name] for name in expected if found[name] != expected[name]} == {}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", PLACES[::4], ids=lambda place: ".".join(place))
def test_an_interrupt_leaves_the_same_behind(place: tuple[str, str]) -> None:
    expected = _left_behind(place, KeyboardInterrupt, False, True)
    found = _left_behind(place, KeyboardInterrupt, True, True)
    assert {name: found[name] for name in expected if found[name] != expected[name]} == {}
