"""Schedules the trials of a study: which comes next, which is pruned, which keeps its checkpoints, when it ends."""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

from optuna.trial import TrialState

from jupyter_train.config import TuneConfig, search_methods
from jupyter_train.config.commands import Command
from jupyter_train.events import EventKind, TrialStatus
from jupyter_train.exceptions import RunStateError, StoreError
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter, Store
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.command_queue import LOCAL
from jupyter_train.store.writer import Row
from jupyter_train.training.interrupt import InterruptWatch
from jupyter_train.tuning.checkpoint_retention import CheckpointRetention
from jupyter_train.tuning.commands import StudyCommands
from jupyter_train.tuning.failures import Failures, no_trial_message
from jupyter_train.tuning.samplers import grid_size
from jupyter_train.tuning.study_snapshot import StudySnapshot
from jupyter_train.tuning.study_storage import StudyStorage
from jupyter_train.tuning.trial import TrialEnd
from jupyter_train.tuning.trial_records import TrialRequest

_PAUSED_POLL_INTERVAL_S = 0.05
INTERRUPTED = "interrupted; every finished trial is kept, and the study can be resumed"


class Scheduler:
    """Schedules a study's trials, on one thread.

    Args:
        store: Where runs are recorded.
        config: Objectives, how many trials, how long.
        storage: Its trials, in Optuna's journal.
        folder: The study's.
        writer: Records the study's own run.
        channel: Commands to the study arrive here.
        interrupt: Says whether the user pressed Interrupt.
    """

    def __init__(
        self,
        store: Store,
        config: TuneConfig,
        storage: StudyStorage,
        folder: RunFolder,
        writer: RunWriter,
        channel: CommandChannel,
        interrupt: InterruptWatch,
    ) -> None:
        self.storage = storage
        self.failed = ""
        self.is_interrupted = False
        self._config = config
        self._writer = writer
        self._commands = StudyCommands(config, storage, writer, channel)
        self._interrupt = interrupt
        self._began = time.monotonic()
        self._grid = grid_size(config.searched) if config.sampler == "grid" else None
        self._again = storage.interrupted_trials()
        self._failures = Failures(config.max_failures)
        self._is_patience_reported = False
        self._retention = CheckpointRetention(store, storage)
        self._snapshot = StudySnapshot(folder, config, storage)
        self._done_here = 0
        self._run_here = ""
        channel.inbox.on_put = self._pass_on
        self.record_progress()

    @property
    def _most(self) -> int | None:
        """How many trials there are to be, those enqueued later besides; None where that is not known."""
        limits = [number for number in (self._config.trials, self._grid) if number is not None]
        return min(limits) + self.storage.extra if limits else None

    @property
    def is_over(self) -> bool:
        """Whether no further trial begins."""
        if self._interrupt.is_requested and not self.stopped:
            self._interrupted()
        if self.stopped or self.failed:
            return True
        if self._again:
            return False
        if self._config.timeout is not None and time.monotonic() - self._began > self._config.timeout:
            return True
        if self._is_out_of_patience():
            return True
        return self.left == 0

    def _is_out_of_patience(self) -> bool:
        """Whether none of the last `--patience` complete trials is among the best (or on the Pareto front)."""
        if self._config.patience is None:
            return False
        done = self.storage.trials(TrialState.COMPLETE)
        best = self.storage.best()
        is_over = bool(best) and sum(trial.number > max(best) for trial in done) >= self._config.patience
        if is_over and not self._is_patience_reported:
            self._is_patience_reported = True
            text = f"none of the last {self._config.patience} complete trials was better (`--patience`)"
            self._writer.event(EventKind.FOUND, text, done[-1].number)
        return is_over

    @property
    def left(self) -> int | None:
        """How many trials are still to begin; None where that is not known."""
        most = self._most
        if most is None:
            return None
        begun = len(self.storage.trials()) - len(self.storage.trials(TrialState.WAITING))
        return max(0, most - begun) + len(self._again)

    def next(self) -> TrialRequest:
        """The next trial: an interrupted one, else a new one."""
        return self._again.pop(0) if self._again else self.storage.ask()

    def begin_again(self, request: TrialRequest) -> None:
        """Queues a trial whose process died once more."""
        self._again.append(request)

    @property
    def stopped(self) -> str:
        """Why no further trial begins; empty while they do."""
        return self._commands.stopped

    def _interrupted(self) -> None:
        self.is_interrupted = True
        self._commands.stopped = self.stopped or INTERRUPTED

    def apply_commands(self) -> None:
        """Applies commands to the study; waits while it is paused."""
        self._apply_waiting()
        while self._commands.is_paused and not self._interrupt.is_requested and not self.stopped:
            time.sleep(_PAUSED_POLL_INTERVAL_S)
            self._apply_waiting()

    def _apply_waiting(self) -> None:
        if self._commands.apply_commands(len(self.storage.trials(*_ENDED))):
            self.record_progress(is_after_command=True)

    def begun(self, request: TrialRequest, run: str) -> None:
        """A trial has its run, which the study's panel shows from now on, and can stop."""
        self.storage.has_begun(request.number, run)
        self._snapshot.write()

    def begun_here(self, request: TrialRequest, run: str) -> None:
        """The same of a trial that keeps this thread until it ends."""
        self.begun(request, run)
        self._run_here = run

    def _pass_on(self, command: Command) -> None:
        """Passes a stop of the study on to the trial of this process, which ends at its next batch. On any thread."""
        inbox = LOCAL.of(self._run_here)
        if command.verb == "stop" and inbox is not None:
            inbox.put(Command("stop", source=command.source))

    def reached(self, number: int, epoch: int, value: float) -> str:
        """A trial has a new value of its objective; a text ends it.

        Commands to the study are applied here too: a trial may take hours.
        """
        self.apply_commands()
        if self.is_stopped:
            return "the study was stopped"
        is_hopeless = self.storage.report(number, epoch, value)
        self._snapshot.write()
        what = f"{epoch} {'fit' if {'cv', 'seeds'} & self._config.train.keys() else 'epoch'}{'s' * (epoch != 1)}"
        if is_hopeless and math.isnan(value):
            return f"`{self._config.objectives[0][0]}` is NaN after {what}"
        if is_hopeless:
            return f"pruned after {what}: {search_methods.name_of(self._config.prune)} saw better trials at this point"
        return ""

    def keeps(self, value: float | None) -> bool:
        """Whether a trial that ends with this value keeps its best weights."""
        if value is None:
            return False
        return self._retention.would_keep(value)

    def ended(self, request: TrialRequest, ended: TrialEnd) -> None:
        """A trial is over: records it in Optuna's storage and in the study's own run."""
        result = ended.result
        self._run_here = ""
        self._apply_waiting()
        if ended.is_interrupted:
            self._interrupted()
        if ended.is_interrupted or (self.is_stopped and result.state == TrialStatus.PRUNED):
            self.storage.requeue(request.number)  # it was ended with the study, and begins again with it
            return
        self.storage.tell(request.number, result)
        if result.state == TrialStatus.FAIL:
            self._writer.event(EventKind.TRIAL_FAILED, f"trial {request.number}: {result.message}", request.number)
            self.failed = self.failed or self._failures.add(ended)
        else:
            self._failures.clear()
        if result.state == TrialStatus.COMPLETE:
            self._record(request, result.values or [])
            self._retention.add(result.run)
        self.record_progress(is_one_more=True)

    def _record(self, request: TrialRequest, values: list[float]) -> None:
        best = self.storage.feasible()[:1]
        pairs = [(metric, value) for (metric, _), value in zip(self._config.objectives, values, strict=True)]
        if len(values) == 1:
            pairs += [(f"best_{pairs[0][0]}", trial.values[0]) for trial in best]
        self._writer.add(Row(request.number, 0.0, time.time(), pairs))

    def record_progress(self, is_one_more: bool = False, is_after_command: bool = False) -> None:
        """Records how far the study is.

        Args:
            is_one_more: Whether a trial has just ended.
            is_after_command: Whether a command has just been applied, whose effect the panel waits for.
        """
        trials = self.storage.trials()
        counts = {state.name.lower(): 0 for state in (*_ENDED, TrialState.RUNNING)}
        for trial in trials:
            if trial.state.name.lower() in counts:
                counts[trial.state.name.lower()] += 1
        done = sum(counts[state.name.lower()] for state in _ENDED)
        progress: dict[str, Any] = {"trial": done, "counts": counts}
        most = self._most
        if most is not None:
            progress["trials"] = most
        self._done_here += is_one_more
        if self._done_here and self.left:
            each = (time.monotonic() - self._began) / self._done_here
            progress["eta_s"] = round(each * (self.left + counts["running"]), 1)
        self._writer.progress(**progress)
        ranked = self.storage.feasible()
        if ranked:
            metric, mode = self._config.objectives[0]
            self._writer.summary(
                best={
                    "metric": metric,
                    "value": ranked[0].values[0],
                    "mode": mode,
                    "epoch": 0,
                    "step": ranked[0].number,
                    "trial": ranked[0].number,
                    "params": ranked[0].params,
                    "run": ranked[0].user_attrs.get("run", ""),
                },
            )
        self._snapshot.write(is_after_command=is_after_command)

    @property
    def is_stopped(self) -> bool:
        """Whether the study was stopped or is being interrupted."""
        return bool(self.stopped) or self._interrupt.is_requested

    def warn(self, text: str) -> None:
        """Records a warning on the study's run."""
        self._writer.event(EventKind.WARNING, text)

    def confirmed(self, means: list[dict[str, Any]]) -> None:
        """Records the best trials' means over further seeds.

        Args:
            means: `trial`, `mean`, `std` and `run` of each, the best first.
        """
        self._writer.summary(confirmed=means)
        if means:
            metric = self._config.objectives[0][0]
            text = ", ".join(f"trial {mean['trial']} {mean['mean']:.4g} ± {mean['std']:.2g}" for mean in means)
            self._writer.event(EventKind.FOUND, f"{metric} over further seeds: {text}")

    def finish(self) -> None:
        """Ends the study: its snapshot stays as it is now. One in which no trial was completed has failed."""
        if not (self.stopped or self.failed or self.storage.trials(TrialState.COMPLETE)):
            self.failed = no_trial_message(self.storage.trials(*_ENDED))
        self.record_progress()
        self._snapshot.write(is_last=True)


def record_lost(store: Store, run: str, message: str) -> None:
    """Records that a trial's run has failed, because its process died."""
    if run:
        with contextlib.suppress(StoreError, RunStateError):
            record = store.get(run)
            if record.status.is_live or record.status is RunStatus.QUEUED:
                store.set_status(run, RunStatus.FAILED, ended_at=time.time(), message=message)


_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
