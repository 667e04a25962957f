"""Configuration: every option, declared once."""

from __future__ import annotations

from jupyter_train.config.metric_direction import direction_of
from jupyter_train.config.option_table import options_by_name, signature_of_train
from jupyter_train.config.options import Option
from jupyter_train.config.retrain import RetrainConfig
from jupyter_train.config.train import TrainConfig
from jupyter_train.config.tune import TuneConfig, tune_options_by_name

__all__ = [
    "Option",
    "RetrainConfig",
    "TrainConfig",
    "TuneConfig",
    "direction_of",
    "options_by_name",
    "signature_of_train",
    "tune_options_by_name",
]
