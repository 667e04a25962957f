"""Names of series in W&B: those that it uses itself keep their meaning, and every column leads back."""

from __future__ import annotations

import pytest

from jupyter_train.mirrors.wandb_names import POSITION_COLUMNS, column_of, series_of

COLUMNS = {
    "val_loss": "val_loss",
    "epoch_loss": "epoch_loss",
    "epoch": "logged/epoch",
    "trainer/global_step": "logged/trainer/global_step",
    "_step": "logged/_step",
    "_mine": "logged/_mine",
    "logged/epoch": "logged/logged/epoch",
    "logged/loss": "logged/loss",
    "a\n_b": "a\n_b",
    "_a\nb": "logged/_a\nb",
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_series_has_a_column_that_leads_back_to_it(name: str) -> None:
    assert column_of(name) == COLUMNS[name]
    assert series_of(column_of(name)) == name


@pytest.mark.parametrize("column", [*POSITION_COLUMNS, "_step", "_runtime", "_wandb"])
def test_columns_of_the_step_and_of_wandb_are_no_series(column: str) -> None:
    assert series_of(column) is None
