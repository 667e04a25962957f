"""What recorder, store and panel cost: the same Trainer with everything of ours off, interleaved.

The toy model of the field notes: digits, batch 32, one thread, no checkpoints on either side. Each kind trains in a
process of its own, one at a time, a slice of a second or two each, the others stopped meanwhile (SIGSTOP): so the
machine's own slow changes fall on all kinds alike. Two processes of the same kind differ by a few percent for as long
as they live (where their memory came to lie), so each kind is started afresh several times. Starting is not in it;
`start` measures that.

`ratio` compares steps per second by the clock; `by processor` steps per second of processor time, which counts what
our threads do on another core as well but not what other machines on the same host do to this one.
"""

from __future__ import annotations

import logging
import os
import signal
import statistics
import subprocess
import sys
import time
import warnings

SLICE_EPOCHS = 16
GENERATIONS = 8
ROUNDS = 5
BARE = "Trainer, everything off"
KINDS = {
    BARE: "bare",
    f"{BARE}, again": "bare",
    "%train, nobody watching": "unwatched",
    "%train, panel watched": "watched",
}


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


def _pacer():
    """A callback that says how long a slice of epochs took, then waits for the command to continue."""
    import pytorch_lightning as pl

    answers = os.dup(1)

    class Pacer(pl.Callback):
        began = _clocks()

        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch % SLICE_EPOCHS == 0:
                spent = [now - then for now, then in zip(_clocks(), self.began, strict=True)]
                os.write(answers, f"{spent[0]} {spent[1]}\n".encode())
                os.read(0, 1)
                self.began = _clocks()

    return Pacer()


def _clocks() -> tuple[float, float]:
    """Seconds: by the clock, and of all threads of this process on a processor."""
    return time.perf_counter(), time.process_time()


def _sink():
    """A notebook output whose bundles are made, serialised as the kernel does, and thrown away."""
    import json

    from jupyter_train.panel.display import NotebookDisplay

    class Sink(NotebookDisplay):
        def _draw(self, content) -> None:
            json.dumps(content)

    return Sink()


def _train_bare() -> None:
    import pytorch_lightning as pl

    trainer = pl.Trainer(
        max_epochs=100_000,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        devices=1,
        accelerator="cpu",
        callbacks=[_pacer()],
    )
    trainer.fit(_model(), _loader())


def _train_ours(is_watched: bool) -> None:
    from jupyter_train.api import train as api
    from jupyter_train.panel.viewers import VIEWERS

    api.current_display = _sink
    VIEWERS.is_watched = lambda _run: is_watched
    api.train(
        _model(),
        _loader(),
        epochs=100_000,
        seed=1,
        enable_checkpointing=False,
        accelerator="cpu",
        enable_model_summary=False,
        callback=[_pacer()],
    )


class _Trainee:
    """A process that trains slice by slice, and is stopped in between."""

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.recorder", kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answer()
        os.kill(self._process.pid, signal.SIGSTOP)

    def steps_per_s(self) -> tuple[float, float]:
        """Trains one slice; steps per second of the clock and of the processor."""
        os.kill(self._process.pid, signal.SIGCONT)
        os.write(self._process.stdin.fileno(), b".")
        spent = self._answer()
        os.kill(self._process.pid, signal.SIGSTOP)
        return SLICE_EPOCHS * 57 / spent[0], SLICE_EPOCHS * 57 / spent[1]

    def _answer(self) -> list[float]:
        return [float(word) for word in self._process.stdout.readline().split()]

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()


Rates = list[tuple[float, float]]


def measure() -> list[dict[str, object]]:
    """Steps per second, and the median ratio to the two bare Trainers of the same round; those two show the noise."""
    rates: dict[str, Rates] = {name: [] for name in KINDS}
    for _ in range(GENERATIONS):
        _measure_generation(rates)
    pairs = zip(rates[BARE], rates[f"{BARE}, again"], strict=True)
    base = [((one[0] + two[0]) / 2, (one[1] + two[1]) / 2) for one, two in pairs]
    return [_row(name, values, base) for name, values in rates.items()]


def _measure_generation(rates: dict[str, Rates]) -> None:
    trainees = {name: _Trainee(kind) for name, kind in KINDS.items()}
    try:
        for number in range(-1, ROUNDS):
            shift = number % len(KINDS)  # no kind always runs after the same other one
            for name in [*KINDS][shift:] + [*KINDS][:shift]:
                rate = trainees[name].steps_per_s()
                if number >= 0:  # the first round warms up
                    rates[name].append(rate)
    finally:
        for trainee in trainees.values():
            trainee.end()


def _row(name: str, values: Rates, base: Rates) -> dict[str, object]:
    (clock, clock_range), (processor, processor_range) = (
        _ratio([value[which] for value in values], [bare[which] for bare in base]) for which in (0, 1)
    )
    return {
        "what": name,
        "steps/s": round(statistics.median(value[0] for value in values)),
        "ratio": clock,
        "quartiles": clock_range,
        "by processor": processor,
        "its quartiles": processor_range,
        "target": "" if name.startswith(BARE) else ">= 0.95",
    }


def _ratio(values: list[float], base: list[float]) -> tuple[float, str]:
    ratios = sorted(value / bare for value, bare in zip(values, base, strict=True))
    low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
    return round(statistics.median(ratios), 3), f"{low:.3f} to {high:.3f}"


def be_quiet() -> None:
    """One thread, and nothing of what Lightning says."""
    import pytorch_lightning  # noqa: F401  sets its log handlers up, which are taken away below
    import torch

    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = False
    torch.set_num_threads(1)


if __name__ == "__main__":
    be_quiet()
    if sys.argv[1] == "bare":
        _train_bare()
    else:
        _train_ours(is_watched=sys.argv[1] == "watched")
