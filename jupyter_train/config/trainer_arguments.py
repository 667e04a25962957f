"""`pl.Trainer`'s arguments as options, read from the source of the installed release."""

from __future__ import annotations

import ast
import enum
import functools
import importlib.util
from dataclasses import MISSING
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_train.config.bounds import DEVICES, Bound
from jupyter_train.config.options import Option


class ArgumentUse(enum.Enum):
    """How a Trainer argument is used."""

    PASSED = "passed on"
    REPLACED = "replaced"
    REFUSED = "refused"


class ArgumentDecision(NamedTuple):
    """How one Trainer argument is used, and its help."""

    use: ArgumentUse
    words: str


#: Every argument of `pl.Trainer.__init__`; a test compares this with the installed release.
DECISIONS: dict[str, ArgumentDecision] = {
    "accelerator": ArgumentDecision(ArgumentUse.PASSED, "cpu, gpu, mps, tpu or auto"),
    "strategy": ArgumentDecision(ArgumentUse.PASSED, "how several devices share the work"),
    "devices": ArgumentDecision(ArgumentUse.PASSED, "how many devices, or which; 1 by default"),
    "num_nodes": ArgumentDecision(
        ArgumentUse.REFUSED, "a notebook trains on one machine; use a job launcher for several"
    ),
    "precision": ArgumentDecision(ArgumentUse.PASSED, "32-true, 16-mixed, bf16-mixed, 64-true, ..."),
    "logger": ArgumentDecision(ArgumentUse.REPLACED, "the run itself records; a logger object is added beside it"),
    "callbacks": ArgumentDecision(ArgumentUse.REPLACED, "a list of callbacks, beside those of `--callback`"),
    "fast_dev_run": ArgumentDecision(ArgumentUse.PASSED, "run N batches (1) of everything as a trial"),
    "max_epochs": ArgumentDecision(ArgumentUse.PASSED, "stop after this many epochs; the same as --epochs"),
    "min_epochs": ArgumentDecision(ArgumentUse.PASSED, "do not stop before this many epochs"),
    "max_steps": ArgumentDecision(ArgumentUse.PASSED, "stop after this many optimizer steps"),
    "min_steps": ArgumentDecision(ArgumentUse.PASSED, "do not stop before this many optimizer steps"),
    "max_time": ArgumentDecision(ArgumentUse.PASSED, "stop after DD:HH:MM:SS"),
    "limit_train_batches": ArgumentDecision(ArgumentUse.PASSED, "batches (or share) of the training data per epoch"),
    "limit_val_batches": ArgumentDecision(ArgumentUse.PASSED, "batches (or share) of the validation data"),
    "limit_test_batches": ArgumentDecision(ArgumentUse.PASSED, "batches (or share) of the test data"),
    "limit_predict_batches": ArgumentDecision(ArgumentUse.PASSED, "batches (or share) when predicting"),
    "overfit_batches": ArgumentDecision(ArgumentUse.PASSED, "train and validate on this many batches"),
    "val_check_interval": ArgumentDecision(ArgumentUse.PASSED, "validate every N batches, share of an epoch, or time"),
    "check_val_every_n_epoch": ArgumentDecision(ArgumentUse.PASSED, "validate every N epochs"),
    "num_sanity_val_steps": ArgumentDecision(ArgumentUse.PASSED, "validation batches tried before training"),
    "log_every_n_steps": ArgumentDecision(
        ArgumentUse.REPLACED, "the run records every step; this applies to your own loggers"
    ),
    "enable_checkpointing": ArgumentDecision(ArgumentUse.REPLACED, "false keeps no checkpoint in the run"),
    "enable_progress_bar": ArgumentDecision(ArgumentUse.REFUSED, "the panel shows progress; `--quiet` hides it"),
    "enable_model_summary": ArgumentDecision(ArgumentUse.REPLACED, "the summary goes to the run's log"),
    "accumulate_grad_batches": ArgumentDecision(ArgumentUse.PASSED, "batches per optimizer step"),
    "gradient_clip_val": ArgumentDecision(ArgumentUse.PASSED, "clip gradients at this value"),
    "gradient_clip_algorithm": ArgumentDecision(ArgumentUse.PASSED, "value or norm"),
    "deterministic": ArgumentDecision(ArgumentUse.PASSED, "only deterministic operations (true, false, warn)"),
    "benchmark": ArgumentDecision(ArgumentUse.PASSED, "let cuDNN look for the fastest algorithm"),
    "inference_mode": ArgumentDecision(ArgumentUse.PASSED, "evaluate under inference_mode instead of no_grad"),
    "use_distributed_sampler": ArgumentDecision(ArgumentUse.PASSED, "shard the data over devices"),
    "profiler": ArgumentDecision(ArgumentUse.PASSED, "simple, advanced, pytorch, or an expression"),
    "detect_anomaly": ArgumentDecision(ArgumentUse.PASSED, "stop where a gradient becomes NaN"),
    "barebones": ArgumentDecision(ArgumentUse.REFUSED, "it switches off logging, and with it the run's curves"),
    "plugins": ArgumentDecision(ArgumentUse.PASSED, "an expression: plugins for precision, clusters, checkpoints"),
    "sync_batchnorm": ArgumentDecision(ArgumentUse.PASSED, "share batch statistics between devices"),
    "reload_dataloaders_every_n_epochs": ArgumentDecision(ArgumentUse.PASSED, "rebuild the loaders every N epochs"),
    "default_root_dir": ArgumentDecision(
        ArgumentUse.REPLACED, "files go to the run's folder; `JUPYTER_TRAIN_HOME` moves it"
    ),
    "enable_autolog_hparams": ArgumentDecision(
        ArgumentUse.PASSED, "log the module's hyperparameters when training starts"
    ),
    "model_registry": ArgumentDecision(
        ArgumentUse.REFUSED, "it uploads the model to a hub; export it yourself from the run"
    ),
}

#: Arguments whose text is an expression, because they take objects.
EXPRESSIONS = frozenset({"logger", "callbacks", "plugins"})
#: Arguments that take a word or an object: a word with no call in it stays a word.
WORDS_OR_OBJECTS = frozenset({"strategy", "profiler", "accelerator"})

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


def _value_of(node: ast.expr | None) -> Any:
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


#: Defaults that are not Lightning's.
_OWN_DEFAULTS = {"devices": 1}
_BOUNDS: dict[str, Bound] = {"devices": DEVICES}
#: Arguments that leave the weights of a step what they are; where it trains is told apart by the environment.
_SHAPE_NOTHING = frozenset(
    {
        "accelerator",
        "callbacks",
        "default_root_dir",
        "detect_anomaly",
        "devices",
        "enable_checkpointing",
        "enable_model_summary",
        "enable_progress_bar",
        "limit_predict_batches",
        "limit_test_batches",
        "log_every_n_steps",
        "logger",
        "max_epochs",
        "max_steps",
        "max_time",
        "min_epochs",
        "min_steps",
        "num_sanity_val_steps",
        "profiler",
        "strategy",
    }
)


def _option_of(argument: TrainerArgument) -> Option:
    takes = _types_in(argument.annotation) if argument.annotation else (object,)
    undecided = ArgumentDecision(ArgumentUse.PASSED, "an argument of this release of pl.Trainer")
    default = _OWN_DEFAULTS.get(argument.name, argument.default)
    return Option(
        name=argument.name,
        takes=takes,
        help=DECISIONS.get(argument.name, undecided).words,
        default=None if default is MISSING else default,
        is_expression=argument.name in EXPRESSIONS,
        bare=True if bool in takes else None,
        group="trainer",
        shapes_result=argument.name not in _SHAPE_NOTHING,
        takes_none=_takes_none(argument.annotation or "None"),
        bound=_BOUNDS.get(argument.name),
    )
