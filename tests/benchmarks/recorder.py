"""What recorder, store and panel cost: the same Trainer with everything of ours off, interleaved.

The toy model of the field notes: digits, batch 32, one thread, no checkpoints on either side.
"""

from __future__ import annotations

import logging
import statistics
import time
import warnings

EPOCHS = 16
REPEATS = 16
BARE = "Trainer, everything off"


def _model():
    import pytorch_lightning as pl
    import torch
    from torch import nn

    class Toy(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

        def training_step(self, batch, batch_idx):
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-3)

    return Toy()


def _loader():
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from tests.models import digits

    images, labels = digits(1797)
    return DataLoader(TensorDataset(torch.from_numpy(images), torch.from_numpy(labels)), batch_size=32, shuffle=True)


class _Timer:
    """Seconds of the epochs themselves: start and end of the run are measured elsewhere."""

    def __init__(self):
        import pytorch_lightning as pl

        class Callback(pl.Callback):
            seconds = 0.0

            def on_train_epoch_start(self, trainer, module):
                self.began = time.perf_counter()

            def on_train_epoch_end(self, trainer, module):
                if trainer.current_epoch > 0:
                    Callback.seconds += time.perf_counter() - self.began

        self.kind = Callback
        self.callback = Callback()


def _stock(loader) -> float:
    import pytorch_lightning as pl

    timer = _Timer()
    trainer = pl.Trainer(
        max_epochs=EPOCHS, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, devices=1, accelerator="cpu", callbacks=[timer.callback],
    )  # fmt: skip
    trainer.fit(_model(), loader)
    return (EPOCHS - 1) * len(loader) / timer.kind.seconds


def _sink():
    """A notebook output whose bundles are made, serialised as the kernel does, and thrown away."""
    import json

    from jupyter_train.panel.screen import NotebookScreen

    class Sink(NotebookScreen):
        def _draw(self, content) -> None:
            json.dumps(content)

    return Sink()


def _ours(loader, is_watched: bool) -> float:
    from jupyter_train import api
    from jupyter_train.panel.watchers import WATCHERS

    kept = api.screen_here, WATCHERS.is_watched
    api.screen_here = _sink
    WATCHERS.is_watched = lambda _run: is_watched
    timer = _Timer()
    try:
        api.train(
            _model(), loader, epochs=EPOCHS, seed=1, enable_checkpointing=False, accelerator="cpu",
            enable_model_summary=False, callback=[timer.callback],
        )  # fmt: skip
    finally:
        api.screen_here, WATCHERS.is_watched = kept
    return (EPOCHS - 1) * len(loader) / timer.kind.seconds


def measure() -> list[dict[str, object]]:
    """Steps per second, and the median ratio to the two bare Trainers of the same round; those two show the noise."""
    import pytorch_lightning  # noqa: F401  sets its log handlers up, which are taken away below
    import torch

    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = False
    torch.set_num_threads(1)
    loader = _loader()
    kinds = {
        BARE: lambda: _stock(loader),
        f"{BARE}, again": lambda: _stock(loader),
        "%train, nobody watching": lambda: _ours(loader, False),
        "%train, panel watched": lambda: _ours(loader, True),
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for name in kinds:
        kinds[name]()  # warm
    for number in range(REPEATS):
        shift = number % len(kinds)  # no kind always runs after the same other one
        names = [*kinds][shift:] + [*kinds][:shift]
        for name in names:
            rates[name].append(kinds[name]())
    base = [(one + two) / 2 for one, two in zip(rates[BARE], rates[f"{BARE}, again"], strict=True)]
    return [_row(name, values, base) for name, values in rates.items()]


def _row(name: str, values: list[float], base: list[float]) -> dict[str, object]:
    ratios = sorted(value / bare for value, bare in zip(values, base, strict=True))
    low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
    return {
        "what": name,
        "steps/s": round(statistics.median(values)),
        "ratio": round(statistics.median(ratios), 3),
        "quartiles": f"{low:.3f} to {high:.3f}",
        "target": "" if name.startswith(BARE) else ">= 0.95",
    }
