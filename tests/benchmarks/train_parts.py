"""Where a step of `%train` goes, part by part, on tasks whose target is missed or near; everything on.

Each part is a function with a clock around it; a clock costs about 0.3 us itself, and those inside a part are in its
time. Parts that lie in others are indented. `plain loop` beside it is the same work in a hand-written loop.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from tests.benchmarks.recorder import _sink, be_quiet
from tests.benchmarks.train import TASKS, _loader, _module

#: Epochs of each task.
EPOCHS = {"digits MLP, own Dataset": 150, "CNN on digits": 40, "table of 100,000 rows": 6}
_ALL = "a step, all in all"


def _parts() -> list[tuple[str, Any, str]]:
    from torch.utils.data._utils.fetch import _MapDatasetFetcher

    from jupyter_train.training.callbacks import recorder
    from jupyter_train.training.checkpoints.callback import RunCheckpoint
    from jupyter_train.training.engine import log_cache, loop, optimization, step, transfer
    from jupyter_train.training.lightning import step_metrics

    return [
        ("fetching a batch", _MapDatasetFetcher, "fetch"),
        ("to the device", transfer.Transfer, "__call__"),
        ("optimizer's step, with all in it", step.Step, "__call__"),
        ("  training_step, with self.log", optimization.ClosureParts, "forward"),
        ("    self.log", log_cache.ResultCache, "log"),
        ("  zero_grad", optimization.ClosureParts, "zero"),
        ("  backward", optimization.ClosureParts, "backward"),
        ("taking the step's values", step_metrics.StepMetrics, "take"),
        ("after the step: progress, commands", recorder.Recorder, "after_step"),
        ("what follows a batch", loop._Epoch, "advance_end"),
        ("checkpoints, and the random state kept for them", RunCheckpoint, "at"),
        ("before a batch: Interrupt, commands, rates", recorder.Recorder, "before_batch"),
    ]


def measure() -> list[dict[str, object]]:
    """Microseconds of a step by part."""
    be_quiet()
    from jupyter_train.api import train as api
    from jupyter_train.panel.viewers import VIEWERS

    spent: dict[str, float] = defaultdict(float)
    parts = _parts()
    for name, owner, function in parts:
        setattr(owner, function, _timed(getattr(owner, function), spent, name))
    api.current_display = _sink
    VIEWERS.is_watched = lambda _run: True
    rows: list[dict[str, object]] = []
    for name, epochs in EPOCHS.items():
        task = TASKS[name]
        plain, steps = _plain(task, epochs)
        spent.clear()
        began = time.perf_counter()
        api.train(_module(task), _loader(task), epochs=epochs, seed=1, accelerator="cpu")
        spent[_ALL] = time.perf_counter() - began
        rows += [
            {"task": name, "part": part, "us": round(spent[part] / steps * 1e6, 1), "plain loop": plain.get(part, "")}
            for part in [*(part for part, _, _ in parts), _ALL]
        ]
    return rows


def _timed(work: Any, spent: dict[str, float], name: str) -> Any:
    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return work(*arguments, **named)
        finally:
            spent[name] += time.perf_counter() - began

    return timed


def _plain(task: Any, epochs: int) -> tuple[dict[str, float], int]:
    """Microseconds of a step by part, and how many steps there were."""
    import torch
    from torch.nn.functional import cross_entropy

    net, loader = task.net(), _loader(task)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    spent: dict[str, float] = defaultdict(float)
    began = last = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[name] += now - last
        last = now

    steps = 0
    for _ in range(epochs):
        for inputs, targets in loader:
            lap("fetching a batch")
            loss = cross_entropy(net(inputs), targets)
            lap("  training_step, with self.log")
            optimizer.zero_grad()
            lap("  zero_grad")
            loss.backward()
            lap("  backward")
            optimizer.step()
            lap("rest of the optimizer's step")
            steps += 1
    whole = time.perf_counter() - began
    spent["optimizer's step, with all in it"] = whole - spent["fetching a batch"]
    spent[_ALL] = whole
    return {name: round(value / steps * 1e6, 1) for name, value in spent.items()}, steps
