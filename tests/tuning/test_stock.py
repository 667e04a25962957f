"""One search, twice: stock Lightning under `Study.optimize`, and `%tune`. Every trial is the same, to the last bit."""

from __future__ import annotations

import pytest

from jupyter_train import tune
from tests.benchmarks import tune as benchmark
from tests.models import LitDigits

pytestmark = [pytest.mark.filterwarnings("ignore")]
TRIALS = 15


def test_every_trial_is_the_one_that_optuna_and_lightning_run() -> None:
    stock = benchmark._study("")
    stock.optimize(benchmark._stock, n_trials=TRIALS)
    study = tune(
        LitDigits,
        benchmark._split(),
        space=benchmark.SPACE,
        trials=TRIALS,
        epochs=benchmark.EPOCHS,
        batch_size=32,
        maximize="val_acc",
        seed=benchmark.SEED,
        quiet=True,
        accelerator="cpu",
    )
    for mine, theirs in zip(study.optuna.trials, stock.trials, strict=True):
        assert mine.params == theirs.params
        assert mine.state == theirs.state
        assert mine.intermediate_values == theirs.intermediate_values
    assert {trial.state.name for trial in stock.trials} == {"COMPLETE", "PRUNED"}
    assert (study.best.number, study.best.value) == (stock.best_trial.number, stock.best_value)
