"""What a fit would do, and that nothing of it is done."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from jupyter_train.config import TrainConfig
from jupyter_train.training.data.loaders import make_data_source
from jupyter_train.training.inspection.explain import Explanation, explain
from tests.models import LitDigits, are_equal, digits, weights


def test_lines_are_read_by_their_topic_and_shown_as_a_table() -> None:
    explanation = Explanation([("model", "a net"), ("batches", "8 an epoch"), ("batches", "2 an epoch")])
    assert explanation["model"] == "a net"
    assert explanation["batches"] == "8 an epoch; 2 an epoch"
    assert repr(explanation) == "model    a net\nbatches  8 an epoch\nbatches  2 an epoch"
    with pytest.raises(KeyError, match="loop"):
        explanation["loop"]


class Samples(Dataset[Any]):
    """Digits one by one."""

    def __init__(self) -> None:
        self.images, self.labels = digits(64)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return torch.from_numpy(self.images[index]), int(self.labels[index])


def explained(data: Any, world_size: int = 1, module: LitDigits | None = None, **options: Any) -> Explanation:
    config = TrainConfig.of({"epochs": 1, "accelerator": "cpu", **options})
    module = module or LitDigits()
    return explain(module, make_data_source(data, config, module, 1), config, world_size)


def test_a_fit_is_described_and_the_model_left_as_it_was() -> None:
    module = LitDigits()
    module.net[0].weight.requires_grad_(False)
    before = weights(module)
    explanation = explained(digits(64), module=module, batch_size=16)
    assert explanation["model"] == "LitDigits: 1,210 parameters, 186 of them trained"
    assert explanation["batches"].startswith("4 an epoch, read a batch at a time, from tensors in memory")
    assert (explanation["device"], explanation["loop"]) == ("cpu, precision 32-true", "lean")
    assert are_equal(weights(module), before)
    assert module._trainer is None


def test_how_batches_are_read_is_told_by_the_loader() -> None:
    assert (
        explained(DataLoader(Samples(), 8, shuffle=True))["batches"]
        == "8 an epoch, read sample by sample from `Samples`"
    )


def test_the_reason_for_lightnings_own_loop_is_said() -> None:
    assert explained(digits(64), engine="lightning")["loop"] == "Lightning's own: `--engine lightning` was given"
    manual = LitDigits()
    manual.automatic_optimization = False
    assert explained(digits(64), module=manual)["loop"] == "Lightning's own: the model optimizes manually"


def test_a_fit_of_several_processes_is_not_set_up_in_this_one() -> None:
    explanation = explained(digits(64), world_size=2)
    assert explanation["loop"] == "Lightning's own: 2 processes share the work"
    with pytest.raises(KeyError):
        explanation["device"]
