"""One attempt at a run, in the process that owns it: recorded from the first row to the last."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from jupyter_train.events import EventKind
from jupyter_train.exceptions import JupyterTrainError, RunStateError, StoreError, TrainingInterrupted
from jupyter_train.execution.environment import environment
from jupyter_train.execution.notify import notify
from jupyter_train.execution.preparation import PreparedRun
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.execution.workers import crash_report
from jupyter_train.mirrors.process import start_mirror
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter, Store, trust
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.redacted_source import secrets_of_target
from jupyter_train.store.redaction import error_summary, mask_tree
from jupyter_train.store.run_folder import write_atomically
from jupyter_train.training.interrupt import AbortTraining, InterruptWatch
from jupyter_train.training.state.source_code import read_sources

if TYPE_CHECKING:
    from jupyter_train.training.checkpoints.resume import StartPoint
    from jupyter_train.training.fit_context import FitContext
    from jupyter_train.training.inspection.finders import FinderResult
    from jupyter_train.training.result import RunResult
    from jupyter_train.training.run_observer import RunObserver

ABORTED = "interrupted twice; what was recorded until then is kept, the last checkpoint may be missing"


def attempt(
    store: Store,
    spec: RunSpec,
    prepared: PreparedRun,
    record: RunRecord,
    interrupt: InterruptWatch,
    start: StartPoint | None,
    observer: RunObserver,
) -> RunResult:
    """Fits, and records everything from the first row to the last.

    The caller holds the run's lock. An Interrupt while the record is being closed waits until it is.

    Args:
        store: Where the run is recorded.
        spec: What was requested.
        prepared: Its model and data.
        record: The run's row.
        interrupt: Says whether the user pressed Interrupt.
        start: Where it is resumed or forked from; None for a new run.
        observer: Follows it.

    Raises:
        TrainingInterrupted: The user pressed Interrupt twice.
    """
    from jupyter_train.training.fit import with_late_interrupt
    from jupyter_train.training.fit_context import FitContext
    from jupyter_train.training.lightning.ddp import SharedCommandQueue
    from jupyter_train.training.logging.resources import Resources

    if record.status is not RunStatus.RUNNING:  # a run that is taken over runs already
        now = time.time()
        begun = {"started_at": now, "heartbeat_at": now}
        store.set_status(record.key, RunStatus.RUNNING, record.attempt, RunStatus.QUEUED, **begun)
    folder = RunFolder(record.folder)
    replay_check = start.replay_check if start is not None else None
    writer = RunWriter(store, record.key, folder, _to_floats, record.attempt, replay_check)
    _record_start(start, writer)
    channel = CommandChannel(store, record.key, folder, record.attempt)
    writer.at_every_flush(channel.exchange)
    writer.at_every_flush(Resources(writer).sample)
    is_spread = prepared.world_size > 1
    if not is_spread:
        writer.at_every_flush(lambda: _stop_start(channel, interrupt))
    context = FitContext(
        config=spec.config,
        record=record,
        folder=folder,
        writer=writer,
        queue=SharedCommandQueue(channel.inbox) if is_spread else channel.inbox,
        channel=channel,
        interrupt=interrupt,
        start=start,
        ckpt_path=spec.ckpt_path,
        role=spec.role,
        observer=observer,
        world_size=prepared.world_size,
    )
    try:
        result = _recorded(store, spec, prepared, context)
        _record_verdict(store, record, writer)
        notify(store, record.key, spec.config.notify)
    except AbortTraining:
        interrupt.rest()
        channel.close()
        writer.close_later(RunStatus.STOPPED, ABORTED)
        raise TrainingInterrupted(ABORTED) from None
    return with_late_interrupt(result, interrupt, spec.config)


def _recorded(store: Store, spec: RunSpec, prepared: PreparedRun, context: FitContext) -> RunResult:
    """The fit, until all of it is recorded; whatever goes wrong beside it ends the run, and nothing writes on."""
    writer, record = context.writer, context.record
    try:
        if warning := trust.sharing_warning(store, record):
            writer.event(EventKind.WARNING, warning, 0)
        context.observer.on_start(record, writer)
        if spec.config.wandb:
            start_mirror("wandb", store.url, record.key, spec.config.wandb, writer)
        result = _fit(spec, prepared, context)
        is_broken = prepared.world_size > 1 and isinstance(result.error, RuntimeError)
        if is_broken:  # a connection: the other side knows why
            result.message = crash_report.rank_message(context.folder.path) or result.message
        context.channel.close()
        if result.status is RunStatus.FINISHED and result.trainer is not None:
            writer.settle(result.trainer.global_step)
        writer.close(result.status, result.message)
    except AbortTraining:
        raise
    except BaseException as err:
        context.channel.close()
        with contextlib.suppress(RunStateError):  # how it ended is known already
            writer.close(RunStatus.FAILED, str(err) if isinstance(err, JupyterTrainError) else error_summary(err))
        raise
    return result


def _stop_start(channel: CommandChannel, interrupt: InterruptWatch) -> None:
    """A stop does not wait for a download, or a first batch, that has not come yet."""
    if interrupt.is_starting and any(command.verb == "stop" for command in channel.inbox.waiting.copy()):
        interrupt.end_start()


def _record_start(start: StartPoint | None, writer: RunWriter) -> None:
    """Records where a run is resumed or forked from; nothing of a new one."""
    if start is None:
        return
    with contextlib.suppress(StoreError), MetricReader(writer.folder.metrics) as reader:  # only shown
        writer.last.update(reader.last())
    writer.summary(**start.summary)
    kind = EventKind.RESUMED if start.replay_check is not None else EventKind.FORKED
    writer.event(kind, start.description, start.step)
    for remark in start.remarks:
        writer.event(EventKind.WARNING, remark, start.step)


def _record_verdict(store: Store, record: RunRecord, writer: RunWriter) -> None:
    """Records what the comparison with earlier attempts came to, where the run ended before it was over."""
    verification = writer.verification
    if verification is not None and not verification.is_over and not verification.is_different:
        with contextlib.suppress(StoreError, RunStateError):
            store.add_events(record.key, [verification.event()], record.attempt)


def _fit(spec: RunSpec, prepared: PreparedRun, context: FitContext) -> RunResult:
    """The fit itself, and what is known of the model before and after it."""
    from jupyter_train.training.checkpoints import initial_weights
    from jupyter_train.training.fit import fit
    from jupyter_train.training.state import seeds

    config, folder, writer, model = spec.config, context.folder, context.writer, prepared.model
    record, start = context.record, context.start
    assert config.seed is not None
    origin = initial_weights.origin_of(model) if start is None else None
    for remark in prepared.remarks:
        writer.event(EventKind.WARNING, remark, 0)
    for finding in prepared.findings:
        _record_finding(finding, context)
    if context.is_trial:
        rows = prepared.source.description
        writer.summary(data=rows, initial_state={"sha256": initial_weights.state_hash(model), "kept": False})
        _keep_encoder(prepared, folder, writer)
    elif start is None or start.replay_check is None:
        _describe(spec, folder, writer, prepared, initial_weights.save_initial_weights(model, folder))
    else:
        _describe_attempt(spec, folder, record)
    if origin is not None:
        text = f"continues from run {origin.ref} (step {origin.step:,})"
        writer.event(EventKind.CONTINUES, text, 0, run=origin.run, from_step=origin.step)
    seeds.seed_all(config.seed)
    result = fit(prepared.module, prepared.source, context)
    steps = result.trainer.global_step if result.trainer is not None else 0
    earlier = origin.step if origin is not None else 0
    first_folder, first_hash = record.folder, writer.current_summary().get("initial_state", {}).get("sha256", "")
    if origin is not None:
        first_folder, first_hash = origin.initial_folder, origin.initial_sha256
    initial_weights.set_origin(
        model, initial_weights.Origin(record.key, record.ref, earlier + steps, first_folder, first_hash)
    )
    return result


def _record_finding(finding: FinderResult, context: FitContext) -> None:
    """What was found, and the finder's plot; its numbers as a table."""
    from jupyter_train.training.logging.run_logger import RunLogger

    context.writer.event(EventKind.FOUND, finding.words, 0)
    logger = RunLogger(context.writer, context.folder, context.record.ref)
    with contextlib.suppress(OSError):
        if finding.picture:
            logger.keep_picture("lr_find", finding.picture, 0)
        if finding.curve:
            rows = [list(pair) for pair in finding.curve]
            logger.log_table("lr_find", columns=["lr", "loss"], data=rows, step=0)


def _describe_attempt(spec: RunSpec, folder: RunFolder, record: RunRecord) -> None:
    """Adds to the provenance where another attempt was made, and from which cells."""
    described = folder.read_provenance()
    entry = {"attempt": record.attempt, **spec.provenance, "environment": environment()}
    described["attempts"] = [*described.get("attempts", []), mask_tree(entry, secrets_of_target(spec.config.notify))]
    with contextlib.suppress(OSError):
        write_atomically(folder.provenance, json.dumps(described, indent=1).encode())


def _describe(
    spec: RunSpec, folder: RunFolder, writer: RunWriter, prepared: PreparedRun, start: dict[str, Any]
) -> None:
    """Writes the provenance and what the panel says before the first step; a full disk is said, not raised."""
    from jupyter_train.training.data.fingerprint import fingerprint

    source = prepared.source
    record = spec.config.record
    what = {"model": prepared.model, "data": prepared.data} if record != "code=none" else {}
    described = {
        **spec.provenance,
        "environment": environment(),
        "data": fingerprint(source.content) | {"words": source.description},
        "initial_state": start,
        "sources": read_sources(what, record == "code=full"),
    }
    writer.summary(data=source.description, initial_state=start, cell=spec.provenance.get("cell", ""))
    if start["bytes"] and not start["kept"]:
        text = "of the step-0 weights only the hash is kept (a large model, or a full disk)"
        writer.event(EventKind.INITIAL_STATE, text, 0)
    try:
        masked = mask_tree(described, secrets_of_target(spec.config.notify))
        write_atomically(folder.provenance, json.dumps(masked, indent=1).encode())
    except OSError as err:
        writer.event(EventKind.WARNING, f"the record of this run is incomplete: {err.strerror or err}", 0)
    _keep_encoder(prepared, folder, writer)


def _keep_encoder(prepared: PreparedRun, folder: RunFolder, writer: RunWriter) -> None:
    """Keeps how rows were encoded, for predictions on other rows."""
    try:
        if prepared.source.encoder is not None:
            prepared.source.encoder.save(folder)
    except OSError as err:
        writer.event(EventKind.WARNING, f"how rows were encoded is not kept: {err.strerror or err}", 0)


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
