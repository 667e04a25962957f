"""Optuna's side of a study: a journal that survives kills, a sampler that resumes, the values it draws."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from jupyter_train.config import TuneConfig
from jupyter_train.config.search_space import parse
from jupyter_train.exceptions import OptionError
from jupyter_train.tuning.journal import reader
from jupyter_train.tuning.study_storage import StudyStorage
from jupyter_train.tuning.trial_records import TrialResult
from jupyter_train.tuning.warm_start import NAME

SPACE = {"lr": "1e-4..1e-1:log", "hidden": [32, 64, 128], "layers": "1..4", "drop": "0..0.5:0.1", "act": "fixed"}


def config(trials: int = 30, space: dict[str, Any] = SPACE, **more: Any) -> TuneConfig:
    return TuneConfig.of({"trials": trials, "maximize": ["val_acc"], "epochs": 5, "seed": 3, **more}, space)


def objective(params: dict[str, Any]) -> float:
    return -((math.log10(params["lr"]) + 2) ** 2) + 0.01 * params["hidden"] - 0.1 * params["layers"]


def carry_out(book: StudyStorage, trials: int) -> list[tuple[int, dict[str, Any], str]]:
    """What was drawn, and how each trial ended."""
    found = []
    for _ in range(trials):
        asked = book.ask()
        told = TrialResult("complete", [objective(asked.params)])
        for epoch in range(1, 6):
            if book.report(asked.number, epoch, objective(asked.params) * epoch):
                told = TrialResult("pruned")
                break
        book.tell(asked.number, told)
        found.append((asked.number, asked.params, told.state))
    return found


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "random", "qmc", "nsga2"])
def test_a_resumed_study_draws_what_an_uninterrupted_one_draws(sampler: str, tmp_path: Path) -> None:
    unbroken = carry_out(StudyStorage(tmp_path / "unbroken", config(sampler=sampler)), 24)
    found = []
    for _ in range(3):
        book = StudyStorage(tmp_path / "broken", config(sampler=sampler))
        found += carry_out(book, 8)
        book.close()
    assert found == unbroken
    assert {state for _, _, state in found} == {"complete", "pruned"}


def test_it_draws_what_optuna_itself_draws(tmp_path: Path) -> None:
    """Sequentially, with the same sampler, pruner and seed: `Study.optimize` and ours are one search."""
    asked = []

    def stock(trial: optuna.Trial) -> float:
        params = {
            "lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True),
            "hidden": trial.suggest_categorical("hidden", [32, 64, 128]),
            "layers": trial.suggest_int("layers", 1, 4),
            "drop": trial.suggest_float("drop", 0.0, 0.5, step=0.1),
        }
        asked.append({**params, "act": "fixed"})
        for epoch in range(1, 6):
            trial.report(objective(params) * epoch, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return objective(params)

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=3),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )
    study.optimize(stock, n_trials=30)
    book = StudyStorage(tmp_path / "ours", config())
    assert [params for _, params, _ in carry_out(book, 30)] == asked
    assert book.ranked()[0].values == [study.best_value]


def test_optuna_reads_the_file(tmp_path: Path) -> None:
    carry_out(StudyStorage(tmp_path / "journal", config()), 6)
    study = optuna.load_study(study_name=NAME, storage=JournalStorage(reader(tmp_path / "journal")))
    assert len(study.trials) == 6
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE


@pytest.mark.parametrize("kept", [0.35, 0.6, 0.83, 0.97])
def test_a_journal_torn_anywhere_resumes(kept: float, tmp_path: Path) -> None:
    """A kill leaves a beginning of the file: finished trials are finished, one that was running is begun again."""
    unbroken = carry_out(StudyStorage(tmp_path / "unbroken", config()), 20)
    content = (tmp_path / "unbroken").read_bytes()
    (tmp_path / "torn").write_bytes(content[: int(len(content) * kept)])
    book = StudyStorage(tmp_path / "torn", config())
    finished = [trial.number for trial in book.trials(TrialState.COMPLETE, TrialState.PRUNED)]
    again = book.interrupted_trials()
    assert [one.number for one in again] == list(range(len(finished), len(book.trials())))
    for asked in again:
        assert asked.params == unbroken[asked.number][1]
        _end_as(book, asked.number, unbroken)
    assert carry_out(book, 20 - len(book.trials())) == unbroken[len(finished) + len(again) :]


def _end_as(book: StudyStorage, number: int, unbroken: list[tuple[int, dict[str, Any], str]]) -> None:
    params, told = unbroken[number][1], TrialResult("complete", [objective(unbroken[number][1])])
    for epoch in range(1, 6):
        if book.report(number, epoch, objective(params) * epoch):
            told = TrialResult("pruned")
            break
    book.tell(number, told)
    assert told.state == unbroken[number][2]


def test_a_trial_interrupted_twice_has_failed(tmp_path: Path) -> None:
    book = StudyStorage(tmp_path / "journal", config())
    book.ask()
    for expected in ([0], []):
        book.close()
        book = StudyStorage(tmp_path / "journal", config())
        assert [one.number for one in book.interrupted_trials()] == expected
    failed = book.trials(TrialState.FAIL)
    assert [trial.user_attrs["message"] for trial in failed] == ["interrupted twice"]


def test_a_trial_put_off_with_its_study_has_not_been_tried(tmp_path: Path) -> None:
    book = StudyStorage(tmp_path / "journal", config())
    book.ask()
    for _ in range(5):
        book.requeue(0)
        book.close()
        book = StudyStorage(tmp_path / "journal", config())
        assert [one.number for one in book.interrupted_trials()] == [0]


def test_enqueued_trials_come_first_also_after_a_resume(tmp_path: Path) -> None:
    unbroken = StudyStorage(tmp_path / "unbroken", config())
    unbroken.enqueue({"lr": 1e-3, "hidden": 64})
    expected = carry_out(unbroken, 14)
    book = StudyStorage(tmp_path / "broken", config())
    book.enqueue({"lr": 1e-3, "hidden": 64})
    found = carry_out(book, 12)
    book.close()
    found += carry_out(StudyStorage(tmp_path / "broken", config()), 2)
    assert found == expected
    assert found[0][1]["lr"] == 1e-3
    assert found[0][1]["hidden"] == 64


def test_a_grid_needs_values_it_can_count(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="give `lr` a step"):
        StudyStorage(tmp_path / "journal", config(sampler="grid"))
    space = {"hidden": "1..4", "act": "relu|gelu", "drop": "0..0.3:0.1"}
    book = StudyStorage(tmp_path / "grid", config(sampler="grid", space=space))
    seen = []
    for _ in range(4 * 2 * 4):
        asked = book.ask()
        book.tell(asked.number, TrialResult("complete", [1.0]))
        seen.append(tuple(asked.params.items()))
    assert len(set(seen)) == 32


def test_several_objectives_have_a_front(tmp_path: Path) -> None:
    given = {"trials": 10, "maximize": ["acc"], "minimize": ["size"], "epochs": 1, "seed": 3, "sampler": "nsga2"}
    book = StudyStorage(tmp_path / "journal", TuneConfig.of(given, {"x": "0.0..1.0"}))
    for values in ([1.0, 5.0], [0.5, 1.0], [0.4, 2.0]):
        asked = book.ask()
        assert not book.report(asked.number, 1, 0.0)
        book.tell(asked.number, TrialResult("complete", values))
    assert sorted(trial.number for trial in book.study.best_trials) == [0, 1]
    assert book.is_among(3, [0.45, 1.5]) is False
    assert book.is_among(3, [0.6, 1.5]) is True


def test_a_resumed_narrowed_study_draws_what_an_uninterrupted_one_draws(tmp_path: Path) -> None:
    ranges = {"lr": parse("lr", "1e-3..1e-2:log"), "layers": parse("layers", "2..3")}

    def begun(name: str) -> StudyStorage:
        book = StudyStorage(tmp_path / name, config())
        carry_out(book, 12)
        book.enqueue({"lr": 0.05}, is_extra=True)
        book.narrow(ranges)
        return book

    unbroken = carry_out(begun("unbroken"), 10)
    book = begun("broken")
    found = carry_out(book, 3)
    book.close()
    found += carry_out(StudyStorage(tmp_path / "broken", config()), 7)
    assert found == unbroken
    assert found[0][1]["lr"] == 0.05  # given by hand
    assert all(1e-3 <= params["lr"] <= 1e-2 and params["layers"] in (2, 3) for _, params, _ in found[1:])
    assert StudyStorage(tmp_path / "broken", config()).extra == 1
