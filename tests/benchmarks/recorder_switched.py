"""What recorder, store and panel cost, switched off and on again inside one and the same fit.

Two processes of the same kind differ by several percent for as long as they live on a shared machine, which hides a
cost of two. Here one `%train` goes on for minutes: some epochs with everything of ours, as many with our callbacks and
logger taken out of the trainer and our threads held, in random order within each pair. What waits to be written when
ours is switched off is written when it is on again. The first row switches nothing: it shows the noise.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from typing import Any

from tests.benchmarks.recorder import _loader, _model, _sink, be_quiet

BLOCK_EPOCHS = 4
PAIRS = 240
KINDS = {"nothing, twice": "null", "%train, nobody watching": "unwatched", "%train, panel watched": "watched"}
_DRAWS = 2000


class _Switch:
    """Decides at the start of an epoch whether ours is on, and notes seconds per block with it on and off."""

    def __init__(self, kind: str) -> None:
        self.pairs: list[dict[bool, float]] = []
        self.is_on = True
        self._kind = kind
        self._order = random.Random(1)
        self._plan: list[bool] = []
        self._is_marked = True
        self._began = 0.0

    def hold_threads(self) -> None:
        """Makes writer and panel wait while ours is off."""
        from jupyter_train.panel.viewers import VIEWERS
        from jupyter_train.store.writer import RunWriter

        flush = RunWriter.flush
        RunWriter.flush = lambda writer: flush(writer) if self.is_on else True
        VIEWERS.is_watched = lambda _run: self.is_on and self._kind == "watched"
        VIEWERS.is_nudged = lambda _run: False

    def find(self, trainer: Any) -> None:
        """Remembers what is ours in the trainer."""
        self._callbacks, self._loggers = trainer.callbacks, trainer.loggers
        self._ours = trainer._logger_connector.update_train_step_metrics

    def at_epoch(self, trainer: Any, callback: Any) -> None:
        """The clock, and the switch."""
        block, rest = divmod(trainer.current_epoch, BLOCK_EPOCHS)
        if rest or not block:  # the first block warms up
            return
        if block > 1:
            self.pairs[-1][self._is_marked] = time.perf_counter() - self._began
        if not self._plan:
            if len(self.pairs) == PAIRS:
                self._set(trainer, callback, True)
                trainer.should_stop = True
                return
            self._plan = self._order.sample([True, False], 2)
            self.pairs.append({})
        self._is_marked = self._plan.pop()
        self._set(trainer, callback, self._is_marked or self._kind == "null")
        self._began = time.perf_counter()

    def _set(self, trainer: Any, callback: Any, is_on: bool) -> None:
        self.is_on = is_on
        trainer.callbacks = self._callbacks if is_on else [callback]
        trainer.loggers = self._loggers if is_on else []
        connector = trainer._logger_connector
        if is_on:
            connector.update_train_step_metrics = self._ours
        else:
            connector.__dict__.pop("update_train_step_metrics", None)


def _train(kind: str) -> None:
    import pytorch_lightning as pl

    from jupyter_train.api import train as api

    class Callback(pl.Callback):
        def on_fit_start(self, trainer, module) -> None:
            switch.find(trainer)

        def on_train_epoch_start(self, trainer, module) -> None:
            switch.at_epoch(trainer, self)

    api.current_display = _sink
    switch = _Switch(kind)
    switch.hold_threads()
    api.train(
        _model(),
        _loader(),
        epochs=100_000,
        seed=1,
        enable_checkpointing=False,
        accelerator="cpu",
        enable_model_summary=False,
        callback=[Callback()],
    )
    print(json.dumps([[pair[True], pair[False]] for pair in switch.pairs]))


def measure() -> list[dict[str, object]]:
    """The median ratio of speed with everything on to everything off, and where it lies with 95 % confidence."""
    rows = []
    for name, kind in KINDS.items():
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.recorder_switched", kind],
            capture_output=True,
            text=True,
            check=True,
        )
        pairs = json.loads(done.stdout.splitlines()[-1])
        ratios = [off / on for on, off in pairs]
        draw = random.Random(1)
        medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(_DRAWS))
        low, high = medians[_DRAWS // 40], medians[-1 - _DRAWS // 40]
        rows.append(
            {
                "what": name,
                "steps/s": round(BLOCK_EPOCHS * 57 / statistics.median(on for on, _ in pairs)),
                "ratio": round(statistics.median(ratios), 3),
                "95 %": f"{low:.3f} to {high:.3f}",
                "target": "" if kind == "null" else ">= 0.97",
            }
        )
    return rows


if __name__ == "__main__":
    be_quiet()
    _train(sys.argv[1])
