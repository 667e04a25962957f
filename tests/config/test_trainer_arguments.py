"""`pl.Trainer`'s arguments, as its source declares them."""

from __future__ import annotations

import inspect

from jupyter_train.config import options_by_name
from jupyter_train.config.trainer_arguments import DECISIONS, trainer_arguments


def test_ast_reads_the_same_trainer_signature_as_inspect() -> None:
    import pytorch_lightning as pl

    real = inspect.signature(pl.Trainer.__init__).parameters
    names = [name for name in real if name != "self"]
    assert [argument.name for argument in trainer_arguments()] == names
    for argument in trainer_arguments():
        assert argument.default == real[argument.name].default


def test_every_trainer_argument_is_decided() -> None:
    assert set(DECISIONS) == {argument.name for argument in trainer_arguments()}


def test_every_trainer_argument_takes_none_where_lightning_does() -> None:
    import pytorch_lightning as pl

    for name, real in inspect.signature(pl.Trainer.__init__).parameters.items():
        if name not in ("self", "logger"):
            option = options_by_name()[name]
            assert option.takes_none == (type(None) in getattr(real.annotation, "__args__", ())), name
