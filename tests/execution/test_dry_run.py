"""`--explain` and `--tune-loader`: said, measured, and nothing trained or recorded."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from jupyter_train import runs, train
from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import DataError
from jupyter_train.execution.dry_run import dry_run
from jupyter_train.training.inspection.dataloader_benchmark import LoaderBenchmark, LoaderSettings
from tests.models import LitDigits, are_equal, digits, weights
from tests.parity.models import Adversarial, Plain, Stream, loader, rows

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(120)]


class Slow(Dataset):
    """Samples that take their time."""

    def __len__(self) -> int:
        return 400

    def __getitem__(self, index: int):
        matrix = torch.randn(96, 96)
        for _ in range(6):
            matrix = matrix @ matrix / 96
        return matrix[0, :8], index % 4


def test_it_is_explained_and_nothing_is_trained() -> None:
    module = LitDigits()
    before = copy.deepcopy(weights(module))
    found = train(module, digits(), explain=True)
    assert found["model"] == "LitDigits: 1,210 parameters, 1,210 of them trained"
    assert found["batches"] == "8 an epoch, read a batch at a time, from tensors in memory"
    assert found["device"].startswith("cpu, precision 32")
    assert found["loop"] == "lean"
    assert are_equal(weights(module), before)
    assert len(runs()) == 0


@pytest.mark.parametrize(
    ("model", "data", "options", "what", "words"),
    [
        (Adversarial, lambda: (loader(), loader()), {}, "loop", "Lightning's own: the model optimizes manually"),
        (
            Plain,
            lambda: loader(),
            {"profiler": "simple"},
            "loop",
            "Lightning's own: SimpleProfiler watches Lightning's own loop",
        ),
        (Plain, lambda: loader(), {"engine": "lightning"}, "loop", "Lightning's own: `--engine lightning` was given"),
        (
            Plain,
            lambda: loader(),
            {"devices": 2, "accelerator": "cpu"},
            "loop",
            "Lightning's own: 2 processes share the work",
        ),
        (
            Plain,
            lambda: loader(),
            {"engine": "lightning"},
            "batches",
            "6 an epoch, read sample by sample from `TensorDataset`",
        ),
        (
            Plain,
            lambda: DataLoader(Slow(), 8, num_workers=2),
            {},
            "batches",
            "50 an epoch, read sample by sample from `Slow`, in 2 worker processes",
        ),
        (
            Plain,
            lambda: DataLoader(Stream(), 8),
            {},
            "order",
            "`Stream` is a stream: its order is its own, and a resumed epoch reads it from its beginning; a resumed "
            "run may differ",
        ),
    ],
)
def test_it_says_why(model, data, options, what: str, words: str) -> None:
    assert train(lambda: model(), data, explain=True, **options)[what] == words


def test_a_loader_is_measured_and_left_as_it_is() -> None:
    given = DataLoader(rows(400), 8, shuffle=True)
    found = train(lambda: Plain(), given, tune_loader=True)
    assert given.num_workers == 0
    assert isinstance(found, LoaderBenchmark)
    assert found.current == LoaderSettings(0)
    assert {0, 1} <= {one.num_workers for one in found.rates}
    assert all(rate > 0 for rate in found.rates.values())
    assert "(as it is)" in repr(found)
    assert len(runs()) == 0


def test_a_short_loader_is_measured_with_the_beginning_of_its_passes() -> None:
    """Two slow batches: their time is all there is."""
    found = train(lambda: Plain(), DataLoader(Slow(), 200), tune_loader=True)
    assert 0 < found.rates[LoaderSettings(0)] < 200


def test_what_is_suggested_is_what_was_fastest() -> None:
    slow, fast, deep = LoaderSettings(0), LoaderSettings(2, 2), LoaderSettings(2, 4)
    table = LoaderBenchmark({slow: 100.0, fast: 250.0, deep: 240.0}, slow)
    assert repr(table).splitlines()[-1] == (
        "2.5 times as fast: `DataLoader(..., num_workers=2, persistent_workers=True)`"
    )
    close = LoaderBenchmark({slow: 100.0, fast: 110.0}, slow)
    assert repr(close).splitlines()[-1] == "the loader is best left as it is"


def test_what_cannot_be_varied_says_so() -> None:
    with pytest.raises(DataError, match="`--tune-loader` measures a DataLoader"):
        train(lambda: Plain(), DataLoader(Stream(), 8), tune_loader=True)


def test_neither_options_nor_random_state_are_touched() -> None:
    config = TrainConfig.of({"explain": True, "lr": "auto", "batch_size": "auto"})
    before = torch.get_rng_state()
    found = dry_run(config, lambda _config: (LitDigits(), digits(64)))
    assert found["model"].startswith("LitDigits: ")
    assert found["batches"].startswith("2 an epoch")  # as many rows as a finder begins with
    assert torch.equal(torch.get_rng_state(), before)
    assert (config.lr, config.batch_size) == ("auto", "auto")
