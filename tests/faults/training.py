"""Trains a subject in a child process, kills it at a chosen moment, resumes it, and tells all that can be compared."""

from __future__ import annotations

import hashlib
import os
import signal
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import default_collate

from jupyter_train import doctor, get_run, runs, train
from jupyter_train.store import MetricReader, RunFolder, run_queries
from jupyter_train.training.checkpoints import callback, schedule
from tests.faults.children import Child
from tests.faults.counts import ENGINE_VARIABLE
from tests.faults.subjects import HIDDEN, SUBJECTS


class Kill(pl.Callback):
    """Ends this process without a word at a moment of the fit.

    Args:
        where: `step`: after the batch with which so many optimizer steps are done; `validation`: inside the so-manieth.
        count: Which one.
        grace_s: How long to wait before, so that what was taken before may reach the disk; or until a checkpoint
            is there: `any`, or the `newest`, of the step before.
    """

    def __init__(self, where: str, count: int, grace_s: float | str) -> None:
        self.where, self.count, self.grace_s = where, count, grace_s
        self.validations = 0

    def _die(self, trainer: pl.Trainer) -> None:
        if isinstance(self.grace_s, str):
            least = trainer.global_step - len(trainer.optimizers) if self.grace_s == "newest" else 1
            while not [one for one in _written(Path(trainer.loggers[0].save_dir)) if one.step >= least]:
                time.sleep(0.01)
        else:
            time.sleep(self.grace_s)
        os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, trainer, *_):
        if self.where == "step" and trainer.global_step >= self.count:
            self._die(trainer)

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, *_):
        if self.where == "validation" and not trainer.sanity_checking and batch_idx == 1:
            self.validations += 1
            if self.validations == self.count:
                self._die(trainer)


Error = type[BaseException] | tuple[signal.Signals, ...]


class Raise(pl.Callback):
    """Fails once at a place of the fit: in a hook of this name, or `forward`, `after forward`, `backward`, `optimizer`.

    Args:
        where: Which place.
        count: Not before so many optimizer steps are done.
        error: What is raised; of signals, what this process sends itself.
    """

    def __init__(self, where: str, count: int, error: Error = RuntimeError) -> None:
        self.where, self.count, self.error = where, count, error
        self.is_set = True
        if where.startswith("on_") or where in ("setup", "teardown"):
            setattr(self, where, self._hook)

    def _raise(self, trainer: Any, is_there: bool = True) -> None:
        is_due = trainer.global_step >= self.count and not trainer.sanity_checking and is_there
        if self.is_set and is_due:
            self.is_set = False
            if isinstance(self.error, type):
                raise self.error("the power went out")
            for number in self.error:
                os.kill(os.getpid(), number)

    def _hook(self, trainer, *arguments, **_):
        is_second = "validation_batch" not in self.where or arguments[-1] == 1
        self._raise(trainer, is_second)

    def on_train_start(self, trainer, pl_module):
        net = pl_module.net
        if self.where == "forward":
            net.register_forward_pre_hook(lambda *_: self._raise(trainer, pl_module.training))
        elif self.where == "after forward":
            net.register_forward_hook(lambda *_: self._raise(trainer, pl_module.training))
        elif self.where == "backward":
            next(net.parameters()).register_hook(lambda _: self._raise(trainer))
        elif self.where == "optimizer":
            trainer.optimizers[0].register_step_pre_hook(lambda *_: self._raise(trainer))
        elif self.where == "after optimizer":
            trainer.optimizers[0].register_step_post_hook(lambda *_: self._raise(trainer))


class Breaks:
    """Collates batches and fails at one of them, in whichever process reads it.

    Args:
        count: How many batches this process reads before.
    """

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self, samples: list[Any]) -> Any:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("the power went out")
        return default_collate(samples)


class Slow(pl.Callback):
    """Waits before every batch."""

    def __init__(self, pause_s: float) -> None:
        self.pause_s = pause_s

    def on_train_batch_start(self, *_):
        time.sleep(self.pause_s)


def carry_out(
    name: str,
    kill: tuple[str, int, float | str] | None,
    changes: dict[str, Any],
    failure: tuple[Any, ...] | None = None,
) -> dict[str, Any]:
    """Trains a subject in this process, taking a checkpoint whenever one can be taken."""
    torch.set_num_threads(1)
    run_queries.QUEUED_TIMEOUT_S = 0.0  # nobody else is about to begin a run here
    if not changes.pop("usual", False):
        schedule.MIN_PERIOD_S, schedule.WRITING_SHARE = 0.0, 100.0
    if only_at := changes.pop("only_at", None):
        _take_only_at(only_at)
    pause_s, workers = changes.pop("slowly", 0.0), changes.pop("workers", None)
    subject = HIDDEN if name == "hidden" else SUBJECTS[name]
    options = {
        "epochs": 3,
        "seed": 7,
        "quiet": True,
        "accelerator": "cpu",
        "engine": _engine(),
        **subject.options,
        **changes,
    }
    options = {name: value for name, value in options.items() if value is not None}
    callbacks = [*subject.callbacks(), *([Kill(*kill)] if kill is not None else []), Slow(pause_s)]
    data = subject.data()
    if workers is not None:
        _read_by(workers, data)
    if failure is not None and failure[0] == "reading":
        data[0].collate_fn = Breaks(failure[1])
    elif failure is not None:
        callbacks.append(Raise(*failure))
    run = train(lambda: subject.model(), data, callback=callbacks, **options)
    return told(run)


def _read_by(workers: int, loaders: Any) -> None:
    for one in loaders:
        one.num_workers, one.prefetch_factor = workers, 2 if workers else None


def may_have_workers(name: str) -> bool:
    """Whether a subject's loaders are made without worker processes, and may as well have some."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # more workers than processors, on purpose
        data = SUBJECTS[name].data()
    return data is not None and data[0].num_workers == 0


def _engine() -> str:
    return os.environ.get(ENGINE_VARIABLE, "lean")


def _take_only_at(step: int) -> None:
    """Checkpoints at one step alone, and when the run is to end."""
    theirs = callback.RunCheckpoint._take_last

    def take(checkpoint: Any, trainer: Any, *arguments: Any, must_wait: bool = False, **options: Any) -> None:
        if trainer.global_step == step or must_wait:
            theirs(checkpoint, trainer, *arguments, must_wait=must_wait, **options)

    callback.RunCheckpoint._take_last = take
    callback.RunCheckpoint._take_best = lambda *_, **__: None


def told(run: Any) -> dict[str, Any]:
    """Everything of a run that must not depend on whether it was interrupted."""
    module = run._module
    states = [one.state_dict() for one in module.trainer.optimizers]
    return {
        "ref": run.ref,
        "weights": digest(module.state_dict()),
        "optimizers": digest(states),
        "rows": rows_of(run),
        "best": run.best,
        "attempts": run.attempts,
        "verified": [one["verified"] for one in run.attempts[1:]],
        "events": [(event.kind, event.text) for event in run.events],
        "status": str(run.status),
        "doctor": [found.message for found in doctor.diagnose() if found.level is doctor.Level.BAD],
    }


def rows_of(run: Any) -> str:
    """Everything that was recorded, bit for bit."""
    frame = run.metrics
    return str(frame[sorted(frame.columns)].to_csv(float_format=lambda value: value.hex()))


def digest(content: Any) -> str:
    """A hash over tensors and plain values in containers."""
    found = hashlib.sha256()
    _feed(found, content)
    return found.hexdigest()


def _feed(found: Any, content: Any) -> None:
    if isinstance(content, torch.Tensor):
        found.update(
            content.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
            if content.ndim
            else repr(content.item()).encode()
        )
    elif isinstance(content, dict):
        for key, value in content.items():
            found.update(repr(key).encode())
            _feed(found, value)
    elif isinstance(content, list | tuple):
        for value in content:
            _feed(found, value)
    else:
        found.update(repr(content).encode())


def whole(name: str, **changes: Any) -> dict[str, Any]:
    """A subject trained without a break."""
    found: dict[str, Any] = Child(carry_out, name, None, changes).result()
    return found


def killed(name: str, where: str, count: int, grace_s: float | str = 0.0, **changes: Any) -> Any:
    """A run of a subject that was killed; the test fails when it was not."""
    assert Child(carry_out, name, (where, count, grace_s), changes).result() is None
    run = get_run(changes["resume"]) if "resume" in changes else runs()[0]
    assert run.status == "lost"
    return run


def carry_out_failing(name: str, failure: tuple[Any, ...], changes: dict[str, Any]) -> str:
    """Trains a subject that fails in this process; gives what reached the user, empty where nothing did."""
    try:
        carry_out(name, None, changes, failure)
    except BaseException as err:  # noqa: BLE001  whatever ends a cell
        return f"{type(err).__name__}: {err}"
    return ""


def failed(name: str, where: str, count: int, error: Error = RuntimeError, **changes: Any) -> Any:
    """A run of a subject that has failed at a place; the test fails when it has not."""
    told = Child(carry_out_failing, name, (where, count, error), changes).result()
    assert told != "", f"nothing was raised at {where} {count}"  # a SIGTERM leaves nothing to report
    run = get_run(changes["resume"]) if "resume" in changes else runs()[0]
    assert run.status in ("failed", "stopped"), told
    return run


def repeated(run: Any) -> list[str]:
    """What a run says of the steps that a resume repeats."""
    return [event.text for event in run.events if "a resume" in event.text]


def killed_midway(name: str, where: str, count: int, grace_s: float = 0.0, **changes: Any) -> Any:
    """A run that was killed when it had a checkpoint to go on from; killed later in a second run, where it had none.

    With accumulated gradients the first checkpoint may lie before the first optimizer step, which is not midway.
    """
    run = killed(name, where, count, grace_s, **changes)
    is_midway = any(one.step > 0 for one in checkpoints(run))
    return run if is_midway else killed(name, where, max(count, 3), "any", **changes)


def resumed(name: str, run: Any, **changes: Any) -> dict[str, Any]:
    """The run, gone on with to its end."""
    return whole(name, resume=run.ref, **changes)


def checkpoints(run: Any) -> list[Any]:
    """Rows of a run's checkpoints."""
    return _written(run.folder)


def _written(folder: Path) -> list[Any]:
    with MetricReader(RunFolder(folder).metrics) as reader:
        return reader.checkpoints()


COMPARED = ("weights", "optimizers", "rows", "best", "status", "doctor")


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What of two runs is not the same."""
    return [f"{name}: {one[name]!r:.2000} for {other[name]!r:.2000}" for name in COMPARED if one[name] != other[name]]
