"""Training speed with everything of ours on, beside stock Lightning, a hand-written PyTorch loop and others.

Each kind trains in a process of its own, one at a time, slice by slice, the others stopped meanwhile (SIGSTOP), so
that the machine's slow changes fall on all kinds alike; every ratio is of slices of the same round. `%train` has its
recorder, store, checkpoints and a watched panel on. Only "digits MLP" has its tensors in memory, as arrays given to
`%train` have; all other tasks read a Dataset of the user's own, sample by sample, in every kind. "arithmetic alone" is
the step on batches that are there already: what no loop can be faster than.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.recorder import _sink, be_quiet
from tests.benchmarks.slices import Trainee, quartiles

#: While a process is stopped its clock stands still: else everything that goes by time would be due in every slice.
_REAL_CLOCK, _STOPPED_S = time.monotonic, [0.0]
GENERATIONS, ROUNDS = 2, 6
PLAIN, STOCK, OURS, ARITHMETIC = "plain PyTorch loop", "stock Lightning, quiet", "%train", "arithmetic alone"
OURS_WANDB, STOCK_WANDB = "%train --wandb (offline)", "stock Lightning + W&B offline"
DEFAULT, LIVELOSSPLOT = "stock Lightning, default", "plain loop + livelossplot"
FEW = (PLAIN, STOCK, OURS, ARITHMETIC)
ALL = (*FEW, OURS_WANDB, DEFAULT, STOCK_WANDB, LIVELOSSPLOT)


@dataclass(frozen=True)
class Task:
    """What is trained.

    Attributes:
        net: Makes the network.
        data: Makes `(inputs, targets)`.
        batch_size: Rows of a batch.
        epochs: Epochs of a slice.
        target: The least ratio of `%train` to the plain loop.
        in_memory: Whether the tensors are given as such.
        kinds: Which are measured.
    """

    net: Callable[[], Any]
    data: Callable[[], Any]
    batch_size: int
    epochs: int
    target: float
    in_memory: bool = False
    kinds: tuple[str, ...] = FEW


def _mlp() -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def _cnn() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def _transformer() -> Any:
    from torch import nn

    class Characters(nn.Module):
        """One layer; the next of 128 characters."""

        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(128, 64)
            self.layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
            self.head = nn.Linear(64, 128)

        def forward(self, text):
            return self.head(self.layer(self.embedding(text)).mean(1))

    return Characters()


def _large() -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(64, 7000), nn.ReLU(), nn.Linear(7000, 7000), nn.ReLU(), nn.Linear(7000, 10))


def _tabular_net() -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


def _digits(rows: int = 1797) -> Any:
    import torch

    from tests.models import digits

    images, labels = digits(rows)
    return torch.from_numpy(images), torch.from_numpy(labels)


def _text() -> Any:
    import torch
    from sklearn.datasets import load_breast_cancer, load_digits

    letters = torch.tensor([min(ord(one), 127) for one in load_digits().DESCR + load_breast_cancer().DESCR])
    windows = letters.unfold(0, 65, 1)[: 57 * 32].contiguous()
    return windows[:, :64].contiguous(), windows[:, 64].contiguous()


def _table() -> Any:
    import torch

    rows = torch.randn(100_000, 20, generator=torch.Generator().manual_seed(0))
    return rows, (rows[:, 0] * rows[:, 1] > 0).long()


TASKS = {
    "digits MLP, in memory": Task(_mlp, _digits, 32, 40, 1.0, True, ALL),
    "digits MLP, own Dataset": Task(_mlp, _digits, 32, 40, 0.90),
    "CNN on digits": Task(_cnn, _digits, 32, 8, 0.97),
    "transformer on text": Task(_transformer, _text, 32, 4, 0.97),
    "table of 100,000 rows": Task(_tabular_net, _table, 256, 1, 0.97),
    "50 M parameters": Task(_large, lambda: _digits(128), 64, 1, 0.98),
}


def _loader(task: Task) -> Any:
    import torch
    from torch.utils.data import DataLoader, Dataset, TensorDataset

    inputs, targets = task.data()

    class Own(Dataset):
        """As people write them."""

        def __len__(self):
            return len(inputs)

        def __getitem__(self, index):
            return inputs[index], targets[index]

    dataset = TensorDataset(inputs, targets) if task.in_memory else Own()
    torch.manual_seed(0)
    return DataLoader(dataset, task.batch_size, shuffle=True)


def _module(task: Task) -> Any:
    import pytorch_lightning as pl
    import torch
    from torch.nn.functional import cross_entropy

    class Module(pl.LightningModule):
        """Logs its loss."""

        def __init__(self):
            super().__init__()
            self.net = task.net()

        def training_step(self, batch, batch_idx):
            loss = cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-3)

    return Module()


class _Slices:
    """Says how long a slice of epochs took, then waits for the command to continue."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._answers = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        self._began = time.perf_counter()

    def epoch_begins(self, epoch: int) -> None:
        """Called before every epoch."""
        if epoch % self._epochs == 0:
            os.write(self._answers, f"{time.perf_counter() - self._began}\n".encode())
            stopped_at = _REAL_CLOCK()
            os.read(0, 1)
            _STOPPED_S[0] += _REAL_CLOCK() - stopped_at
            self._began = time.perf_counter()

    def callback(self) -> Any:
        """The same for a Trainer."""
        import pytorch_lightning as pl

        pacer = self

        class Pacer(pl.Callback):
            """Paces."""

            def on_train_epoch_start(self, trainer, pl_module):
                pacer.epoch_begins(trainer.current_epoch)

        return Pacer()


def _by_hand(task: Task, slices: _Slices, is_fetching: bool, plots: Any = None) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    torch.manual_seed(0)
    net, loader = task.net(), _loader(task)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    batches = loader if is_fetching else list(loader)
    for epoch in range(1_000_000):
        slices.epoch_begins(epoch)
        for inputs, targets in batches:
            loss = cross_entropy(net(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if plots is not None:
            plots.update({"loss": loss.item()})
            plots.send()


def _by_trainer(task: Task, slices: _Slices, **options: Any) -> None:
    import pytorch_lightning as pl

    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_epochs=1_000_000, accelerator="cpu", callbacks=[slices.callback()], default_root_dir=folder, **options
        )
        trainer.fit(_module(task), _loader(task))


def _by_us(task: Task, slices: _Slices, **options: Any) -> None:
    from jupyter_train.api import train as api
    from jupyter_train.panel.viewers import VIEWERS

    api.current_display = _sink
    VIEWERS.is_watched = lambda _run: True
    api.train(
        _module(task),
        _loader(task),
        epochs=1_000_000,
        seed=1,
        accelerator="cpu",
        callback=[slices.callback()],
        **options,
    )


def _train(task: Task, kind: str) -> None:
    slices = _Slices(task.epochs)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    if kind in (PLAIN, ARITHMETIC):
        _by_hand(task, slices, kind == PLAIN)
    elif kind == LIVELOSSPLOT:
        from livelossplot import PlotLosses

        _by_hand(task, slices, True, PlotLosses())
    elif kind in (OURS, OURS_WANDB):
        _by_us(task, slices, **({"wandb": "benchmark"} if kind == OURS_WANDB else {}))
    elif kind == STOCK_WANDB:
        from pytorch_lightning.loggers import WandbLogger

        _by_trainer(task, slices, **{**quiet, "logger": WandbLogger(project="benchmark", offline=True)})
    else:
        _by_trainer(task, slices, **(quiet if kind == STOCK else {}))


def measure() -> list[dict[str, object]]:
    """Steps per second of every task and kind, and median ratios to the plain loop and to stock Lightning."""
    return [row for name, task in TASKS.items() for row in _measure_task(name, task)]


def _measure_task(name: str, task: Task) -> list[dict[str, object]]:
    kinds = [kind for kind in task.kinds if kind != LIVELOSSPLOT or importlib.util.find_spec("livelossplot")]
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    steps = task.epochs * -(-len(task.data()[0]) // task.batch_size)
    for _ in range(GENERATIONS):
        trainees = {kind: Trainee("tests.benchmarks.train", name, kind) for kind in kinds}
        try:
            for number in range(-1, ROUNDS):
                shift = number % len(kinds)  # no kind always runs after the same other one
                for kind in kinds[shift:] + kinds[:shift]:
                    spent_s = trainees[kind].slice()
                    if number >= 0:  # the first round warms up
                        rates[kind].append(steps / spent_s)
        finally:
            for trainee in trainees.values():
                trainee.end()
    return [_row(name, task, kind, rates) for kind in kinds]


def _row(name: str, task: Task, kind: str, rates: dict[str, list[float]]) -> dict[str, object]:
    to_plain, to_stock = (quartiles(rates[kind], rates[base]) for base in (PLAIN, STOCK))
    targets = {OURS: f">= {task.target}" + (", 3.0 of stock" if task.in_memory else "")}
    if kind == OURS_WANDB:
        targets[kind] = f"{quartiles(rates[kind], rates[OURS])[1]:.3f} of %train (>= 0.97)"
    return {
        "task": name,
        "kind": kind,
        "steps/s": round(statistics.median(rates[kind]), 1 if rates[kind][0] < 100 else None),
        "of plain": round(to_plain[1], 3),
        "its quartiles": f"{to_plain[0]:.3f} to {to_plain[2]:.3f}",
        "of stock": round(to_stock[1], 2),
        "their quartiles": f"{to_stock[0]:.2f} to {to_stock[2]:.2f}",
        "target": targets.get(kind, ""),
    }


if __name__ == "__main__":
    time.monotonic = lambda: _REAL_CLOCK() - _STOPPED_S[0]
    be_quiet()
    _train(TASKS[sys.argv[1]], sys.argv[2])
