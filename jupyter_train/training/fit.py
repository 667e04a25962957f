"""One attempt at a run: fits the model and says how it ended."""

from __future__ import annotations

import contextlib
import traceback
from typing import Any

import pytorch_lightning as pl

from jupyter_train.config import TrainConfig
from jupyter_train.events import EventKind
from jupyter_train.exceptions import DataError, JupyterTrainError, TrainingInterrupted
from jupyter_train.run import RunStatus
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.redaction import error_summary
from jupyter_train.store.writer import RunWriter
from jupyter_train.training import engine
from jupyter_train.training.callbacks.commands import FitCommands
from jupyter_train.training.callbacks.on_nan import watch_non_finite
from jupyter_train.training.callbacks.recorder import Recorder
from jupyter_train.training.checkpoints.callback import RunCheckpoint
from jupyter_train.training.data.data_source import DataSource
from jupyter_train.training.data.loader_position import LoaderOrders
from jupyter_train.training.data.single_row_batches import SingleRowBatches
from jupyter_train.training.fit_context import FitContext
from jupyter_train.training.fit_errors import explained, forget_frames, release_memory
from jupyter_train.training.interrupt import AbortTraining, InterruptWatch, StopTraining
from jupyter_train.training.lightning.patches import LoopPatches, Moment, is_tested
from jupyter_train.training.lightning.safe_points import notify
from jupyter_train.training.lightning.step_metrics import StepMetrics
from jupyter_train.training.logging.console import capture_lightning_output
from jupyter_train.training.logging.run_logger import RunLogger
from jupyter_train.training.result import RunResult
from jupyter_train.training.run_observer import RunObserver
from jupyter_train.training.trainer import (
    known_entry_points,
    log_every_n_steps,
    refuse_model_callbacks,
    trainer_arguments,
    user_callbacks,
    user_loggers,
)

_KEPT = "everything recorded so far is kept"


def fit(module: pl.LightningModule, source: DataSource, context: FitContext) -> RunResult:
    """Fits `module`; never raises for what happens in training.

    Raises:
        AbortTraining: A second Interrupt came while the last checkpoint was being written.
    """
    config, writer = context.config, context.writer
    is_keeping = context.is_owner and config.trainer.get("enable_checkpointing", True)
    checkpoint = RunCheckpoint(context.folder, writer, config, is_keeping)
    commands = FitCommands(context.queue, context.channel, writer, checkpoint, context.interrupt)
    if isinstance(context.channel, CommandChannel):
        watch_non_finite(writer, context.channel.inbox, config.on_nan, lambda: checkpoint.monitors)
    if context.is_trial:
        _watch(checkpoint, commands, context.observer)

    def warn(text: str) -> None:
        writer.event(EventKind.WARNING, text)

    single_rows = SingleRowBatches(source.uses_batch_size)
    with capture_lightning_output(writer.log, warn):
        try:
            patches = _build(context, checkpoint, commands)
            if is_tested():
                single_rows.register(patches)
            patches.install()
        except Exception as err:  # noqa: BLE001  a callback or logger of the user's was refused: recorded, raised
            return RunResult(status=RunStatus.FAILED, message=error_summary(err), error=err)
        trainer = patches.trainer
        try:
            result = _train(trainer, module, source, context, commands)
            single_rows.remove_hooks()
            _finish(trainer, checkpoint, result, writer)
        finally:
            patches.remove()
        if result.status is not RunStatus.FINISHED and not context.is_trial:
            release_memory()
    return result


def _watch(checkpoint: RunCheckpoint, commands: FitCommands, observer: RunObserver) -> None:
    """Notifies the observer of every value; it can end the fit, and says whether its best weights are written."""

    def reached(trainer: pl.Trainer, value: float) -> None:
        message = observer.reached(trainer.current_epoch + 1, value)
        if message and not commands.stopped:
            commands.end(trainer, message)

    checkpoint.on_value = reached
    checkpoint.is_worth_keeping = observer.keeps


def _build(context: FitContext, checkpoint: RunCheckpoint, commands: FitCommands) -> LoopPatches:
    config, writer = context.config, context.writer
    logger = RunLogger(writer, context.folder, context.record.ref, config.record_every)
    if context.checkpoint is not None:  # what is logged before the first step, in a validation, belongs there too
        logger.epoch = float(context.checkpoint.content["epoch"])
    user_given = user_loggers(config)
    arguments = trainer_arguments(config, context.folder, context.world_size)
    with known_entry_points() if context.is_trial else contextlib.nullcontext():
        trainer = pl.Trainer(
            **arguments,
            logger=[logger, *user_given],
            log_every_n_steps=1,
            callbacks=[*user_callbacks(config), checkpoint],
            enable_checkpointing=True,
        )
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        trainer.loggers = [logger]  # Lightning has put one in its place that forgets everything
    patches = commands.patches = LoopPatches(trainer)
    refuse_model_callbacks(patches)
    recorder = Recorder(writer, logger, commands, context.interrupt, checkpoint)
    pace: Any = trainer
    pace.log_every_n_steps = log_every_n_steps(config, bool(user_given) and is_tested())
    if is_tested():
        if config.engine == "lean":
            engine.register(patches, lambda reason: _record_engine(reason, trainer, context))
        recorder.use_safe_points(StepMetrics(patches, logger, bool(user_given)))
        patches.register(Moment.EPOCH_READY, lambda _fetcher: checkpoint.note_epoch_start(trainer))
        notify(patches, recorder)
        if context.is_owner:
            recorder.record_evidence(hashes=not context.is_trial)
        _put_in_order(patches, context, checkpoint)
    else:
        text = "this pytorch-lightning is newer than what was tested: its own loop trains, a resume may not be exact"
        writer.event(EventKind.WARNING, text)
    # first, so that it sees an Interrupt before anything else spends time on the batch
    pace.callbacks.insert(0, recorder)
    return patches


def _put_in_order(patches: LoopPatches, context: FitContext, checkpoint: RunCheckpoint) -> None:
    """The order of samples follows from the seed; a resumed fit continues in the middle of it."""
    trainer, start = patches.trainer, context.checkpoint
    seed = context.config.seed
    assert seed is not None
    by_index = context.config.engine == "lean"
    earlier = start.run_state["orders"] if start is not None else None
    orders = LoaderOrders(seed, start.batches if start is not None else 0, by_index, earlier)
    orders.register(patches)
    orders.on_remark = lambda line: _record_remark(line, context.writer, trainer.global_step)
    checkpoint.add_state(lambda: {"orders": orders.state(trainer), "attempt": context.record.attempt})
    if start is not None:
        start.prepare(patches, orders, context.config)
        checkpoint.prepare_resume()
    if context.writer.verification is not None:
        context.writer.verification.remarks = orders.remarks
    if start is None:  # else the first attempt has said it
        patches.register(Moment.REPORT_SAMPLE_ORDER, lambda: _record_remarks(orders, context.writer))


def _record_engine(reason: str | None, trainer: pl.Trainer, context: FitContext) -> None:
    if reason is None and context.is_trial:
        return  # one of many
    text = "lean loop" if reason is None else f"Lightning's own loop: {reason}"
    context.writer.event(EventKind.ENGINE, text, trainer.global_step)


def _record_remarks(orders: LoaderOrders, writer: RunWriter) -> None:
    for line in orders.remarks:
        _record_remark(line, writer, 0)


def _record_remark(line: str, writer: RunWriter, step: int) -> None:
    writer.event(EventKind.ORDER, f"{line}; a resumed run may differ", step)


def _train(
    trainer: pl.Trainer, module: pl.LightningModule, source: DataSource, context: FitContext, commands: FitCommands
) -> RunResult:
    try:
        path = context.checkpoint.path if context.checkpoint is not None else context.ckpt_path
        _fit(trainer, module, source, path, context.interrupt)
    except (StopTraining, AbortTraining, KeyboardInterrupt) as err:
        forget_frames(err)
        commands.apply_stop_at_start(trainer)
        return _ended_early(trainer, context, commands)
    except SystemExit as err:
        if context.interrupt.is_requested or isinstance(err.__context__, KeyboardInterrupt):
            forget_frames(err)
            return _ended_early(trainer, context, commands)
        if err.code in (None, 0):
            return RunResult(
                status=RunStatus.STOPPED,
                message=f"`sys.exit` at step {trainer.global_step}; {_KEPT}",
                error=err,
                trainer=trainer,
            )
        return RunResult(status=RunStatus.FAILED, message=f"SystemExit: {err.code}", error=err, trainer=trainer)
    except JupyterTrainError as err:
        return RunResult(status=RunStatus.FAILED, message=str(err), error=err, trainer=trainer)
    except Exception as err:  # noqa: BLE001  the user's code failed: recorded, then raised to them
        clear = explained(err, trainer, source)
        message = str(clear) if isinstance(clear, JupyterTrainError) else error_summary(clear)
        return RunResult(status=RunStatus.FAILED, message=message, error=clear, trainer=trainer)
    if trainer.interrupted or commands.stopped:
        return _ended_early(trainer, context, commands)
    return RunResult(status=RunStatus.FINISHED, trainer=trainer)


def _fit(
    trainer: pl.Trainer, module: pl.LightningModule, source: DataSource, path: str | None, interrupt: InterruptWatch
) -> None:
    """Fits; until the first batch a signal ends it wherever it is.

    Raises:
        StopTraining: One did.
    """
    try:
        interrupt.begin_start()
        trainer.fit(module, ckpt_path=path, **source.loaders)
    finally:
        interrupt.has_begun()


def with_late_interrupt(result: RunResult, interrupt: InterruptWatch, config: TrainConfig) -> RunResult:
    """The result, raising for an Interrupt that came when the last step was done."""
    is_late = interrupt.is_requested and not interrupt.ended
    if result.status is RunStatus.FINISHED and is_late and config.on_interrupt == "raise":
        result.error = TrainingInterrupted("interrupted after the last step; the run had just finished")
    return result


def _ended_early(trainer: pl.Trainer, context: FitContext, commands: FitCommands) -> RunResult:
    """After a Stop the cell continues; after an Interrupt it does not."""
    if context.interrupt.ended:
        return RunResult(status=RunStatus.STOPPED, message=context.interrupt.ended, trainer=trainer)
    if commands.stopped and not context.interrupt.is_requested:
        return RunResult(status=RunStatus.STOPPED, message=commands.stopped, trainer=trainer)
    what = "ended by SIGTERM" if context.interrupt.is_terminated else "interrupted"
    text = f"{what} at step {trainer.global_step}; {_KEPT}"
    error = TrainingInterrupted(text) if context.config.on_interrupt == "raise" else None
    return RunResult(status=RunStatus.STOPPED, message=text, error=error, trainer=trainer)


def _finish(trainer: pl.Trainer, checkpoint: RunCheckpoint, result: RunResult, writer: RunWriter) -> None:
    """Keeps what there is."""
    try:
        checkpoint.finish(trainer)
    except Exception as err:  # noqa: BLE001  a checkpoint that cannot be made must not hide how the run ended
        writer.event(EventKind.CHECKPOINT, f"no last checkpoint: {error_summary(err)}")
        writer.log(traceback.format_exc())
    if result.status is not RunStatus.FINISHED:
        how = "failed" if result.status is RunStatus.FAILED else "ended"
        if repeated := checkpoint.describe_repeated(trainer, how):
            writer.event(EventKind.CHECKPOINT, repeated, trainer.global_step)
    if result.status is RunStatus.FAILED and result.error is not None:
        writer.log("".join(traceback.format_exception(result.error)))


def check_validation(module: pl.LightningModule, source: DataSource, config: TrainConfig) -> None:
    """Raises when a validation metric is requested and nothing validates.

    Raises:
        DataError: There is no validation data.
    """
    for option, metric in (("--early-stop", config.early_stop_metric), ("--monitor", config.monitor)):
        if metric is not None and metric.startswith("val") and not source.has_validation(module):
            raise DataError(
                f"`{option} {metric}` needs validation data and there is none; give `(train, validation)`, or watch "
                "a training metric such as `train_loss`"
            )
