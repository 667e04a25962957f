"""One attempt at a run, in the process that owns it: recorded from the first row to the last."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import JupyterTrainError, RunStateError, StoreError, TrainingInterrupted
from jupyter_train.execution.environment import environment
from jupyter_train.execution.job import Job, PreparedRun
from jupyter_train.execution.notify import notify
from jupyter_train.execution.workers import crash_report
from jupyter_train.mirrors.process import start_mirror
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter, Store, trust
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.redacted_source import secrets_of_target
from jupyter_train.store.redaction import mask_tree
from jupyter_train.store.run_folder import write_atomically
from jupyter_train.store.runs import Event
from jupyter_train.training.interrupt import AbortTraining, InterruptWatch

if TYPE_CHECKING:
    from jupyter_train.execution.start_point import StartPoint
    from jupyter_train.training.fit import FitContext, FitResult
    from jupyter_train.training.inspection.finders import FinderResult

ABORTED = "interrupted twice; what was recorded until then is kept, the last checkpoint may be missing"


def attempt(
    store: Store,
    job: Job,
    prepared: PreparedRun,
    record: RunRecord,
    interrupt: InterruptWatch,
    again: StartPoint | None = None,
) -> FitResult:
    """From the first row to the last; an Interrupt while the record is being closed waits until it is.

    The caller holds the run's owner lock.

    Raises:
        TrainingInterrupted: The user pressed Interrupt twice.
    """
    from jupyter_train.training.fit import FitContext, with_late_interrupt
    from jupyter_train.training.lightning.ddp import SharedCommandQueue
    from jupyter_train.training.logging.resources import Resources

    if record.status is not RunStatus.RUNNING:  # a run that is taken over runs already
        now = time.time()
        begun = {"started_at": now, "heartbeat_at": now}
        store.set_status(record.key, RunStatus.RUNNING, record.attempt, RunStatus.QUEUED, **begun)
    folder = RunFolder(record.folder)
    verification = again.verification if again is not None else None
    writer = RunWriter(store, record.key, folder, _to_floats, record.attempt, verification)
    _tell_again(again, writer)
    mailbox = CommandChannel(store, record.key, folder, record.attempt)
    writer.at_every_flush(mailbox.exchange)
    writer.at_every_flush(Resources(writer).sample)
    is_spread = prepared.world_size > 1
    if not is_spread:
        writer.at_every_flush(lambda: _stop_start(mailbox, interrupt))
    around = FitContext(
        job.config,
        folder,
        writer,
        SharedCommandQueue(mailbox.inbox) if is_spread else mailbox.inbox,
        mailbox,
        record.ref,
        interrupt,
        job.ckpt_path,
        again.resumption if again is not None else None,
        record.attempt,
        prepared.world_size,
        judge=job.judge,
    )
    try:
        outcome = _recorded(store, job, prepared, record, around, again)
        _tell_verdict(store, record, writer)
        notify(store, record.key, job.config.notify)
    except AbortTraining:
        interrupt.rest()
        mailbox.close()
        writer.close_later(RunStatus.STOPPED, ABORTED)
        raise TrainingInterrupted(ABORTED) from None
    return with_late_interrupt(outcome, interrupt, job.config)


def _recorded(
    store: Store, job: Job, prepared: PreparedRun, record: RunRecord, around: FitContext, again: StartPoint | None
) -> FitResult:
    """The fit, until all of it is recorded; whatever goes wrong beside it ends the run, and nothing goes on writing."""
    from jupyter_train.training.fit import error_summary

    writer = around.writer
    try:
        if words := trust.remark(store, record):
            writer.event("warning", words, 0)
        job.on_start(record, writer)
        if job.config.wandb:
            start_mirror("wandb", store.url, record.key, job.config.wandb, writer)
        outcome = _fit(job, prepared, record, around, again)
        is_broken = prepared.world_size > 1 and isinstance(outcome.error, RuntimeError)
        if is_broken:  # a connection: the other side knows why
            outcome.message = crash_report.rank_words(around.folder.path) or outcome.message
        around.mailbox.close()
        if outcome.status is RunStatus.FINISHED and outcome.trainer is not None:
            writer.settle(outcome.trainer.global_step)
        writer.close(outcome.status, outcome.message)
    except AbortTraining:
        raise
    except BaseException as err:
        around.mailbox.close()
        with contextlib.suppress(RunStateError):  # how it ended is known already
            writer.close(RunStatus.FAILED, str(err) if isinstance(err, JupyterTrainError) else error_summary(err))
        raise
    return outcome


def _stop_start(mailbox: CommandChannel, interrupt: InterruptWatch) -> None:
    """A stop does not wait for a download, or a first batch, that has not come yet."""
    if interrupt.is_starting and any(command.verb == "stop" for command in mailbox.inbox.waiting.copy()):
        interrupt.end_start()


def _tell_again(again: StartPoint | None, writer: RunWriter) -> None:
    if again is None:
        return
    with contextlib.suppress(StoreError), MetricReader(writer.folder.metrics) as reader:  # only shown
        writer.last.update(reader.last())
    writer.summary(**again.summary)
    writer.event("resumed" if again.verification is not None else "forked", again.words, again.step)
    for remark in again.remarks:
        writer.event("warning", remark, again.step)


def _tell_verdict(store: Store, record: RunRecord, writer: RunWriter) -> None:
    """What the comparison came to, where the run ended before it was over."""
    verification = writer.verification
    if verification is not None and not verification.is_over and not verification.is_different:
        words = f"attempt {record.attempt} {verification.words}"
        event = Event(time.time(), verification.step, verification.kind, words, {})
        with contextlib.suppress(StoreError, RunStateError):
            store.add_events(record.key, [event], record.attempt)


def _fit(job: Job, prepared: PreparedRun, record: RunRecord, around: FitContext, again: StartPoint | None) -> FitResult:
    """The fit itself, and what is known of the model before and after it."""
    from jupyter_train.training.checkpoints import initial_weights
    from jupyter_train.training.fit import fit
    from jupyter_train.training.state import seeds

    config, folder, writer, model = job.config, around.folder, around.writer, prepared.model
    assert config.seed is not None
    origin = initial_weights.origin_of(model) if again is None else None
    for remark in job.remarks:
        writer.event("warning", remark, 0)
    for finding in job.findings:
        _tell_finding(finding, around)
    if job.judge is not None:
        words = prepared.source.words
        writer.summary(data=words, initial_state={"sha256": initial_weights.state_hash(model), "kept": False})
        _keep_encoder(prepared, folder, writer)
    elif again is None or again.verification is None:
        _describe(job, folder, writer, prepared, initial_weights.keep(model, folder))
    else:
        _describe_attempt(job, folder, record)
    if origin is not None:
        text = f"continues from run {origin.ref} (step {origin.step:,})"
        writer.event("continues", text, 0, run=origin.run, from_step=origin.step)
    seeds.seed_all(config.seed)
    outcome = fit(prepared.module, prepared.source, around)
    steps = outcome.trainer.global_step if outcome.trainer is not None else 0
    earlier = origin.step if origin is not None else 0
    first_folder, first_hash = record.folder, writer.summary_now().get("initial_state", {}).get("sha256", "")
    if origin is not None:
        first_folder, first_hash = origin.initial_folder, origin.initial_sha256
    initial_weights.mark(
        model, initial_weights.Origin(record.key, record.ref, earlier + steps, first_folder, first_hash)
    )
    return outcome


def _tell_finding(finding: FinderResult, around: FitContext) -> None:
    """What was found, and the finder's plot; its numbers as a table."""
    from jupyter_train.training.logging.run_logger import RunLogger

    around.writer.event("found", finding.words, 0)
    logger = RunLogger(around.writer, around.folder, around.ref)
    with contextlib.suppress(OSError):
        if finding.picture:
            logger.keep_picture("lr_find", finding.picture, 0)
        if finding.curve:
            rows = [list(pair) for pair in finding.curve]
            logger.log_table("lr_find", columns=["lr", "loss"], data=rows, step=0)


def _describe_attempt(job: Job, folder: RunFolder, record: RunRecord) -> None:
    """Adds to the provenance where another attempt was made, and from which cells."""
    described = folder.read_provenance()
    one = {"attempt": record.attempt, **job.provenance, "environment": environment()}
    described["attempts"] = [*described.get("attempts", []), mask_tree(one, secrets_of_target(job.config.notify))]
    with contextlib.suppress(OSError):
        write_atomically(folder.provenance, json.dumps(described, indent=1).encode())


def _describe(job: Job, folder: RunFolder, writer: RunWriter, prepared: PreparedRun, start: dict[str, Any]) -> None:
    """Writes the provenance and what the panel says before the first step; a full disk is said, not raised."""
    from jupyter_train.training.data.fingerprint import fingerprint
    from jupyter_train.training.state.source_code import sources_of

    source = prepared.source
    record = job.config.record
    what = {"model": prepared.model, "data": prepared.data} if record != "code=none" else {}
    described = {
        **job.provenance,
        "environment": environment(),
        "data": fingerprint(source.content) | {"words": source.words},
        "initial_state": start,
        "sources": sources_of(what, record == "code=full"),
    }
    writer.summary(data=source.words, initial_state=start, cell=job.provenance.get("cell", ""))
    if start["bytes"] and not start["kept"]:
        writer.event("initial_state", "of the step-0 weights only the hash is kept (a large model, or a full disk)", 0)
    try:
        masked = mask_tree(described, secrets_of_target(job.config.notify))
        write_atomically(folder.provenance, json.dumps(masked, indent=1).encode())
    except OSError as err:
        writer.event("warning", f"the record of this run is incomplete: {err.strerror or err}", 0)
    _keep_encoder(prepared, folder, writer)


def _keep_encoder(prepared: PreparedRun, folder: RunFolder, writer: RunWriter) -> None:
    """Keeps how rows were encoded, for whoever predicts on others."""
    try:
        if prepared.source.encoder is not None:
            prepared.source.encoder.save(folder)
    except OSError as err:
        writer.event("warning", f"how rows were encoded is not kept: {err.strerror or err}", 0)


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
