"""Drives a study: which trial comes next, which is pruned, which checkpoints stay, and when it is over."""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

from optuna.trial import TrialState

from jupyter_train.config import TuneConfig, search_methods
from jupyter_train.config.commands import Command
from jupyter_train.exceptions import RunStateError, StoreError
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter, Store
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.command_queue import LOCAL
from jupyter_train.store.writer import Row
from jupyter_train.training.interrupt import InterruptWatch
from jupyter_train.tuning.checkpoint_retention import CheckpointRetention
from jupyter_train.tuning.commands import StudyCommands
from jupyter_train.tuning.failures import Failures, words_of_none
from jupyter_train.tuning.samplers import grid_size
from jupyter_train.tuning.study_snapshot import StudySnapshot
from jupyter_train.tuning.study_storage import StudyStorage
from jupyter_train.tuning.trial import TrialEnd
from jupyter_train.tuning.trial_records import TrialRequest

_PAUSED_POLL_INTERVAL_S = 0.05
INTERRUPTED = "interrupted; every finished trial is kept, and the study can go on"


class Scheduler:
    """The study while it runs. All of it on one thread.

    Args:
        store: Where runs are recorded.
        config: Objectives, how many trials, how long.
        book: Optuna's side.
        folder: The study's.
        writer: Records the study's own run.
        mailbox: Commands to the study arrive here.
        interrupt: Says whether the user pressed Interrupt.
    """

    def __init__(
        self,
        store: Store,
        config: TuneConfig,
        book: StudyStorage,
        folder: RunFolder,
        writer: RunWriter,
        mailbox: CommandChannel,
        interrupt: InterruptWatch,
    ) -> None:
        self.book = book
        self.failed = ""
        self.is_interrupted = False
        self._config = config
        self._writer = writer
        self._steering = StudyCommands(config, book, writer, mailbox)
        self._interrupt = interrupt
        self._began = time.monotonic()
        self._grid = grid_size(config.searched) if config.sampler == "grid" else None
        self._again = book.interrupted_trials()
        self._failures = Failures(config.max_failures)
        self._is_told = False
        self._keeping = CheckpointRetention(store, book)
        self._outline = StudySnapshot(folder, config, book)
        self._done_here = 0
        self._run_here = ""
        mailbox.inbox.on_put = self._pass_on
        self.tell_progress()

    @property
    def _most(self) -> int | None:
        """How many trials there are to be, those added by hand besides; None where that is not known."""
        given = [number for number in (self._config.trials, self._grid) if number is not None]
        return min(given) + self.book.extra if given else None

    @property
    def is_over(self) -> bool:
        """Whether no further trial begins."""
        if self._interrupt.is_asked and not self.stopped:
            self._interrupted()
        if self.stopped or self.failed:
            return True
        if self._again:
            return False
        if self._config.timeout is not None and time.monotonic() - self._began > self._config.timeout:
            return True
        if self._has_timed_out():
            return True
        return self.left == 0

    def _has_timed_out(self) -> bool:
        """Whether none of the last complete trials is among the best: of several objectives, on the Pareto front."""
        if self._config.patience is None:
            return False
        done = self.book.trials(TrialState.COMPLETE)
        best = self.book.best()
        is_over = bool(best) and sum(trial.number > max(best) for trial in done) >= self._config.patience
        if is_over and not self._is_told:
            self._is_told = True
            text = f"none of the last {self._config.patience} complete trials was better (`--patience`)"
            self._writer.event("found", text, done[-1].number)
        return is_over

    @property
    def left(self) -> int | None:
        """How many trials are still to begin; None where that is not known."""
        most = self._most
        if most is None:
            return None
        begun = len(self.book.trials()) - len(self.book.trials(TrialState.WAITING))
        return max(0, most - begun) + len(self._again)

    def next(self) -> TrialRequest:
        """The next trial: one that was broken off, else a new one."""
        return self._again.pop(0) if self._again else self.book.ask()

    def begin_again(self, asked: TrialRequest) -> None:
        """A trial whose process died is carried out once more."""
        self._again.append(asked)

    @property
    def stopped(self) -> str:
        """Why no further trial begins; empty while they do."""
        return self._steering.stopped

    def _interrupted(self) -> None:
        self.is_interrupted = True
        self._steering.stopped = self.stopped or INTERRUPTED

    def obey(self) -> None:
        """Carries out commands to the study; waits while it is paused."""
        self._obey_waiting()
        while self._steering.is_paused and not self._interrupt.is_asked and not self.stopped:
            time.sleep(_PAUSED_POLL_INTERVAL_S)
            self._obey_waiting()

    def _obey_waiting(self) -> None:
        if self._steering.obey(len(self.book.trials(*_ENDED))):
            self.tell_progress(is_asked=True)

    def begun(self, asked: TrialRequest, run: str) -> None:
        """A trial has its run: whoever looks at the study can look at it too, and stop it."""
        self.book.has_begun(asked.number, run)
        self._outline.write()

    def begun_here(self, asked: TrialRequest, run: str) -> None:
        """The same of a trial that keeps this thread until it ends."""
        self.begun(asked, run)
        self._run_here = run

    def _pass_on(self, command: Command) -> None:
        """A stop of the study reaches the trial here at its next batch: an epoch may take hours. On any thread."""
        inbox = LOCAL.of(self._run_here)
        if command.verb == "stop" and inbox is not None:
            inbox.put(Command("stop", source=command.source))

    def reached(self, number: int, epoch: int, value: float) -> str:
        """A trial has a new value of its objective; a text ends it.

        Commands to the study are obeyed here too: a trial may take hours.
        """
        self.obey()
        if self.is_stopped:
            return "the study was stopped"
        is_hopeless = self.book.report(number, epoch, value)
        self._outline.write()
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
        return self._keeping.would_keep(value)

    def ended(self, asked: TrialRequest, ended: TrialEnd) -> None:
        """A trial is over: Optuna is told, and whoever watches."""
        told = ended.told
        self._run_here = ""
        self._obey_waiting()
        if ended.is_interrupted:
            self._interrupted()
        if ended.is_interrupted or (self.is_stopped and told.state == "pruned"):
            self.book.requeue(asked.number)  # it was ended with the study, and begins again with it
            return
        self.book.tell(asked.number, told)
        if told.state == "fail":
            self._writer.event("trial failed", f"trial {asked.number}: {told.message}", asked.number)
            self.failed = self.failed or self._failures.add(ended)
        else:
            self._failures.clear()
        if told.state == "complete":
            self._record(asked, told.values or [])
            self._keeping.add(told.run)
        self.tell_progress(is_one_more=True)

    def _record(self, asked: TrialRequest, values: list[float]) -> None:
        best = self.book.feasible()[:1]
        pairs = [(metric, value) for (metric, _), value in zip(self._config.objectives, values, strict=True)]
        if len(values) == 1:
            pairs += [(f"best_{pairs[0][0]}", one.values[0]) for one in best]
        self._writer.add(Row(asked.number, 0.0, time.time(), pairs))

    def tell_progress(self, is_one_more: bool = False, is_asked: bool = False) -> None:
        """Says where the study is.

        Args:
            is_one_more: Whether a trial has just ended.
            is_asked: Whether somebody has told the study something, and looks for it.
        """
        trials = self.book.trials()
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
        ranked = self.book.feasible()
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
        self._outline.write(is_asked=is_asked)

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has ended the study, or interrupts it."""
        return bool(self.stopped) or self._interrupt.is_asked

    def warn(self, text: str) -> None:
        """Something that whoever searches should know."""
        self._writer.event("warning", text)

    def confirmed(self, found: list[dict[str, Any]]) -> None:
        """The best trials have been trained with further seeds.

        Args:
            found: `trial`, `mean`, `std` and `run` of each, the best first.
        """
        self._writer.summary(confirmed=found)
        if found:
            metric = self._config.objectives[0][0]
            words = ", ".join(f"trial {one['trial']} {one['mean']:.4g} ± {one['std']:.2g}" for one in found)
            self._writer.event("found", f"{metric} over further seeds: {words}")

    def finish(self) -> None:
        """The study is over: what views draw is as it will stay. One in which no trial was completed has failed."""
        if not (self.stopped or self.failed or self.book.trials(TrialState.COMPLETE)):
            self.failed = words_of_none(self.book.trials(*_ENDED))
        self.tell_progress()
        self._outline.write(is_last=True)


def say_lost(store: Store, run: str, words: str) -> None:
    """The process of a trial has died: its run has failed."""
    if run:
        with contextlib.suppress(StoreError, RunStateError):
            record = store.get(run)
            if record.status.is_live or record.status is RunStatus.QUEUED:
                store.set_status(run, RunStatus.FAILED, ended_at=time.time(), message=words)


_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
