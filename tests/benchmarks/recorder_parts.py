"""What each part of the recorder costs a step, in microseconds: fastest of many, so that a noisy machine matters less.

The side-by-side ratios of `recorder` say what a user gets; these say where it goes.
"""

from __future__ import annotations

import statistics
import time
import timeit

from tests.benchmarks.recorder import _loader, _model, be_quiet


def _us(work) -> float:
    return min(timeit.repeat(work, number=300, repeat=40)) / 300 * 1e6


def _probe(found: dict[str, float]):
    """A callback that measures our parts in the middle of a real fit."""
    import pytorch_lightning as pl
    from pytorch_lightning.trainer import call

    from jupyter_train.store.writer import Row

    def hooks(trainer, ours, names, *arguments) -> float:
        everybody, cost = trainer.callbacks, 0.0
        for name in names:
            for callbacks, sign in (([], -1), (ours, 1)):
                trainer.callbacks = callbacks
                cost += sign * _us(lambda name=name: call._call_callback_hooks(trainer, name, *arguments))
        trainer.callbacks = everybody
        return cost

    class Probe(pl.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            if trainer.global_step != 30:
                return
            ours = [one for one in trainer.callbacks if type(one).__module__.startswith("jupyter_train")]
            found["hook on_train_batch_start"] = hooks(trainer, ours, ["on_train_batch_start"], batch, batch_idx)
            found["hook on_train_batch_end"] = hooks(trainer, ours, ["on_train_batch_end"], outputs, batch, batch_idx)
            unused = ["on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step"]
            found["four hooks we do not use"] = hooks(trainer, ours, unused)
            logger = trainer.loggers[0]
            step_values = next(one._steps for one in ours if getattr(one, "_steps", None) is not None)
            values, writer = step_values._values(trainer._results), logger._writer
            found["taking the step's values"] = _us(lambda: step_values._values(trainer._results))
            loggers, trainer.loggers = trainer.loggers, []
            theirs = type(trainer._logger_connector).update_train_step_metrics
            found["instead of Lightning's own"] = -_us(lambda: theirs(trainer._logger_connector))
            trainer.loggers = loggers
            found["appending them"] = _us(lambda: logger.record(values, 30)) + self._row(writer, values, Row)

        def _row(self, writer, values, row) -> float:
            """A row's share of a flush; the flush itself goes by time, not by step."""
            spent = {0: 1e9, 200: 1e9}
            for rows in [0, 200] * 20:
                for step in range(rows):
                    writer.add(row(step, 0.0, time.time(), values))
                began = time.thread_time()
                writer.flush()
                spent[rows] = min(spent[rows], time.thread_time() - began)
            found["a flush, every 0.2 to 0.7 s"] = spent[0] * 1e6
            return (spent[200] - spent[0]) / 200 * 1e6

    return Probe()


def _bare_step_us() -> float:
    import pytorch_lightning as pl

    class Clock(pl.Callback):
        def __init__(self):
            self.times = []

        def on_train_batch_start(self, *_):
            self.times.append(time.perf_counter())

    clock = Clock()
    trainer = pl.Trainer(
        max_epochs=20,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        devices=1,
        accelerator="cpu",
        callbacks=[clock],
    )
    trainer.fit(_model(), _loader())
    steps = [(after - before) * 1e6 for before, after in zip(clock.times, clock.times[1:], strict=False)]
    return statistics.quantiles(steps, n=10)[0]


def measure() -> list[dict[str, object]]:
    """Microseconds per step of each part, and their share of a bare step (the fastest tenth of such steps)."""
    from jupyter_train.api import train as api

    be_quiet()
    found: dict[str, float] = {}
    api.train(
        _model(),
        _loader(),
        epochs=1,
        seed=1,
        enable_checkpointing=False,
        accelerator="cpu",
        quiet=True,
        enable_model_summary=False,
        callback=[_probe(found)],
    )
    by_time = found.pop("a flush, every 0.2 to 0.7 s")
    bare = _bare_step_us()
    found["together"] = sum(found.values())
    rows = [{"what": name, "us": round(cost, 1), "of a step": f"{cost / bare:.2%}"} for name, cost in found.items()]
    rows.append(
        {"what": "a flush (the writer's thread)", "us": round(by_time), "of a step": "0.1% to 0.2% of the time"}
    )
    rows.append({"what": "a step of the bare Trainer", "us": round(bare), "of a step": ""})
    return rows
