"""Whether a step takes the index of its batch, also after another step was set in its place."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl

from jupyter_train.training.engine.signature import Signature


class Both(pl.LightningModule):
    def training_step(self, batch, batch_idx): ...

    def validation_step(self, batch): ...


class Named(pl.LightningModule):
    def training_step(self, batch, index): ...

    def validation_step(self, *arguments): ...


@pytest.mark.parametrize(
    ("kind", "name", "takes_index"),
    [
        (Both, "training_step", True),
        (Both, "validation_step", False),
        (Named, "training_step", True),
        (Named, "validation_step", True),
    ],
)
def test_it_takes_the_index_where_lightning_would_give_it(kind, name: str, takes_index: bool) -> None:
    assert Signature(kind(), name).takes_index is takes_index


def test_a_step_that_is_set_later_is_looked_at() -> None:
    module = Both()
    signature = Signature(module, "training_step")
    module.training_step = lambda batch: None
    assert not signature.takes_index
    del module.training_step
    assert signature.takes_index
