"""Options that change nothing, as others decide: a run says so, a search over them is refused."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import runs, train, tune
from jupyter_train.exceptions import OptionError
from jupyter_train.training.inspection.ineffective_options import uses_batch_size
from tests.models import DigitsData, LitDigits, digits

ROWS = TensorDataset(*(torch.from_numpy(part) for part in digits(160)))


class Brings(LitDigits):
    """Brings its own loader."""

    def train_dataloader(self):
        return DataLoader(ROWS, batch_size=32)


DECIDED = {
    "a loader": (LitDigits, lambda: DataLoader(ROWS, batch_size=40), "the DataLoader makes its own batches"),
    "loaders": (LitDigits, lambda: (DataLoader(ROWS), DataLoader(ROWS)), "the DataLoaders make their own batches"),
    "a datamodule": (LitDigits, lambda: DigitsData(160), "the DigitsData makes its own batches"),
    "none": (Brings, lambda: None, "the model brings its own loaders"),
}


def warnings_of(run) -> list[str]:
    return [event.text for event in run.events if event.kind == "warning"]


@pytest.mark.parametrize("what", DECIDED)
def test_a_batch_size_that_others_decide_is_said_and_cannot_be_searched(what: str) -> None:
    model, data, words = DECIDED[what]
    run = train(lambda: model(), data(), batch_size=8, epochs=1, seed=1, quiet=True)
    assert run.status == "finished"
    assert warnings_of(run) == [f"`--batch-size 8` has no effect: {words}"]
    assert not warnings_of(train(lambda: model(), data(), epochs=1, seed=1, quiet=True))
    with pytest.raises(OptionError, match=f"`batch_size` is searched but has no effect: {words}; give"):
        tune(model, data(), space={"batch_size": [8, 16]}, trials=2, epochs=1, minimize="train_loss", quiet=True)
    assert len(runs()) == 2
    study = tune(
        model, data(), space={"lr": [1e-3, 1e-2]}, trials=1, epochs=1, minimize="train_loss", batch_size=8, quiet=True
    )
    assert warnings_of(study) == [f"`--batch-size 8` has no effect: {words}"]
    assert not warnings_of(study.trial(0))


def test_a_split_of_what_the_model_brings_is_said() -> None:
    run = train(lambda: Brings(), None, split="0.5/0.5", scale="standard", epochs=1, seed=1, quiet=True)
    assert warnings_of(run) == [
        f"`{option}` has no effect: the model brings its own loaders" for option in ("--scale standard", "--split")
    ]


def test_a_batch_size_that_is_used_says_nothing() -> None:
    lists = tuple(part.tolist() for part in digits(160))
    pairs = (digits(160), lists, (ROWS, ROWS), [ROWS, ROWS], (digits(160), DataLoader(ROWS)))
    for data in (ROWS, {"a": ROWS}, *pairs):
        assert uses_batch_size(data)
    assert not warnings_of(train(lambda: LitDigits(), digits(160), batch_size=8, epochs=1, seed=1, quiet=True))
