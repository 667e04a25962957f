"""The best trial's run, in the kernel that searched: tested, queried, loaded as any run that was trained here."""

from __future__ import annotations

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from optuna.trial import TrialState, create_trial
from torch import nn

from jupyter_train import get_run, train, tune
from jupyter_train.exceptions import ModelError
from jupyter_train.handle.trial import BestTrial, TrialRun
from jupyter_train.tuning.parameter_json import packed
from tests.models import LitDigits, digits

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = {"epochs": 2, "maximize": "val_acc", "prune": "none", "seed": 3, "quiet": True, "split": "0.6/0.2/0.2"}
SPACE = {"lr": "1e-3..1e-1:log", "hidden": [8, 16]}


@pytest.mark.parametrize("parallel", [1, 2])
def test_it_is_used_as_a_run_that_was_trained_here(parallel: int) -> None:
    images, labels = digits(320)
    study = tune(LitDigits, (images, labels), space=SPACE, trials=4, parallel=parallel, **USUAL)
    best = study.best
    alone = train(
        lambda: LitDigits(**best.params),
        (images, labels),
        epochs=2,
        seed=3,
        quiet=True,
        monitor="val_acc",
        mode="max",
        split="0.6/0.2/0.2",
    )
    assert best.run.test() == alone.test(), "of the same rows that no trial has seen"
    found = best.run.predict(images)
    assert np.array_equal(found.numpy(), alone.predict(images).numpy())
    assert np.array_equal(found.numpy(), study.trial(best.number).predict(images).numpy())
    model = LitDigits(hidden=best.params["hidden"])
    best.run.load_into(model)
    assert torch.equal(model.net[0].weight, best.model().net[0].weight)
    random = torch.get_rng_state()
    assert study.best.model() is not None
    assert torch.equal(torch.get_rng_state(), random), "nothing of it is drawn from this kernel's numbers"


def test_elsewhere_it_says_what_to_give() -> None:
    study = tune(LitDigits, digits(160), space=SPACE, trials=2, **USUAL)
    elsewhere = get_run(study.ref).best
    with pytest.raises(ModelError, match="build the model and give it"):
        elsewhere.run.predict(digits(160)[0])
    model = elsewhere.run.model(LitDigits(hidden=elsewhere.params["hidden"]))
    assert torch.equal(model.net[0].weight, study.best.model().net[0].weight)


@pytest.mark.parametrize("parallel", [1, 2])
def test_rows_are_encoded_as_the_trial_had_them(parallel: int) -> None:
    """Predicted in the units of the target, tested and forked with what was kept."""
    size = np.linspace(20, 90, 120)
    frame = pd.DataFrame({"size": size, "city": ["Rome", "Oslo", "Bonn"] * 40, "price": 1000 * size + 5000})
    options = {"target": "price", "encode": "auto", "scale": "standard+target", "loss": "mse", "seed": 1, "quiet": True}
    study = tune(
        lambda width=4: nn.Sequential(nn.Linear(4, width), nn.Linear(width, 1)),
        frame,
        space={"width": [4, 8]},
        trials=2,
        epochs=8,
        lr=0.05,
        minimize="val_loss",
        prune="none",
        parallel=parallel,
        **options,
    )
    run = study.best.run
    found = run.predict(frame.drop(columns="price"))[:, 0].numpy()
    assert np.corrcoef(found, frame["price"])[0, 1] > 0.9
    assert abs(found.mean() - frame["price"].mean()) < 10_000
    assert run.record.summary["data"].endswith("4 columns after encoding · columns and target scaled")
    net = nn.Sequential(nn.Linear(4, study.best.params["width"]), nn.Linear(study.best.params["width"], 1))
    forked = train(net, frame, fork=run.ref, epochs=9, lr=1e-12, **options | {"seed": 77})
    assert np.allclose(forked.predict(frame.drop(columns="price"))[:, 0].numpy(), found, rtol=1e-3)


def test_a_trial_of_several_fits_is_what_such_a_run_is() -> None:
    options = {"epochs": 2, "minimize": "val_loss", "prune": "none", "seed": 3, "quiet": True, "cv": 2}
    study = tune(LitDigits, digits(160), space={"lr": [1e-3, 1e-2]}, trials=2, objective="last", **options)
    run = study.best.run
    assert len(run.fits) == 2
    assert study.best.value == run.mean_last == pytest.approx(run.fits["val_loss"].mean())
    with pytest.raises(ModelError, match="is several fits, each with weights of its own"):
        run.test(digits(160))


def test_a_trial_is_shown_by_its_number_and_values(store) -> None:
    record = store.create_run("digits", kind="trial", config={"epochs": 1, **packed({"lr": 0.0123456, "act": "relu"})})
    run = TrialRun(store, record.key, None)
    assert run.params == {"lr": 0.0123456, "act": "relu"}
    best = BestTrial(create_trial(values=[0.98765, 3.0], state=TrialState.COMPLETE), run, "study-k3f9")
    assert (best.params, best.value) == (run.params, 0.98765)
    assert repr(best) == f"trial {best.number} of study-k3f9: 0.9877 with lr=0.01235, act=relu"


def test_a_trial_of_a_release_that_recorded_no_values_has_those_of_optuna(store) -> None:
    record = store.create_run("digits", kind="trial")
    trial = create_trial(
        params={"hidden": 8}, distributions={"hidden": optuna.distributions.IntDistribution(1, 9)}, value=1.0
    )
    assert BestTrial(trial, TrialRun(store, record.key, None), "study-k3f9").params == {"hidden": 8}
