"""Every fit of several has a model of its own."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train.config import TrainConfig
from jupyter_train.execution.model_copies import ModelCopies
from jupyter_train.training.checkpoints.initial_weights import Origin, set_origin
from tests.models import LitDigits, are_equal, weights

DATA = object()


def config(**options: Any) -> TrainConfig:
    return TrainConfig.of({"epochs": 1, **options})


def test_what_makes_a_model_makes_one_for_every_fit() -> None:
    copies = ModelCopies(lambda _config: (LitDigits(), DATA))
    models = [copies(config())[0] for _ in range(3)]
    assert len({id(model) for model in models}) == 3
    assert not are_equal(weights(models[0]), weights(models[1]))
    assert copies.given is None
    assert copies.warning(config(seeds=3)) == ""


def test_an_object_is_copied_and_never_trained_itself() -> None:
    model = LitDigits()
    copies = ModelCopies(lambda _config: (model, DATA))
    copies(config())  # looks whether model and data fit
    made = [copies(config()) for _ in range(2)]
    assert copies.given is model
    assert [data for _, data in made] == [DATA, DATA]
    assert all(one is not model and are_equal(weights(one), weights(model)) for one, _ in made)
    assert made[0][0] is not made[1][0]


def test_what_an_object_means_for_seeds_and_folds_is_said() -> None:
    model = LitDigits()
    copies = ModelCopies(lambda _config: (model, DATA))
    for _ in range(2):
        copies(config())
    assert copies.warning(config(cv=3)) == ""
    assert "seeds decide the order of the rows and dropout alone" in copies.warning(config(seeds=3))
    set_origin(model, Origin("key", "digits-k3f9", 7, "", ""))
    assert copies.warning(config(cv=3)).startswith("the model was trained by `digits-k3f9` before")
    assert copies.warning(config(cv=3, reinit=True)) == ""


@pytest.mark.parametrize("model", [None, 3])
def test_what_is_no_model_is_passed_on_to_be_refused(model: Any) -> None:
    assert ModelCopies(lambda _config: (model, DATA))(config()) == (model, DATA)
