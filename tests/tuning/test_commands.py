"""A search that takes commands while it runs: trials enqueued, ranges narrowed, one trial stopped."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from jupyter_train import Study, train, tune
from jupyter_train.config import TuneConfig
from jupyter_train.config.commands import Command, command
from jupyter_train.exceptions import CommandError, CommandRefusedError, RunStateError, StudyError
from jupyter_train.magics.runs_request import run_verb
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter, commands
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.command_queue import LOCAL
from jupyter_train.store.run_lock import RunLock
from jupyter_train.tuning.commands import STOPPED, StudyCommands
from jupyter_train.tuning.scheduler import Scheduler
from jupyter_train.tuning.study_storage import StudyStorage
from jupyter_train.tuning.trial_records import TrialRequest
from tests.models import LitDigits, digits
from tests.shares import in_full
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(180)]
SPACE = {"lr": "1e-4..1e-1:log", "hidden": "8..64", "width": [1, 2, 3]}
USUAL = {"epochs": 2, "maximize": "val_acc", "seed": 1, "quiet": True, "prune": "none"}


class Slow(LitDigits):
    def __init__(self, lr=1e-2, hidden=8, width=1):
        super().__init__(hidden=hidden, lr=lr)
        self.width = width

    def training_step(self, batch, batch_idx):
        time.sleep(0.02)
        return super().training_step(batch, batch_idx)


@pytest.fixture(scope="module")
def data():
    return digits(320)


def search(store, data, work, **options) -> tuple[Study, list]:
    """A search, and what `work` gave that was done to it after its second trial."""
    given: list = []

    def later() -> None:
        study = Study(store, until(lambda: store.list_runs(1, kind="tune"))[0].key)
        until(lambda: _ended(study) >= 2)
        try:
            given.append(work(study))
        except Exception as err:  # noqa: BLE001  shown by the test
            given.append(err)

    thread = threading.Thread(target=later)
    thread.start()
    study = tune(Slow, data, space=SPACE, **{"trials": 20, **USUAL, **options})
    thread.join()
    return study, given


def _ended(study: Study) -> int:
    try:
        return int(study.trials["state"].isin(["complete", "pruned"]).sum())
    except (StudyError, KeyError, ValueError):
        return 0


@pytest.mark.parametrize("parallel", in_full([1, 2], but=[2]))
def test_an_enqueued_trial_is_tried_next_and_on_top(parallel: int, store, data) -> None:
    study, (said,) = search(store, data, lambda study: study.add_trial(lr=0.0123, width=2), parallel=parallel)
    assert "lr=0.0123 width=2 is enqueued" in said
    trials = study.trials.sort_index()
    assert len(trials) == 21
    by_hand = trials[trials["lr"] == 0.0123]
    assert list(by_hand["width"]) == [2]
    assert 2 <= by_hand.index[0] < 20  # at once, however busy the machine is
    assert by_hand["hidden"].between(8, 64).all()  # drawn
    again = tune(Slow, data, resume=study.ref, trials=22, quiet=True)
    assert len(again.trials) == 23


def test_a_trial_that_waits_is_drawn_with_the_values_it_was_given(store, data) -> None:
    def add(study: Study) -> tuple[str, dict[str, str], dict[str, Any]]:
        study.tell("pause")
        study.add_trial(lr=0.0123, width=2)
        until(lambda: RunFolder(study.folder).read_study()["states"][-1] == "w")
        drawn = RunFolder(study.folder).read_study()
        listed = study.trials.loc[len(drawn["states"]) - 1].to_dict()
        study.tell("resume")
        params = {param["name"]: param["values"].split(",")[-1] for param in drawn["params"]}
        return drawn["states"][-1], params, listed

    _study, ((state, params, listed),) = search(store, data, add, trials=4)
    assert (state, params["lr"], params["hidden"]) == ("w", "0.0123", "")
    assert params["width"] == "1"  # the second of its choices
    assert (listed["state"], listed["lr"], listed["width"]) == ("waiting", 0.0123, 2)


def test_after_a_range_is_narrowed_only_its_part_is_searched(store, data) -> None:
    study, (said,) = search(store, data, lambda study: study.narrow(lr="1e-3..2e-3", hidden="16..20"), trials=24)
    assert said.startswith("narrowed to lr=0.001..0.002:log hidden=16..20 after trial")
    first = int(said.rsplit(" ", 1)[1])
    later = study.trials.sort_index().loc[first + 2 :]
    assert len(later) > 4
    assert later["lr"].between(1e-3, 2e-3).all()
    assert later["hidden"].between(16, 20).all()
    assert any(said in event.text for event in study.events)
    assert study.optuna.user_attrs["narrowed"][0][1:] == ["lr", "0.001..0.002:log"]


@pytest.mark.parametrize("parallel", in_full([1, 2], but=[2]))
def test_one_trial_is_stopped_and_the_search_continues(parallel: int, store, data) -> None:
    def stop(study: Study) -> str:
        running: list = []
        while not running and study.status.is_live:
            time.sleep(0.05)
            trials = study.optuna.get_trials(deepcopy=False)
            running = [trial for trial in trials if trial.state.name == "RUNNING" and "run" in trial.user_attrs]
        run = study.trial(running[0].number)
        run.stop()
        return running[0].number

    study, (number,) = search(store, data, stop, parallel=parallel, epochs=20, trials=4)
    assert study.status == "finished"
    assert study.trials.loc[number, "state"] == "pruned"
    assert study.trials.loc[number, "message"] == "stopped by the user"
    assert (study.trials["state"] == "complete").sum() == 3


SLIPS = {
    "no such name": (lambda study: study.add_trial(lrr=1e-3), "`lrr` is not searched. Did you mean `lr`"),
    "outside": (lambda study: study.add_trial(lr=3.0), "`lr=3.0` lies outside `lr=0.0001..0.1:log`"),
    "no part": (lambda study: study.narrow(lr="1e-3..1"), "is no part of `lr=0.0001..0.1:log`"),
    "not whole": (lambda study: study.narrow(hidden="8.5..9.5"), "is no part of `hidden=8..64`"),
    "choices": (lambda study: study.narrow(width="1|2"), "only a range can be narrowed"),
    "one value": (lambda study: study.narrow(lr="1e-3"), "expected a range, such as `lr=0.0001..0.1:log`"),
    "inverted": (lambda study: study.narrow(lr="1e-2..1e-3"), "wrong way round"),
    "for a trial": (lambda study: study.set_lr(1e-3), "a search takes stop, pause, resume, add-trial, narrow"),
    "already": (lambda study: study.tell("resume"), "the search is not paused"),
}


def test_a_slip_is_answered_and_changes_nothing(store, data) -> None:
    def slips(study: Study) -> dict[str, str]:
        found = {}
        for name, (slip, _words) in SLIPS.items():
            try:
                found[name] = f"not refused: {slip(study)}"
            except CommandRefusedError as err:
                found[name] = str(err)
        study.stop()
        return found

    study, (found,) = search(store, data, slips, trials=90)
    assert isinstance(found, dict), found
    for name, (_slip, words) in SLIPS.items():
        assert words in found[name], name
    assert study.status == "stopped"
    assert "narrowed" not in study.optuna.user_attrs
    with pytest.raises(RunStateError, match="only a running fit takes commands"):
        study.add_trial(lr=1e-3)


def test_it_takes_commands_from_a_line_too_and_a_fit_takes_none_of_them(store, data) -> None:
    def lines(study: Study) -> list[str]:
        return [run_verb(f"add-trial {study.ref} lr=0.0456 hidden=9"), run_verb(f"narrow {study.ref} lr=1e-3..1e-2")]

    study, (said,) = search(store, data, lines)
    assert isinstance(said, list), said
    assert "lr=0.0456 hidden=9 is enqueued" in said[0]
    assert "narrowed to lr=0.001..0.01:log" in said[1]
    assert (study.trials["lr"] == 0.0456).sum() == 1
    with pytest.raises(CommandError, match="expected `NAME=VALUE`"):
        run_verb(f"add-trial {study.ref} 5")
    answers = []

    def ask() -> None:
        found = until(lambda: [run for run in store.list_runs(1, kind="train") if run.summary.get("progress")])
        try:
            from jupyter_train import get_run

            get_run(found[0].key).send("narrow", ranges={"lr": "1..2"})
        except CommandRefusedError as err:
            answers.append(str(err))

    thread = threading.Thread(target=ask)
    thread.start()
    train(Slow(), data, epochs=30, quiet=True, seed=1)
    thread.join()
    assert answers == ["this is one fit; only a search takes this command"]


def test_what_matters_is_weighed_by_either_of_optunas_ways(data) -> None:
    study = tune(Slow, data, space={"lr": "1e-5..1e-1:log", "width": [1, 2, 3]}, trials=12, **USUAL)
    for evaluator in ("ped-anova", "fanova"):
        found = study.importance(evaluator)
        assert set(found.index) == {"lr", "width"}
        assert found.sum() == pytest.approx(1)
        assert found["lr"] > found["width"]  # nothing depends on width
    with pytest.raises(StudyError, match="expected one of ped-anova, fanova"):
        study.importance("guess")


class Endless(Slow):
    def training_step(self, batch, batch_idx):
        time.sleep(0.1)
        return super().training_step(batch, batch_idx)


def test_a_stop_does_not_wait_for_the_end_of_an_epoch(store) -> None:
    """Of 400 batches a second each, it is some: the trial ends at its next one, and begins again with the study."""
    given = []

    def stop() -> None:
        until(lambda: any(record.summary.get("last") for record in store.list_runs(1, kind="trial")))
        given.append(Study(store, store.list_runs(1, kind="tune")[0].key).stop())

    thread = threading.Thread(target=stop)
    thread.start()
    study = tune(Endless, digits(1000), space=SPACE, trials=3, batch_size=2, **USUAL)
    thread.join()
    assert given == ["stopped after trial 0"]
    assert study.status == "stopped"
    (run,) = study.children
    assert run.status == "stopped"
    assert run.record.message.startswith("stopped at step")
    assert 0 < len(run.metrics) < 200
    (trial,) = study.optuna.get_trials(deepcopy=False)
    assert (trial.state.name, trial.user_attrs["tries"]) == ("RUNNING", 0)  # begins again, and that is no second try


def test_a_running_trial_is_drawn_with_its_run_and_its_epochs_so_far(store) -> None:
    """While one long trial runs, and nothing else happens in the study."""
    seen: set[tuple[str, int]] = set()

    def look() -> None:
        found = until(lambda: [run for run in store.list_runs(1, kind="tune") if run.status.is_live])
        folder = RunFolder(found[0].folder)
        while store.get(found[0].key).status.is_live:
            study = folder.read_study()
            if study is not None and study["states"] == "r" and study["runs"]:
                epochs = study["curves"][0]["epochs"] if study["curves"] else ""
                seen.add((study["runs"], len(epochs.split(",")) if epochs else 0))
            time.sleep(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    study = tune(Slow, digits(640), space=SPACE, **USUAL | {"trials": 1, "epochs": 8})
    thread.join()
    assert {run for run, _ in seen} == {study.children[0].key}
    assert {0, 1}.issubset({epochs for _, epochs in seen})
    assert max(epochs for _, epochs in seen) >= 6


def test_a_stop_before_a_trials_first_batch_is_no_verdict_on_its_metric(store, data, monkeypatch) -> None:
    begun = Scheduler.begun_here

    def stopped_at_once(driver: Scheduler, asked: TrialRequest, run: str) -> None:
        begun(driver, asked, run)
        if asked.number == 2:
            LOCAL.of(store.list_runs(1, kind="tune")[0].key).put(Command("stop", source="panel"))

    monkeypatch.setattr(Scheduler, "begun_here", stopped_at_once)
    study = tune(Slow, data, space=SPACE, trials=6, **USUAL)
    assert study.status == "stopped"
    assert list(study.trials["state"]) == ["complete", "complete", "waiting"]
    assert study.trial(2).status == "stopped"


class Commanded:
    """A study that takes commands and runs no trial."""

    def __init__(self, store, path, sampler: str = "tpe") -> None:
        self.store = store
        self.run = store.create_run("digits", kind="tune")
        store.set_status(self.run.key, RunStatus.RUNNING)
        folder = RunFolder(self.run.folder)
        self.lock = RunLock(folder.lock)
        self.lock.acquire()
        options = {"trials": 3, "maximize": "acc", "epochs": 1, "seed": 1, "sampler": sampler}
        config = TuneConfig.of(options, {"lr": "1e-4..1e-1:log", "hidden": "8|16"})
        self.storage = StudyStorage(path, config)
        self.writer = RunWriter(store, self.run.key, folder)
        self.channel = CommandChannel(store, self.run.key, folder)
        self.commands = StudyCommands(config, self.storage, self.writer, self.channel)

    def tell(self, verb: str, **arguments) -> commands.Answer:
        """The answer to a command, given after the fourth trial."""
        row = commands.add(self.store, self.run.key, command(verb, arguments))
        self.channel.exchange()
        assert self.commands.apply_commands(4)
        assert not self.commands.apply_commands(4)
        self.channel.exchange()
        return commands.answer_of(self.store, row)


@pytest.fixture
def study(store, tmp_path):
    made = Commanded(store, tmp_path / "journal")
    yield made
    made.writer.close(RunStatus.STOPPED)
    made.channel.close()
    made.lock.release()


def test_a_search_waits_and_goes_on_when_it_is_told_to(study) -> None:
    assert study.tell("pause") == ("applied", "paused after trial 4", 4)
    assert (study.commands.is_paused, study.store.get(study.run.key).status) == (True, RunStatus.PAUSED)
    assert study.tell("pause") == ("refused", "the search is paused already", 4)
    assert study.tell("resume").text == "resumed after trial 4"
    assert (study.commands.is_paused, study.store.get(study.run.key).status) == (False, RunStatus.RUNNING)
    assert study.tell("resume").state == "refused"
    study.tell("pause")
    assert study.tell("stop").text == "stopped after trial 4"
    assert (study.commands.stopped, study.commands.is_paused) == (STOPPED, False)


def test_a_trial_is_enqueued_and_a_range_is_narrowed(study) -> None:
    assert study.tell("add-trial", values={"lr": 0.01}).text == "lr=0.01 is enqueued, after trial 4"
    assert study.storage.ask().params["lr"] == 0.01
    assert study.tell("narrow", ranges={"lr": "1e-2..2e-2"}).text == "narrowed to lr=0.01..0.02:log after trial 4"
    assert all(0.01 <= study.storage.ask().params["lr"] <= 0.02 for _ in range(3))
    assert study.tell("narrow", ranges={"hidden": "8|16"}).state == "refused"
    assert study.tell("add-trial", values={"lr": 3}).state == "refused"


def test_what_is_for_a_fit_is_refused_with_what_a_search_takes(study) -> None:
    answer = study.tell("validate")
    assert answer.text == "a search takes stop, pause, resume, add-trial, narrow; validate is for one trial"
    assert study.writer.flush()
    kinds = [(event.kind, event.step) for event in study.store.events_of(study.run.key)]
    assert kinds == [("refused", 4)]


def test_a_sampler_that_draws_all_values_together_is_said_to_draw_one_apart(store, tmp_path) -> None:
    study = Commanded(store, tmp_path / "journal", "nsga2")
    assert (
        "(`nsga2` draws it apart from the others from now on)" in study.tell("narrow", ranges={"lr": "1e-2..2e-2"}).text
    )
    study.writer.close(RunStatus.STOPPED)
    study.lock.release()
