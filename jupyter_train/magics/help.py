"""Help texts of the magics, generated from the options."""

from __future__ import annotations

import sys
import textwrap

from jupyter_train.config import Option
from jupyter_train.config.options import ArgumentUse
from jupyter_train.config.train_options import own_options
from jupyter_train.config.trainer_arguments import trainer_options
from jupyter_train.config.tune_options import tune_options

_TRAIN = """Trains a model and gives its run.

    run = %train MODEL DATA --epochs 20 [options]

MODEL  a LightningModule, an expression that makes one (`LitDigits(lr=lr)`: evaluated after the seed is set), or
       a plain nn.Module with --loss
DATA   a LightningDataModule, DataLoader, Dataset, (train, validation[, test]) of those, (X, y) or (X, y, weights) of
       arrays, lists or frames, ((X, y), (X_valid, y_valid)), a DataFrame or (train, validation) of such with --target,
       a Bunch of scikit-learn; a list or dict of loaders is combined as Lightning does

A value written {expr} is evaluated in the notebook. `%%train` takes the same as YAML, or a LightningCLI file.
"""

_TUNE = """Searches for the values that train a model best, and gives the study.

    study = %tune MODEL DATA name=SPACE ... --trials 50 --maximize val_acc --epochs 10 [options]

MODEL  an expression over the searched names (`LitDigits(lr=lr, hidden=hidden)`), or a LightningModule class whose
       `__init__` takes them
DATA   as for %train; loaded once
SPACE  `1e-4..1e-1:log` a log range, `1..4` whole numbers, `0..1:0.1` in steps, `relu|gelu` choices,
       anything else one fixed value. A name that MODEL does not use is an option of %train: `batch_size=32|64`,
       `trainer.gradient_clip_val=0.1..1`

Each trial is a run (`study.trials`, `study.trial(7)`); its objective is the best value of the metric over its epochs.
`study.best`, `study.best.model()`, `study.optuna`, `study.promote()`. `%%tune` takes the same as YAML, with `space:`;
`%tune --form LitDigits data` is the same as a form. While it runs: `%runs add-trial STUDY lr=1e-3`, `%runs narrow STUDY
lr=1e-3..1e-2`, `%runs stop STUDY/7`, or the panel.
"""

RUNS_HELP = """Lists runs, shows, compares, steers and removes them.

    %runs                    the newest runs
    %runs show RUN           its panel
    %runs attach RUN         its panel, live until it ends, for a run in its own process (`%train ... --detach`)
    %runs compare A B        overlaid curves, options that differ
    %runs note RUN TEXT      keeps a note with it
    %runs rm RUN ...         deletes runs and their files
    %runs gc                 removes what dead runs left behind
    %runs help               this

While a run trains (in another notebook, or from a shell: `jupyter train runs stop RUN`):

    %runs stop RUN           ends it gracefully; its cell continues
    %runs pause RUN          waits at the next batch; `%runs resume RUN` continues
    %runs set-lr RUN 1e-3    or `factor=0.5`, `group=1`; a schedule continues scaled by the same factor
    %runs checkpoint RUN     writes a checkpoint now
    %runs validate RUN       validates now
    %runs set-max-epochs RUN 30 ; %runs set-patience RUN 5

While a search runs, also:

    %runs add-trial STUDY lr=1e-3 hidden=64   tries these values next; names left out are drawn
    %runs narrow STUDY lr=1e-3..1e-2          draws from this part of a range from now on
    %runs stop STUDY/7                        ends one trial; the search continues

RUN is a short name such as digits-k3f9, its code, a name that is unique, or a key. {expr} is evaluated in the
notebook: `%runs compare {run} {other}`.
"""

RETRAIN_HELP = """Repeats a notebook with papermill, recorded.

    run = %retrain NOTEBOOK -p NAME VALUE [-p NAME VALUE ...] [-o OUTPUT] [--kernel NAME] [--timeout SECONDS] [--html]

The notebook is never written; the executed copy is replaced after every cell; OUTPUT is a path, or a URL that papermill
writes to. VALUE is a number, text, true, false, none, a list or a mapping; {expr} is evaluated in the notebook. A cell
that takes longer than --timeout is interrupted, and has failed. `run.children` are the runs it started.
"""


def asks_for_help(line: str) -> bool:
    """Whether a line is `help` or `?` alone, or begins or ends with `--help` or `-h`."""
    words = line.split()
    return words in (["help"], ["?"]) or bool({"--help", "-h"} & {*words[:1], *words[-1:]})


def show_help(text: str) -> None:
    """Writes help below the cell."""
    sys.stdout.write(text.rstrip() + "\n")


def tune_help() -> str:
    """The help of `%tune`: its own options only."""
    return "\n".join(
        [
            _TUNE,
            "Options",
            *map(_option_help, tune_options()),
            "",
            "And every option of %train, see `%train?`.",
        ]
    )


def train_help() -> str:
    """The help of `%train`: own options, then `pl.Trainer`'s."""
    passed = [option for option in trainer_options() if option.use is not ArgumentUse.REFUSED]
    refused = [option for option in trainer_options() if option.use is ArgumentUse.REFUSED]
    parts = [
        _TRAIN,
        "Options",
        *map(_option_help, own_options()),
        "",
        "Arguments of pl.Trainer",
        *map(_option_help, passed),
    ]
    return "\n".join([*parts, "", "Not taken", *map(_option_help, refused)])


def _option_help(option: Option) -> str:
    value = option.metavar or ("|".join(option.choices) if option.choices else "" if option.is_flag else "VALUE")
    head = f"  {option.flag}" + (f"[={value}]" if option.is_flag and value else f" {value}" if value else "")
    text = option.help
    if option.default not in (None, False, []):
        text += f" (default: {option.default})"
    return textwrap.fill(
        text, 110, initial_indent=head.ljust(36) + " ", subsequent_indent=" " * 37, break_long_words=False
    )
