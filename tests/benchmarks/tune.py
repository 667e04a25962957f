"""Trials a minute of a search on the digits: `%tune` against Optuna with stock Lightning, same sampler, pruner, seed.

Every kind is a process of its own; the clock runs from the first trial asked for to the last told, starting further
processes included. Kinds take turns, and the medians of the ratios are printed.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_train.execution.workers.fork_server import FORK_SERVER
from tests.benchmarks.recorder import be_quiet

TRIALS = 200
EPOCHS = 5
REPEATS = 3
SEED = 1
SPACE = {"lr": "1e-4..1e-1:log", "hidden": [16, 32, 64, 128]}
KINDS = {
    "optuna": "Optuna, one process, stock Lightning",
    "optuna2": "Optuna, two cold processes, stock Lightning",
    "tune": "%tune",
    "tune2": "%tune --parallel 2",
    "tune2again": "%tune --parallel 2, not the first of its kernel",
}
#: Ray Tune takes seconds a trial; it is measured once, where it is installed, with fewer of them.
RAY_TRIALS = 20


def _split() -> Any:
    """The same training and validation parts for all."""
    import torch
    from torch.utils.data import TensorDataset

    from tests.models import digits

    images, labels = (torch.from_numpy(part) for part in digits(1797))
    return TensorDataset(images[:1437], labels[:1437]), TensorDataset(images[1437:], labels[1437:])


def _trainer(callback: Any) -> Any:
    """Stock Lightning, quiet."""
    import pytorch_lightning as pl

    return pl.Trainer(
        max_epochs=EPOCHS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        accelerator="cpu",
        enable_model_summary=False,
        callbacks=[callback],
        num_sanity_val_steps=0,
    )


def _ours(parallel: int, trials: int) -> tuple[float, float]:
    import jupyter_train.tuning.detached  # noqa: F401  imported before the clock runs, as everything else is
    from jupyter_train import tune
    from tests.models import LitDigits

    data = _split()
    began = time.perf_counter()
    study = tune(
        LitDigits,
        data,
        space=SPACE,
        trials=trials,
        epochs=EPOCHS,
        maximize="val_acc",
        seed=SEED,
        batch_size=32,
        parallel=parallel,
        quiet=True,
        accelerator="cpu",
    )
    took = time.perf_counter() - began
    assert len(study.trials) == trials
    return took, study.best.value


def _stock(trial: Any) -> float:
    """One trial as Optuna's users write it: stock Lightning, quiet, pruned by the epoch; the same objective as ours."""
    import optuna
    import pytorch_lightning as pl
    from torch.utils.data import DataLoader

    from jupyter_train.training.data.sample_order import in_order, order_seed
    from tests.models import LitDigits

    best: list[float] = []

    class Prunes(pl.Callback):
        """As optuna-integration's callback."""

        def on_validation_end(self, trainer, pl_module):
            if trainer.sanity_checking:
                return
            value = float(trainer.callback_metrics["val_acc"])
            best.append(value)
            trial.report(value, trainer.current_epoch + 1)
            if trial.should_prune():
                raise optuna.TrialPruned

    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    hidden = trial.suggest_categorical("hidden", SPACE["hidden"])
    pl.seed_everything(SEED, verbose=False)
    training, validation = _split()
    trainer = _trainer(Prunes())
    model = LitDigits(lr=lr, hidden=hidden)
    pl.seed_everything(SEED, verbose=False)  # what is drawn in training must not depend on how much the model drew
    loader = in_order(DataLoader(training, 32, shuffle=True), order_seed(SEED))  # the samples as `%tune` deals them
    trainer.fit(model, loader, DataLoader(validation, 32))
    return max(best)


def _study(path: str) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(path)) if path else None,
        study_name="s",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=SEED),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )


def _optuna(trials: int) -> tuple[float, float]:
    import optuna  # noqa: F401  imported before the clock runs, as everything else is
    from torch.utils.data import DataLoader  # noqa: F401

    began = time.perf_counter()
    study = _study("")
    study.optimize(_stock, n_trials=trials)
    return time.perf_counter() - began, study.best_value


def _optuna_twice(trials: int) -> tuple[float, float]:
    from optuna.study import MaxTrialsCallback
    from optuna.trial import TrialState

    path = str(Path(tempfile.mkdtemp()) / "journal.log")
    if sys.argv[-1].endswith("journal.log"):
        path = sys.argv[-1]
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        _study(path).optimize(_stock, callbacks=[MaxTrialsCallback(trials, states)])
        return 0.0, 0.0
    began = time.perf_counter()
    command = [sys.executable, "-m", "tests.benchmarks.tune", "optuna2", str(trials), path]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    return time.perf_counter() - began, _study(path).best_value


def _ray(trials: int) -> tuple[float, float]:
    """Ray Tune as its guide shows it: two trials at a time, Optuna's sampler, ASHA."""
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    began = time.perf_counter()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    config = tune.TuneConfig(
        num_samples=trials,
        metric="val_acc",
        mode="max",
        max_concurrent_trials=2,
        search_alg=OptunaSearch(seed=SEED),
        scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3),
    )
    space = {"lr": tune.loguniform(1e-4, 1e-1), "hidden": tune.choice(SPACE["hidden"])}
    results = tune.Tuner(_ray_trial, param_space=space, tune_config=config).fit()
    took = time.perf_counter() - began
    assert len(results) == trials
    return took, float(results.get_best_result().metrics["val_acc"])


def _ray_trial(config: dict[str, Any]) -> None:
    import pytorch_lightning as pl
    from ray import tune
    from torch.utils.data import DataLoader

    from tests.models import LitDigits

    class Reports(pl.Callback):
        def on_validation_end(self, trainer, pl_module):
            tune.report({"val_acc": float(trainer.callback_metrics["val_acc"])})

    pl.seed_everything(SEED, verbose=False)
    training, validation = _split()
    trainer = _trainer(Reports())
    trainer.fit(LitDigits(**config), DataLoader(training, 32, shuffle=True), DataLoader(validation, 32))


def _measured(kind: str, trials: int = TRIALS) -> tuple[float, float]:
    """Trials a minute, and the best value."""
    with tempfile.TemporaryDirectory() as home:
        places = {"JUPYTER_TRAIN_STORE": f"{home}/store.db", "JUPYTER_TRAIN_HOME": home}
        command = [sys.executable, "-m", "tests.benchmarks.tune", kind, str(trials)]
        output = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | places).stdout
    took, best = output.splitlines()[-1].split()
    return trials / float(took) * 60, float(best)


def measure() -> list[dict[str, object]]:
    """Trials a minute, and the ratio to Optuna in one process of the same turn."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    bests: dict[str, float] = {}
    for _ in range(REPEATS):
        for kind in KINDS:
            speed, bests[kind] = _measured(kind)
            found[kind].append(speed)
    rows: list[dict[str, object]] = []
    for kind, words in KINDS.items():
        ratios = sorted(mine / stock for mine, stock in zip(found[kind], found["optuna"], strict=True))
        rows.append(
            {
                "what": words,
                "trials/min": round(statistics.median(found[kind])),
                "ratio": round(statistics.median(ratios), 2),
                "least": round(ratios[0], 2),
                "most": round(ratios[-1], 2),
                "best val_acc": round(bests[kind], 4),
                "target": ">= 5" if kind == "tune2" else "",
            }
        )
    what = f"Ray Tune, two at a time, {RAY_TRIALS} trials"
    if importlib.util.find_spec("ray") is None:
        return [*rows, {"what": f"{what}: not installed"}]
    speed, best = _measured("ray", RAY_TRIALS)
    stock = statistics.median(found["optuna"])
    return [
        *rows,
        {"what": what, "trials/min": round(speed), "ratio": round(speed / stock, 2), "best val_acc": round(best, 4)},
    ]


if __name__ == "__main__":
    be_quiet()
    kind, number = sys.argv[1], int(sys.argv[2])
    if kind.startswith("tune"):
        if kind == "tune2again":
            FORK_SERVER.get("jupyter_train.tuning.parallel.worker").is_warm.wait()  # as after a search before
        print(*_ours(1 if kind == "tune" else 2, number))
    else:
        print(*{"optuna": _optuna, "optuna2": _optuna_twice, "ray": _ray}[kind](number))
