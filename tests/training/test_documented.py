"""What the documentation says of a stock script is true: it is run, and gives the weights that `train()` gives."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import train
from tests.models import LitDigits, are_equal, digits, weights

#: What Lightning and torch say of these modules is theirs to say.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SEEDED = "pl.seed_everything(7, workers=True)"
GUIDE = Path(__file__).parents[2] / ".docs" / "guides" / "training.md"
EXAMPLE = re.compile(r"^ *from jupyter_train\.training\.order import.*?^ *trainer\.fit\(.*?$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def rows():
    images, labels = digits(128)
    return TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))


@pytest.mark.parametrize("text", [GUIDE.read_text(encoding="utf-8"), train.__doc__], ids=["guide", "docstring"])
def test_a_stock_script_that_seeds_twice_gives_the_same_weights(text, rows) -> None:
    script = textwrap.dedent(EXAMPLE.search(text).group())
    assert script.count(SEEDED) == 2
    names = {"pl": pl, "LitDigits": LitDigits, "DataLoader": DataLoader, "rows": rows}
    exec(script, names)
    run = train(
        lambda: LitDigits(), lambda: DataLoader(rows, batch_size=32, shuffle=True), epochs=2, seed=7, quiet=True
    )
    assert are_equal(weights(names["model"]), weights(run._module))
    exec("".join(script.rsplit(SEEDED, 1)), names)
    assert not are_equal(weights(names["model"]), weights(run._module))
