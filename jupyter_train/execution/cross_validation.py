"""A run of several fits: one for each fold of a cross-validation, or each seed; its curves are their mean."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_train.config import TrainConfig
from jupyter_train.events import EventKind, RunKind
from jupyter_train.exceptions import TrainingInterrupted
from jupyter_train.execution import inline
from jupyter_train.execution.fit_specs import FitSpec, fit_specs_of, spec_of
from jupyter_train.execution.model_copies import ModelCopies
from jupyter_train.execution.notify import notify
from jupyter_train.execution.preparation import PreparedRun, prepare
from jupyter_train.execution.resume_fits import begin_attempt_at_fits, is_over
from jupyter_train.execution.run_spec import Build, RunSpec, create
from jupyter_train.run import RunRecord, RunRole, RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter, Store
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.commands import APPLIED, REFUSED, Answer
from jupyter_train.store.metrics.reader import SPREAD
from jupyter_train.store.redaction import one_line
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.takeover import own
from jupyter_train.store.text_columns import listed
from jupyter_train.store.writer import Row
from jupyter_train.training.interrupt import InterruptWatch
from jupyter_train.training.result import RunResult
from jupyter_train.training.run_observer import RunObserver

if TYPE_CHECKING:
    from jupyter_train.store.metrics.blocks import Point


def is_repeated(config: TrainConfig) -> bool:
    """Whether these options ask for several fits."""
    return config.cv is not None or config.seeds is not None


def run_cross_validation(
    store: Store,
    spec: RunSpec,
    build: Build,
    observer: RunObserver,
    owned: tuple[RunRecord, RunLock] | None = None,
) -> RunResult:
    """Trains fit after fit, and records mean and standard deviation over them.

    Args:
        store: Where it is recorded.
        spec: What was requested.
        build: Gives model and data.
        observer: Follows the run; a trial's is notified of the mean after every fit.
        owned: The run and its lock, where it has been recorded already and this process owns it.

    Raises:
        JupyterTrainError: Model, data or options do not fit; no run was made.
    """
    parts = fit_specs_of(spec.config)
    copies = ModelCopies(build)
    first = prepare(spec_of(spec, parts[0], None), copies)  # refuses what does not fit before anything is recorded
    if spec.config.resume is not None:
        record, lock, earlier = begin_attempt_at_fits(store, spec, parts, first)
    else:
        if owned is None:
            record = create_cross_validation(store, spec, first)
            owned = record, own(record)
        (record, lock), earlier = owned, {}
    try:
        if spec.config.resume is None:
            store.set_status(record.key, RunStatus.RUNNING, started_at=time.time(), heartbeat_at=time.time())
        with InterruptWatch() as interrupt:
            run = CrossValidationRun(store, spec, copies, observer, store.get(record.key), parts, interrupt, earlier)
            result = run.train()
    finally:
        lock.release()
    interrupt.pass_on()
    return result


def create_cross_validation(store: Store, spec: RunSpec, first: PreparedRun, goes_elsewhere: bool = False) -> RunRecord:
    """A QUEUED run for several fits; see `create`.

    Raises:
        StoreError: It cannot be recorded.
    """
    kind = RunKind.CROSS_VALIDATION if spec.role is RunRole.TRAIN else spec.role.value
    return create(store, spec, first.model, kind, goes_elsewhere)


class CrossValidationRun:
    """The run while its parts train."""

    def __init__(
        self,
        store: Store,
        spec: RunSpec,
        build: ModelCopies,
        observer: RunObserver,
        record: RunRecord,
        parts: Sequence[FitSpec],
        interrupt: InterruptWatch,
        earlier: Mapping[tuple[int | None, int], RunRecord],
    ) -> None:
        self._interrupt = interrupt
        self._build = build
        self._observer = observer
        self._store = store
        self._spec = spec
        self._record = record
        self._parts = parts
        folder = RunFolder(record.folder)
        self._writer = RunWriter(store, record.key, folder, None, record.attempt)
        self._channel = CommandChannel(store, record.key, folder, record.attempt)
        self._writer.at_every_flush(self._channel.exchange)
        self._done = [fit for part in parts if (fit := earlier.get(part.place)) is not None and is_over(fit, part)]
        self._left = [part for part in parts if not is_over(earlier.get(part.place), part)]
        for part in self._left:  # an interrupted fit is resumed
            part.config.resume = earlier[part.place].key if part.place in earlier else None
        self._stopped = ""
        self._without_loss: dict[str, str] = {}

    def train(self) -> RunResult:
        """All fits, or as far as they came."""
        self._observer.on_start(self._record, self._writer)
        result, error = None, None
        status, message = RunStatus.FAILED, ""
        try:
            self._record_progress()
            for part in self._left:
                spec = spec_of(self._spec, part, self._record.key)
                prepared = prepare(spec, self._build, self._store)
                if part is self._parts[0]:
                    self._describe_first(prepared)
                result = inline.run_inline(self._store, spec, prepared, RunObserver())
                fit, error = result.recorded, result.error
                if error is None and fit.status is RunStatus.FINISHED:
                    self._done.append(fit)
                    self._record_progress()
                    self._record_means()
                    self._notify_observer()
                self._apply_commands()
                if error is not None or fit.status is RunStatus.FAILED:
                    message = f"{part.label}: {fit.message}"
                    break
                if fit.ended_with:
                    self._without_loss[part.label] = fit.ended_with
                if fit.status is RunStatus.STOPPED and not self._stopped:
                    reason = f": {fit.message}" if fit.message else ""
                    self._stopped = f"stopped in {part.label}{reason}"
                if self._stopped:
                    break
            is_interrupted = self._interrupt.is_requested and not self._interrupt.ended
            if is_interrupted and error is None and self._spec.config.on_interrupt == "raise":
                error = TrainingInterrupted(f"`{self._record.ref}` was {self._stopped}; what they recorded is kept")
            status, message = self._outcome(error, message)
        except BaseException as err:
            message = one_line(str(err), 500) or type(err).__name__
            raise
        finally:
            self._channel.close()
            self._writer.close(status, message)
            notify(self._store, self._record.key, self._spec.config.notify)
        record = self._store.get(self._record.key)
        module = result.module if result is not None else None
        return RunResult(status=record.status, message=message, error=error, record=record, module=module)

    def _describe_first(self, prepared: PreparedRun) -> None:
        """Records what holds for all fits: the data and where the model's weights come from."""
        self._writer.summary(data=prepared.source.description)
        if warning := self._build.warning(self._spec.config):
            self._writer.event(EventKind.WARNING, warning)

    def _outcome(self, error: BaseException | None, message: str) -> tuple[RunStatus, str]:
        if isinstance(error, TrainingInterrupted):
            return RunStatus.STOPPED, str(error)
        if message:
            return RunStatus.FAILED, message
        if self._without_loss:
            losses = set(self._without_loss.values())
            self._writer.summary(ended_with="NaN" if "NaN" in losses else "inf")
        return (RunStatus.STOPPED, self._stopped) if self._stopped else (RunStatus.FINISHED, self._no_loss_message())

    def _no_loss_message(self) -> str:
        """Which parts ended with no finite loss, and what that makes of the mean; empty where none did."""
        parts = list(self._without_loss)
        if not parts:
            return ""
        message = f"{listed(parts)} ended with no finite loss"
        rest = len(self._done) - len(parts)
        return f"{message}: means are of the other {rest} of {len(self._parts)} fits" if rest > 0 else message

    def _notify_observer(self) -> None:
        """Notifies the observer of the mean so far; the fits are the epochs of its curve."""
        best = self._best()
        if best is not None:
            self._stopped = self._stopped or self._observer.reached(len(self._done), best["value"])

    def _apply_commands(self) -> None:
        """Ends after this fit where a command or an interrupt requests it."""
        if self._interrupt.ended:
            self._stopped = self._interrupt.ended
        elif self._interrupt.is_requested:
            self._stopped = f"interrupted after {len(self._done)} of {len(self._parts)} fits"
        for command in self._channel.inbox.take():
            step = len(self._done)
            if command.verb == "stop":
                self._stopped = f"stopped after {step} of {len(self._parts)} fits"
                self._writer.event(EventKind.COMMAND, f"stopped after fit {step}", step, verb="stop", arguments={})
                self._channel.answered(command, Answer(APPLIED, "stopped", step))
            else:
                self._channel.answered(command, Answer(REFUSED, "several fits can only be stopped together", step))

    def _record_progress(self) -> None:
        unit = "folds" if self._spec.config.seeds is None else "fits" if self._spec.config.cv is not None else "seeds"
        self._writer.progress(trial=len(self._done), trials=len(self._parts), unit=unit, counts={})
        best = self._best()
        if best is not None:
            self._writer.summary(best=best)

    def _best(self) -> dict[str, Any] | None:
        """Mean and standard deviation of the parts' best values; None while there is none."""
        bests = [record.summary["best"] for record in self._done if record.summary.get("best")]
        if not bests:
            return None
        values = [float(best["value"]) for best in bests]
        newest = [(record.summary.get("last") or {}).get(bests[0]["metric"]) for record in self._done]
        lasts = [float(value) for value in newest if value is not None]
        summary = {
            "metric": bests[0]["metric"],
            "mode": bests[0]["mode"],
            "value": statistics.fmean(values),
            "std": _spread(values),
            "values": values,
            "parts": len(values),
            "epoch": bests[0]["epoch"],
            "step": bests[0]["step"],
        }
        if "which" in bests[0]:
            summary["which"] = bests[0]["which"]
        if len(lasts) == len(newest):
            summary |= {"last": statistics.fmean(lasts), "last_std": _spread(lasts)}
        return summary

    def _record_means(self) -> None:
        """The mean of every series over the parts so far, and how far they lie apart: the n-th with the n-th of all.

        Parts may have some rows more or less, so that their steps are not the same; those of the first are taken.
        """
        series: dict[str, list[list[Point]]] = {}
        for record in self._done:
            with MetricReader(RunFolder(record.folder).metrics) as reader:
                for name in reader.counts():
                    series.setdefault(name, []).append(reader.points(name))
        self._writer.restart_history()
        for name, columns in series.items():
            if len(columns) == len(self._done):
                self._add_mean(name, columns)

    def _add_mean(self, name: str, columns: list[list[Point]]) -> None:
        for points in zip(*columns, strict=False):
            values = [point.value for point in points if math.isfinite(point.value)]
            if not values:
                continue
            pairs = [(name, statistics.fmean(values))]
            if len(columns) > 1:
                pairs.append((name + SPREAD, _spread(values)))
            self._writer.add(Row(points[0].step, points[0].epoch, points[0].time, pairs))


def _spread(values: Sequence[float]) -> float:
    """Their standard deviation (n - 1); 0 of one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
