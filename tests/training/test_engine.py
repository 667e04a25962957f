"""The lean loop in a run: it says which loop trains and why, steps aside where it must, and leaves nothing behind."""

from __future__ import annotations

import resource

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import train
from jupyter_train.training import engine, fit
from tests.models import LitDigits, are_equal, digits, weights
from tests.parity.models import Adversarial, loader

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning")]


def engine_events(run) -> list[str]:
    return [event.text for event in run.events if event.kind == "engine"]


def test_a_run_says_that_the_lean_loop_trains_it() -> None:
    run = train(lambda: LitDigits(), digits, epochs=2, seed=1, quiet=True)
    assert engine_events(run) == ["lean loop"]


def test_both_loops_give_the_same_run() -> None:
    lean = train(lambda: LitDigits(), digits, epochs=3, seed=1, quiet=True)
    stock = train(lambda: LitDigits(), digits, epochs=3, seed=1, quiet=True, engine="lightning")
    assert engine_events(stock) == []
    assert are_equal(weights(lean._module), weights(stock._module))
    assert lean.metrics.to_csv() == stock.metrics.to_csv()


def test_what_it_does_not_cover_takes_lightnings_own_loop_and_says_why() -> None:
    run = train(lambda: Adversarial(), lambda: (loader(), loader()), epochs=1, seed=1, quiet=True)
    assert engine_events(run) == ["Lightning's own loop: the model optimizes manually"]


def test_a_release_that_is_not_known_is_left_alone_with_one_warning(monkeypatch) -> None:
    monkeypatch.setattr(fit, "is_tested", lambda: False)
    run = train(lambda: LitDigits(), digits, epochs=2, seed=1, quiet=True)
    assert run.status == "finished"
    warned = [event.text for event in run.events if event.kind == "warning"]
    assert len(warned) == 1
    assert warned[0].startswith("this pytorch-lightning is newer than what was tested: its own loop trains")


def test_self_log_is_lightnings_again_afterwards() -> None:
    theirs = pl.LightningModule.log
    train(lambda: LitDigits(), digits, epochs=1, seed=1, quiet=True)

    class Fails(LitDigits):
        def training_step(self, batch, batch_idx):
            if batch_idx == 2:
                raise ValueError("no more")
            return super().training_step(batch, batch_idx)

    with pytest.raises(ValueError, match="no more"):
        train(lambda: Fails(), digits, epochs=1, seed=1, quiet=True)
    assert pl.LightningModule.log is theirs


def test_what_lightning_refuses_to_log_is_refused_in_any_batch() -> None:
    class Bad(LitDigits):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.log("odd", loss if batch_idx < 3 else torch.ones(2))
            return loss

    with pytest.raises(ValueError, match="the tensor must have a single element"):
        train(lambda: Bad(), digits, epochs=1, seed=1, quiet=True)

    class Twice(LitDigits):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.log("odd", loss, on_epoch=batch_idx == 3)
            return loss

    with pytest.raises(Exception, match="twice in `training_step` with different arguments"):
        train(lambda: Twice(), digits, epochs=1, seed=1, quiet=True)


class Tiny(pl.LightningModule):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        loss = self.net(batch[0]).mean()
        self.log("loss", loss, on_step=True, on_epoch=True, batch_size=batch_idx + 1)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-9)


def test_memory_stays_flat() -> None:
    """The batch size is another one in every step: nothing is kept for each."""
    trainer = pl.Trainer(
        max_epochs=6,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    engine.install(trainer, lambda reason: None)
    grown: list[int] = []

    class Measures(pl.Callback):
        """Peak memory at the end of every epoch."""

        def on_train_epoch_end(self, trainer, pl_module):
            grown.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    trainer.callbacks.append(Measures())
    trainer.fit(Tiny(), DataLoader(TensorDataset(torch.randn(3000, 1))))
    assert grown[-1] - grown[1] < 3_000  # KiB
