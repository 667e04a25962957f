"""A search that learns from an earlier one draws what Optuna draws that knows it; its trials are its own."""

from __future__ import annotations

import optuna
import pytest

from jupyter_train import train, tune
from jupyter_train.exceptions import StudyError
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.tuning.warm_start import WARM
from tests.models import LitDigits, digits

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = {"epochs": 1, "minimize": "val_loss", "prune": "none", "seed": 1, "quiet": True}
SPACE = {"lr": "1e-4..1e-1:log", "hidden": [8, 16, 32]}


@pytest.fixture
def earlier():
    return tune(LitDigits, digits(160), space=SPACE, trials=8, sampler="random", **USUAL)


def test_its_first_trial_is_what_optuna_draws_with_the_same_knowledge(earlier) -> None:
    given = {"space": SPACE, "sampler": "tpe:startup=4", **USUAL}
    study = tune(LitDigits, digits(160), trials=3, warm_start=earlier.ref, **given)
    stock = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1, constant_liar=True, n_startup_trials=4))
    stock.add_trials(earlier.optuna.trials)
    asked = stock.ask(earlier.optuna.trials[0].distributions)
    first = study.trials.sort_index().iloc[0]
    assert first[["lr", "hidden"]].to_dict() == asked.params
    cold = tune(LitDigits, digits(160), trials=1, **given)
    assert cold.best.params != asked.params, "without that knowledge it begins elsewhere"


def test_what_it_knows_is_not_what_it_has_tried(earlier) -> None:
    study = tune(LitDigits, digits(160), space=SPACE, trials=3, warm_start=[earlier.ref], **USUAL)
    assert len(study.trials) == len(study.children) == 3
    assert study.best.value == study.trials["val_loss"].min()
    assert set(study.trials["run"]).isdisjoint(earlier.trials["run"])
    drawn = snapshot(study._store, study.key)
    assert drawn["progress"]["trials"] == 3
    assert len(drawn["study"]["states"]) == 3
    assert sum(WARM in trial.user_attrs for trial in study.optuna.trials) == 8
    said = [event.text for event in study.events if event.kind == "found"]
    assert said == [f"warm start: 8 of 8 complete trials of {earlier.ref} lie in what is searched here"]
    kept = [run for run in earlier.children if any((run.folder / "checkpoints").glob("*.ckpt"))]
    assert len(kept) == 3, "the earlier study keeps its weights"


def test_resumed_it_draws_as_if_it_had_not_been_interrupted(earlier) -> None:
    whole = tune(LitDigits, digits(160), space=SPACE, trials=5, warm_start=earlier.ref, **USUAL)
    begun = tune(LitDigits, digits(160), space=SPACE, trials=2, warm_start=earlier.ref, **USUAL)
    again = tune(LitDigits, digits(160), resume=begun.ref, trials=5, quiet=True)
    names = ["lr", "hidden", "val_loss"]
    assert again.trials[names].equals(whole.trials[names])


def test_a_narrower_space_takes_what_lies_in_it_and_a_strange_study_is_refused(earlier, store) -> None:
    middle = sorted(earlier.trials["lr"])[3]
    narrow = {"lr": f"{middle}..0.1:log"}
    study = tune(LitDigits, digits(160), space=narrow, trials=1, warm_start=earlier.ref, **USUAL)
    assert any("5 of 8 complete trials" in event.text for event in study.events)
    before = len(store.list_runs(has_parts=True))
    refused = {
        "none of its 8 complete trials lies in what is searched here": {"space": {"lr": "0.5..0.6"}},
        "it searched for min val_loss; expected the same objectives": {"minimize": "train_loss"},
        "it is no study but a run": {"warm_start": train(lambda: LitDigits(), digits(160), epochs=1, quiet=True).ref},
    }
    for words, changes in refused.items():
        with pytest.raises(StudyError, match=words):
            tune(LitDigits, digits(160), **{"space": SPACE, "trials": 1, "warm_start": earlier.ref} | USUAL | changes)
    assert len(store.list_runs(has_parts=True)) == before + 1


def test_of_several_objectives_the_front_is_of_its_own_trials() -> None:
    two = USUAL | {"maximize": "val_acc"}
    earlier = tune(LitDigits, digits(160), space=SPACE, trials=4, sampler="random", **two)
    study = tune(LitDigits, digits(160), space=SPACE, trials=4, warm_start=earlier.ref, **two)
    front = {int(number) for number in snapshot(study._store, study.key)["study"]["front"].split(",")}
    assert front <= set(study.trials.index)
    values = study.trials[["val_acc", "val_loss"]]
    for number in study.trials.index:
        better = (values["val_acc"] >= values["val_acc"][number]) & (values["val_loss"] <= values["val_loss"][number])
        is_dominated = bool((better & (values != values.loc[number]).any(axis=1)).any())
        assert (number in front) is not is_dominated


def test_its_first_trial_checks_the_validation_and_others_do_not(earlier) -> None:
    study = tune(LitDigits, digits(160), space=SPACE, trials=2, warm_start=earlier.ref, **USUAL)
    checks = [run.config.get("num_sanity_val_steps") for run in sorted(study.children, key=lambda run: run.key)]
    assert checks == [None, 0]
    with pytest.raises(StudyError, match="warm_start"):
        tune(LitDigits, digits(160), resume=study.ref, trials=3, warm_start=study.ref, quiet=True)


def test_its_pruner_knows_its_own_trials_only() -> None:
    """Those of the earlier study came further in as many looks."""
    usual = {"space": {"lr": [1e-3, 3e-3, 1e-2]}, "minimize": "val_loss", "seed": 2, "quiet": True}
    earlier = tune(LitDigits, digits(160), trials=6, epochs=8, prune="asha:min=8", **usual)
    assert "complete" in set(earlier.trials["state"])
    study = tune(LitDigits, digits(160), trials=1, epochs=1, warm_start=earlier.ref, **usual)
    assert study.trials["state"].tolist() == ["complete"]
