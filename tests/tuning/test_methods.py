"""Samplers and pruners with arguments are Optuna's own with them; patience ends a search that gets no better."""

from __future__ import annotations

import optuna
import pytest

from jupyter_train import tune
from jupyter_train.config import TuneConfig
from jupyter_train.exceptions import OptionError
from jupyter_train.tuning.samplers import pruner_of, sampler_of
from tests.models import LitDigits, digits

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = {"epochs": 1, "minimize": "val_loss", "prune": "none", "seed": 1, "quiet": True}


def config(**options) -> TuneConfig:
    return TuneConfig.of({"trials": 1, "minimize": "val_loss", "seed": 7, **options}, {"lr": "1e-3..1e-1:log"})


def objective(trial: optuna.Trial) -> float:
    rate, width = trial.suggest_float("lr", 1e-3, 1e-1, log=True), trial.suggest_int("width", 1, 9)
    return (rate - 0.03) ** 2 + (width - 4) ** 2 * rate


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (
            "tpe:startup=3,candidates=5",
            lambda: optuna.samplers.TPESampler(seed=7, constant_liar=True, n_startup_trials=3, n_ei_candidates=5),
        ),
        (
            "tpe:multivariate=true,startup=2",
            lambda: optuna.samplers.TPESampler(seed=7, constant_liar=True, multivariate=True, n_startup_trials=2),
        ),
        (
            "cmaes:sigma=0.2,startup=2,population=4",
            lambda: optuna.samplers.CmaEsSampler(
                seed=7, sigma0=0.2, n_startup_trials=2, popsize=4, warn_independent_sampling=False
            ),
        ),
        (
            "nsga2:population=6,mutation=0.5",
            lambda: optuna.samplers.NSGAIISampler(seed=7, population_size=6, mutation_prob=0.5),
        ),
    ],
)
def test_a_sampler_draws_what_optunas_own_draws(text: str, same) -> None:
    found = []
    for sampler in (sampler_of(config(sampler=text)), same(), sampler_of(config(sampler=text.partition(":")[0]))):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, 15)
        found.append([trial.params for trial in study.trials])
    assert found[0] == found[1]
    assert found[0] != found[2], "without its arguments it draws otherwise"


def test_a_pruner_ends_what_optunas_own_ends() -> None:
    pairs = {
        "asha:eta=4,min=2": optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=4),
        "asha": optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        "median:startup=1,warmup=3,every=2": optuna.pruners.MedianPruner(1, 3, 2),
        "hyperband:eta=2,max=8": optuna.pruners.HyperbandPruner(1, 8, 2),
    }

    def ended(pruner: optuna.pruners.BasePruner) -> list[int]:
        study = optuna.create_study(study_name="same", pruner=pruner, sampler=optuna.samplers.RandomSampler(3))

        def learn(trial: optuna.Trial) -> float:
            goal = trial.suggest_float("x", 0, 1)
            for epoch in range(1, 9):
                trial.report(goal + 1 / epoch, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return goal

        study.optimize(learn, 30)
        return [len(trial.intermediate_values) for trial in study.trials]

    found = {text: ended(pruner_of(text, None)) for text in pairs}
    assert found == {text: ended(pruner) for text, pruner in pairs.items()}
    assert len({tuple(one) for one in found.values()}) == len(pairs)


BAD = {
    "asha:etta=4": "`asha:NAME=VALUE,...` with `eta`, `min`, `late`. Did you mean `eta`?",
    "asha:eta=1": "`eta` to be a whole number from 2 to 100",
    "asha:eta=2.5": "`eta` to be a whole number from 2 to 100",
    "asha:eta": "`eta` to be a whole number from 2 to 100",
    "asha:eta=2,eta=3": "`eta` once",
    "asha:": "`asha:NAME=VALUE,...` with",
    "none:eta=2": "`none` alone, which takes no arguments.",
    "ashaa:eta=2": "expected one of asha, hyperband, median, none",
}


@pytest.mark.parametrize("text", BAD)
def test_a_slip_is_named(text: str, store) -> None:
    with pytest.raises(OptionError) as caught:
        config(prune=text)
    assert BAD[text] in str(caught.value)
    with pytest.raises(OptionError, match=r"`--sampler tpe:group=true`: .*multivariate"):
        tune(LitDigits, digits(160), space={"lr": "1e-3..1e-1"}, trials=2, **USUAL | {"sampler": "tpe:group=true"})
    assert not store.list_runs(has_parts=True)


def test_patience_ends_a_search_that_gets_no_better() -> None:
    by_hand = [f"lr={lr}" for lr in ("0.0001", "0.02", "0.00011", "0.00012", "0.00013")]
    study = tune(LitDigits, digits(160), space={"lr": "1e-5..1e-1:log"}, enqueue=by_hand, patience=3, **USUAL)
    assert study.status == "finished"
    assert study.best.number == 1
    assert len(study.trials) == 5
    said = [event.text for event in study.events if event.kind == "found"]
    assert said == ["none of the last 3 complete trials was better (`--patience`)"]
    assert study.config["patience"] == 3
