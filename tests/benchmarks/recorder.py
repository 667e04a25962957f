"""What recorder, store and panel cost: the same Trainer with everything of ours off, interleaved.

The toy model of the field notes: digits, batch 32, one thread, no checkpoints on either side.
"""

from __future__ import annotations

import logging
import statistics
import time
import warnings

EPOCHS = 12
REPEATS = 11


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


class _Sink:
    """A notebook output whose bundles are made, serialised as the kernel does, and thrown away."""

    def loading(self, words: str) -> None:
        """Nothing."""

    def show(self, snapshot) -> None:
        """All of the work but the socket."""
        import json

        from jupyter_train.panel.bundle import bundle

        json.dumps(bundle(snapshot))

    def clear(self) -> None:
        """Nothing."""


def _ours(loader, is_watched: bool) -> float:
    from jupyter_train import api
    from jupyter_train.panel import live

    kept = api.screen_here, live.WATCHERS.is_watched
    api.screen_here = _Sink
    live.WATCHERS.is_watched = lambda _run: is_watched
    timer = _Timer()
    try:
        api.train(
            _model(), loader, epochs=EPOCHS, seed=1, enable_checkpointing=False, accelerator="cpu",
            enable_model_summary=False, callback=[timer.callback],
        )  # fmt: skip
    finally:
        api.screen_here, live.WATCHERS.is_watched = kept
    return (EPOCHS - 1) * len(loader) / timer.kind.seconds


def measure() -> list[dict[str, object]]:
    """Steps per second, and the median of the paired ratios to the bare Trainer."""
    import torch

    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    loader = _loader()
    kinds = {
        "Trainer, everything off": lambda: _stock(loader),
        "%train, nobody watching": lambda: _ours(loader, False),
        "%train, panel watched": lambda: _ours(loader, True),
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for name in kinds:
        kinds[name]()  # warm
    for _ in range(REPEATS):
        for name, run in kinds.items():
            rates[name].append(run())
    bare = rates["Trainer, everything off"]
    rows = []
    for name, values in rates.items():
        ratios = sorted(value / base for value, base in zip(values, bare, strict=True))
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        rows.append(
            {"what": name, "steps/s": round(statistics.median(values)), "ratio": round(statistics.median(ratios), 3),
             "quartiles": f"{low:.3f} to {high:.3f}", "target": "" if values is bare else ">= 0.95"}
        )  # fmt: skip
    return rows
