"""Carries a run out in this process, blocking, training the model in place."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import TrainingInterrupted
from jupyter_train.execution.environment import environment
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, RunWriter, Store
from jupyter_train.store.folder import write_atomically
from jupyter_train.store.mailbox import Mailbox
from jupyter_train.store.masking import mask_tree
from jupyter_train.store.owner import OwnerLock
from jupyter_train.training.interrupt import AbortTraining, InterruptWatch

if TYPE_CHECKING:
    from jupyter_train.training.fit import Outcome, Surroundings

_ABORTED = "interrupted twice; what was recorded until then is kept, the last checkpoint may be missing"


@dataclass
class Job:
    """A run about to be carried out.

    Attributes:
        config: Checked options.
        build: Gives `(model, data)`; called once the seed is set, so that an expression is part of the run.
        notebook: Path of the notebook, if known.
        parent: Key of the run that started this one, such as a repeated notebook.
        provenance: Cells and parameters, as plain JSON.
        on_start: Called with the record once the run exists.
    """

    config: TrainConfig
    build: Callable[[TrainConfig], tuple[Any, Any]]
    notebook: str = ""
    parent: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    on_start: Callable[[RunRecord, RunWriter], None] = lambda _record, _writer: None
    ckpt_path: str | None = None


@dataclass
class Done:
    """A run that has ended, with what it left in memory."""

    record: RunRecord
    module: Any
    source: Any
    error: BaseException | None


def carry_out(store: Store, job: Job) -> Done:
    """Trains, records, and gives what is left; the error to raise is in the result.

    Raises:
        JupyterTrainError: Model, data or options do not fit; no run was made.
    """
    from jupyter_train.training import initial, seeds
    from jupyter_train.training.fit import check_validation
    from jupyter_train.training.model import as_module, unwrapped
    from jupyter_train.training.source import as_source
    from jupyter_train.training.trainer import check_arguments

    config = job.config
    config.seed = seeds.draw_seed() if config.seed is None else config.seed
    kernel_state = seeds.KernelRandomState()
    try:
        seeds.seed_all(config.seed)
        model, data = job.build(config)
        model = unwrapped(model)
        if config.reinit:
            initial.reinitialise(model)
        module = as_module(model, config)
        source = as_source(data, config, module, config.seed)
        check_validation(module, source, config)
        check_arguments(config)
        return _run(store, job, model, module, source)
    finally:
        kernel_state.restore()


def _run(store: Store, job: Job, model: Any, module: Any, source: Any) -> Done:
    config = job.config
    record = store.create_run(
        config.name or type(model).__name__, config=config.to_json(), notebook=job.notebook,
        parent=job.parent, note=config.note or "", tags=list(config.tag),
    )  # fmt: skip
    lock = OwnerLock(RunFolder(record.folder).lock)
    lock.acquire()
    try:
        with InterruptWatch() as interrupt:
            outcome = _attempt(store, job, model, module, source, record, interrupt)
    finally:
        lock.release()
    return Done(store.get(record.key), module, source, outcome.error)


def _attempt(
    store: Store, job: Job, model: Any, module: Any, source: Any, record: RunRecord, interrupt: InterruptWatch
) -> Outcome:
    """From the first row to the last; an Interrupt while the record is being closed waits until it is."""
    from jupyter_train.training.fit import Surroundings, with_late_interrupt

    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time(), heartbeat_at=time.time())
    folder = RunFolder(record.folder)
    writer = RunWriter(store, record.key, folder, _to_floats)
    mailbox = Mailbox(store, record.key, folder)
    writer.at_every_flush(mailbox.exchange)
    around = Surroundings(job.config, folder, writer, mailbox, record.ref, interrupt, job.ckpt_path)
    try:
        job.on_start(record, writer)
        outcome = _fit(job, model, module, source, record, around)
        mailbox.close()
        writer.close(outcome.status, outcome.message)
    except AbortTraining:
        mailbox.close()
        writer.close_later(RunStatus.STOPPED, _ABORTED)
        raise TrainingInterrupted(_ABORTED) from None
    return with_late_interrupt(outcome, interrupt, job.config)


def _fit(job: Job, model: Any, module: Any, source: Any, record: RunRecord, around: Surroundings) -> Outcome:
    """The fit itself, and what is known of the model before and after it."""
    from jupyter_train.training import initial, seeds
    from jupyter_train.training.fit import fit

    config, folder, writer = job.config, around.folder, around.writer
    assert config.seed is not None
    origin = initial.origin_of(model)
    _describe(job, folder, writer, source, initial.keep(model, folder))
    if origin is not None:
        text = f"continues from run {origin.ref} (step {origin.step:,})"
        writer.event("continues", text, 0, run=origin.run, from_step=origin.step)
    seeds.seed_all(config.seed)
    outcome = fit(module, source, around)
    steps = outcome.trainer.global_step if outcome.trainer is not None else 0
    earlier = origin.step if origin is not None else 0
    first_folder = origin.initial_folder if origin is not None else record.folder
    initial.mark(model, initial.Origin(record.key, record.ref, earlier + steps, first_folder))
    return outcome


def _describe(job: Job, folder: RunFolder, writer: RunWriter, source: Any, start: dict[str, Any]) -> None:
    """Writes the provenance and what the panel says before the first step; a full disk is said, not raised."""
    from jupyter_train.training.fingerprint import fingerprint

    described = {
        **job.provenance,
        "environment": environment(),
        "data": fingerprint(source.content) | {"words": source.words},
        "initial_state": start,
    }
    writer.summary(data=source.words, initial_state=start)
    if start["bytes"] and not start["kept"]:
        writer.event("initial_state", "of the step-0 weights only the hash is kept (a large model, or a full disk)", 0)
    try:
        write_atomically(folder.provenance, json.dumps(mask_tree(described), indent=1).encode())
        if source.encoder is not None:
            source.encoder.save(folder)
    except OSError as err:
        writer.event("warning", f"the record of this run is incomplete: {err.strerror or err}", 0)


def _to_floats(values: list[Any]) -> list[float]:
    """Numbers of any kind as floats; tensors on a device are copied in one batch per device."""
    import torch

    floats = [0.0] * len(values)
    on_device: dict[Any, list[int]] = {}
    for index, value in enumerate(values):
        if isinstance(value, torch.Tensor) and value.device.type != "cpu":
            on_device.setdefault(value.device, []).append(index)
        else:
            floats[index] = float(value)
    for indices in on_device.values():
        batch = torch.stack([values[index].detach().double().reshape(()) for index in indices]).cpu()
        for index, number in zip(indices, batch.tolist(), strict=True):
            floats[index] = number
    return floats
