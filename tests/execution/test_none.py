"""None that is given on purpose, where the default is something else, arrives wherever options go."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, IterableDataset

from jupyter_train import train, tune
from jupyter_train.exceptions import ChangedError
from tests.models import LitDigits, digits

#: What Lightning and torch say of these modules is theirs to say.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

#: 40 training samples of a batch of 8: five batches an epoch, validated every seven.
OVER_EPOCHS = {"val_check_interval": 7, "check_val_every_n_epoch": None}
VALIDATED = [7, 14]


class Stream(IterableDataset):
    def __iter__(self):
        yield from ((torch.full((64,), index / 40), index % 10) for index in range(40))


class Watched(LitDigits):
    """Knows at which steps it was validated."""

    def __init__(self) -> None:
        super().__init__()
        self.validated: list[int] = []

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            self.validated.append(self.global_step)


def _stream():
    return DataLoader(Stream(), 8), DataLoader(Stream(), 8)


def _rows(run):
    return (run.metrics["val_loss"].dropna().index + 1).tolist()


@pytest.mark.parametrize("engine", ["lean", "lightning"])
def test_streams_are_validated_when_stock_validates_them(engine, tmp_path) -> None:
    stock, ours = Watched(), Watched()
    trainer = pl.Trainer(
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        devices=1,
        **OVER_EPOCHS,
    )
    trainer.fit(stock, *_stream())
    run = train(ours, _stream(), epochs=3, seed=1, quiet=True, engine=engine, **OVER_EPOCHS)
    assert ours.validated == stock.validated == VALIDATED
    assert run.config["check_val_every_n_epoch"] is None


def test_a_named_metric_is_not_missed_before_the_first_validation() -> None:
    run = train(LitDigits(), _stream(), epochs=3, seed=1, quiet=True, monitor="val_loss", **OVER_EPOCHS)
    assert run.best["metric"] == "val_loss"


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("model streams --epochs 3 --quiet --val-check-interval 7 --check-val-every-n-epoch none", None),
        (
            "",
            "model: model\ndata: streams\nepochs: 3\nquiet: true\nval_check_interval: 7\n"
            "check_val_every_n_epoch: null\n",
        ),
        (
            "tests.models.LitDigits tests.execution.test_none.Streams",
            "seed_everything: 1\nquiet: true\n"
            "trainer: {max_epochs: 3, val_check_interval: 7, check_val_every_n_epoch: null, max_time: null}\n",
        ),
    ],
    ids=["line", "yaml", "cli file"],
)
def test_none_arrives_from_a_cell(shell, line, body) -> None:
    shell.user_ns.update(model=LitDigits(), streams=_stream())
    run = shell.run_line_magic("train", line) if body is None else shell.run_cell_magic("train", line, body)
    assert _rows(run) == VALIDATED
    assert run.config["check_val_every_n_epoch"] is None
    assert "max_time" not in run.config


class Streams(pl.LightningDataModule):
    def train_dataloader(self):
        return _stream()[0]

    def val_dataloader(self):
        return _stream()[1]


def test_another_attempt_keeps_none_and_sees_it_changed() -> None:
    run = train(lambda: LitDigits(), _stream, epochs=2, seed=1, quiet=True, **OVER_EPOCHS)
    again = train(lambda: LitDigits(), _stream, epochs=3, resume=run.ref, quiet=True)
    assert _rows(again) == VALIDATED
    assert again.config["check_val_every_n_epoch"] is None
    with pytest.raises(ChangedError, match="`--check-val-every-n-epoch` was `None` and is `1`"):
        train(lambda: LitDigits(), _stream, epochs=4, resume=run.ref, quiet=True, check_val_every_n_epoch=1)


def test_none_undoes_an_option_of_the_attempt_before() -> None:
    run = train(lambda: LitDigits(), digits(64), epochs=1, seed=1, quiet=True, early_stop="val_loss:3")
    again = train(lambda: LitDigits(), digits(64), epochs=2, resume=run.ref, quiet=True, early_stop=None)
    assert "early_stop" not in again.config


def test_trials_and_their_promotion_keep_none() -> None:
    study = tune(
        LitDigits,
        (digits(64)),
        space={"lr": [1e-3, 1e-2]},
        trials=1,
        minimize="val_loss",
        epochs=4,
        seed=1,
        quiet=True,
        val_check_interval=3,
        check_val_every_n_epoch=None,
        prune="none",
    )
    assert _rows(study.trial(0)) == [3, 6]
    assert "--check-val-every-n-epoch none" in study.promote()
    again = tune(LitDigits, digits(64), resume=study.ref, trials=2, quiet=True)
    assert _rows(again.trial(1)) == [3, 6]
