"""`pl.Trainer`'s arguments as options, read from the source of the installed release."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_train.config.bounds import DEVICES
from jupyter_train.config.options import ArgumentUse, Option


class ArgumentDecision(NamedTuple):
    """How one Trainer argument is used, its help, and other fields of its `Option`."""

    use: ArgumentUse
    help: str
    facts: Mapping[str, Any] = {}


#: Every argument of `pl.Trainer.__init__`; a test compares this with the installed release.
DECISIONS: dict[str, ArgumentDecision] = {
    "accelerator": ArgumentDecision(
        ArgumentUse.PASSED,
        "cpu, gpu, mps, tpu or auto",
        dict(affects_weights=False, is_word_or_expression=True, suggestions=("cpu", "gpu", "mps", "auto")),
    ),
    "strategy": ArgumentDecision(
        ArgumentUse.PASSED,
        "how several devices share the work",
        dict(affects_weights=False, is_word_or_expression=True),
    ),
    "devices": ArgumentDecision(
        ArgumentUse.PASSED,
        "how many devices, or which; 1 by default",
        dict(
            affects_weights=False,
            default=1,
            bound=DEVICES,
            trial_refusal="a trial trains on one device; `--parallel N` trains several trials at once",
        ),
    ),
    "num_nodes": ArgumentDecision(
        ArgumentUse.REFUSED, "a notebook trains on one machine; use a job launcher for several"
    ),
    "precision": ArgumentDecision(
        ArgumentUse.PASSED,
        "32-true, 16-mixed, bf16-mixed, 64-true, ...",
        dict(suggestions=("32-true", "16-mixed", "bf16-mixed", "64-true", "bf16-true", "16-true")),
    ),
    "logger": ArgumentDecision(
        ArgumentUse.REPLACED,
        "the run itself records; a logger object is added beside it",
        dict(affects_weights=False, is_expression=True, is_restorable=False, in_cli_file=False),
    ),
    "callbacks": ArgumentDecision(
        ArgumentUse.REPLACED,
        "a list of callbacks, beside those of `--callback`",
        dict(affects_weights=False, is_expression=True, is_restorable=False),
    ),
    "fast_dev_run": ArgumentDecision(
        ArgumentUse.PASSED, "run N batches (1) of everything as a trial", dict(ends_training=True)
    ),
    "max_epochs": ArgumentDecision(
        ArgumentUse.PASSED,
        "stop after this many epochs; the same as --epochs",
        dict(affects_weights=False, ends_training=True, sets_length=True, in_form=False),
    ),
    "min_epochs": ArgumentDecision(
        ArgumentUse.PASSED, "do not stop before this many epochs", dict(affects_weights=False, sets_length=True)
    ),
    "max_steps": ArgumentDecision(
        ArgumentUse.PASSED,
        "stop after this many optimizer steps",
        dict(affects_weights=False, ends_training=True, sets_length=True),
    ),
    "min_steps": ArgumentDecision(
        ArgumentUse.PASSED,
        "do not stop before this many optimizer steps",
        dict(affects_weights=False, sets_length=True),
    ),
    "max_time": ArgumentDecision(
        ArgumentUse.PASSED, "stop after DD:HH:MM:SS", dict(affects_weights=False, ends_training=True, sets_length=True)
    ),
    "limit_train_batches": ArgumentDecision(ArgumentUse.PASSED, "batches (or share) of the training data per epoch"),
    "limit_val_batches": ArgumentDecision(ArgumentUse.PASSED, "batches (or share) of the validation data"),
    "limit_test_batches": ArgumentDecision(
        ArgumentUse.PASSED, "batches (or share) of the test data", dict(affects_weights=False)
    ),
    "limit_predict_batches": ArgumentDecision(
        ArgumentUse.PASSED, "batches (or share) when predicting", dict(affects_weights=False)
    ),
    "overfit_batches": ArgumentDecision(ArgumentUse.PASSED, "train and validate on this many batches"),
    "val_check_interval": ArgumentDecision(ArgumentUse.PASSED, "validate every N batches, share of an epoch, or time"),
    "check_val_every_n_epoch": ArgumentDecision(ArgumentUse.PASSED, "validate every N epochs"),
    "num_sanity_val_steps": ArgumentDecision(
        ArgumentUse.PASSED, "validation batches tried before training", dict(affects_weights=False)
    ),
    "log_every_n_steps": ArgumentDecision(
        ArgumentUse.REPLACED,
        "the run records every step; this applies to your own loggers",
        dict(affects_weights=False),
    ),
    "enable_checkpointing": ArgumentDecision(
        ArgumentUse.REPLACED, "false keeps no checkpoint in the run", dict(affects_weights=False)
    ),
    "enable_progress_bar": ArgumentDecision(
        ArgumentUse.REFUSED,
        "the panel shows progress; `--quiet` hides it",
        dict(affects_weights=False, in_cli_file=False),
    ),
    "enable_model_summary": ArgumentDecision(
        ArgumentUse.REPLACED, "the summary goes to the run's log", dict(affects_weights=False)
    ),
    "accumulate_grad_batches": ArgumentDecision(ArgumentUse.PASSED, "batches per optimizer step"),
    "gradient_clip_val": ArgumentDecision(ArgumentUse.PASSED, "clip gradients at this value"),
    "gradient_clip_algorithm": ArgumentDecision(
        ArgumentUse.PASSED, "value or norm", dict(suggestions=("norm", "value"))
    ),
    "deterministic": ArgumentDecision(ArgumentUse.PASSED, "only deterministic operations (true, false, warn)"),
    "benchmark": ArgumentDecision(ArgumentUse.PASSED, "let cuDNN look for the fastest algorithm"),
    "inference_mode": ArgumentDecision(ArgumentUse.PASSED, "evaluate under inference_mode instead of no_grad"),
    "use_distributed_sampler": ArgumentDecision(ArgumentUse.PASSED, "shard the data over devices"),
    "profiler": ArgumentDecision(
        ArgumentUse.PASSED,
        "simple, advanced, pytorch, or an expression",
        dict(affects_weights=False, is_word_or_expression=True),
    ),
    "detect_anomaly": ArgumentDecision(
        ArgumentUse.PASSED, "stop where a gradient becomes NaN", dict(affects_weights=False)
    ),
    "barebones": ArgumentDecision(ArgumentUse.REFUSED, "it switches off logging, and with it the run's curves"),
    "plugins": ArgumentDecision(
        ArgumentUse.PASSED, "an expression: plugins for precision, clusters, checkpoints", dict(is_expression=True)
    ),
    "sync_batchnorm": ArgumentDecision(ArgumentUse.PASSED, "share batch statistics between devices"),
    "reload_dataloaders_every_n_epochs": ArgumentDecision(ArgumentUse.PASSED, "rebuild the loaders every N epochs"),
    "default_root_dir": ArgumentDecision(
        ArgumentUse.REPLACED,
        "files go to the run's folder; `JUPYTER_TRAIN_HOME` moves it",
        dict(affects_weights=False, in_cli_file=False),
    ),
    "enable_autolog_hparams": ArgumentDecision(
        ArgumentUse.PASSED, "log the module's hyperparameters when training starts"
    ),
    "model_registry": ArgumentDecision(
        ArgumentUse.REFUSED, "it uploads the model to a hub; export it yourself from the run"
    ),
}

_TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str, "list": list, "dict": dict}


class TrainerArgument(NamedTuple):
    """A Trainer argument as its source declares it."""

    name: str
    annotation: str
    default: Any


@functools.cache
def trainer_arguments() -> tuple[TrainerArgument, ...]:
    """The arguments of the installed `pl.Trainer`, in order, without importing it (7 ms).

    Empty when pytorch-lightning is not installed.
    """
    spec = importlib.util.find_spec("pytorch_lightning")
    if spec is None or not spec.submodule_search_locations:
        return ()
    source = Path(spec.submodule_search_locations[0], "trainer", "trainer.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == "Trainer":
            return tuple(_arguments_of(node))
    return ()


def _arguments_of(trainer: ast.ClassDef) -> list[TrainerArgument]:
    init = next(node for node in trainer.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    pairs = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return [
        TrainerArgument(arg.arg, ast.unparse(arg.annotation) if arg.annotation else "", _value_of(default))
        for arg, default in pairs
    ]


def _value_of(node: ast.expr | None) -> object:
    try:
        return ast.literal_eval(node) if node is not None else MISSING
    except ValueError:
        return MISSING


def _types_in(annotation: str) -> tuple[type, ...]:
    """Plain types that an annotation allows; `(object,)` where it names another type."""
    names = {node.id for node in ast.walk(ast.parse(annotation, mode="eval")) if isinstance(node, ast.Name)}
    wrappers = {"Optional", "Union", "Any"}
    if not names or not names <= set(_TYPES) | wrappers:
        return (object,)
    return tuple(_TYPES[name] for name in _TYPES if name in names) or (object,)


def _takes_none(annotation: str) -> bool:
    tree = ast.walk(ast.parse(annotation, mode="eval"))
    return any(getattr(node, "id", None) == "Optional" or getattr(node, "value", "") is None for node in tree)


@functools.cache
def trainer_options() -> tuple[Option, ...]:
    """Every Trainer argument as an option, `callbacks` and `logger` apart (declared in `train.py`)."""
    return tuple(_option_of(argument) for argument in trainer_arguments() if argument.name != "logger")


def arguments_used(*uses: ArgumentUse) -> frozenset[str]:
    """Names of the arguments that are used in one of these ways."""
    return frozenset(name for name, decision in DECISIONS.items() if decision.use in uses)


def ignored_in_cli_file() -> frozenset[str]:
    """Names of the arguments whose plain values in a LightningCLI file are not used."""
    return frozenset(name for name, decision in DECISIONS.items() if not decision.facts.get("in_cli_file", True))


def _option_of(argument: TrainerArgument) -> Option:
    takes = _types_in(argument.annotation) if argument.annotation else (object,)
    undecided = ArgumentDecision(ArgumentUse.PASSED, "an argument of this release of pl.Trainer")
    decision = DECISIONS.get(argument.name, undecided)
    declared = {
        "default": None if argument.default is MISSING else argument.default,
        "bare": True if bool in takes else None,
        "takes_none": _takes_none(argument.annotation or "None"),
    }
    return Option(
        argument.name, takes, decision.help, group="trainer", use=decision.use, **{**declared, **decision.facts}
    )
