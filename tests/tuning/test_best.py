"""The best trial's run, in the kernel that searched: tested, asked, loaded as any run that was trained here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jupyter_train import get_run, train, tune
from jupyter_train.exceptions import ModelError
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
        lambda: LitDigits(**best.params), (images, labels), epochs=2, seed=3, quiet=True, monitor="val_acc",
        mode="max", split="0.6/0.2/0.2",
    )  # fmt: skip
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
