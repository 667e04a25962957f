"""Completion of the magics, over the whole cell: `run = %train`, indented lines, `%%train` bodies."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from jupyter_train.config import Option, options_by_name, tune_options_by_name
from jupyter_train.config.commands import VERBS
from jupyter_train.config.options import python_name
from jupyter_train.config.trainer_arguments import DECISIONS, ArgumentUse
from jupyter_train.config.tune import NOT_FOR_TRIALS
from jupyter_train.magics.name_completion import names_for

_LINE = re.compile(r"^(?P<head>[^%]*?)%(?P<magic>train|tune|runs|retrain)\b(?P<rest>.*)$", re.DOTALL)
_BODY = re.compile(r"^\s*%%(?P<magic>train|tune)\b")
_KNOWN = {"train": options_by_name, "tune": tune_options_by_name}
_RUN_VERBS = ("list", "show", "attach", "compare", "note", "rm", "gc", *(verb.name for verb in VERBS.values()))
_METRIC_OPTIONS = ("monitor", "early_stop", "maximize", "minimize")


@context_matcher()  # type: ignore[untyped-decorator]
def complete(context: CompletionContext) -> SimpleMatcherResult:
    """Options, choices, run names and metric names where one of our magics is being typed."""
    cell = context.full_text
    before = "\n".join(cell.split("\n")[: context.cursor_line])
    line = context.line_with_cursor[: context.cursor_position]
    body = _BODY.match(cell)
    if body is not None and context.cursor_line > 0:
        words, fragment = _in_body(line, _KNOWN[body["magic"]]())
        return _result(words, fragment) if words else _names(*_names_in_body(line))
    found = _LINE.match(line)
    if found is None or _is_inside_string(before):
        return _result([], "")
    rest = found["rest"]
    word = re.split(r"\s", rest)[-1]
    if found["magic"] in _KNOWN:
        known = _KNOWN[found["magic"]]()
        words, fragment = _in_options(rest, word, known)
        return _result(words, fragment) if words else _names(*_names_in_line(rest, word, known))
    if found["magic"] == "runs":
        return _result(*_in_runs_line(rest, word))
    return _result(_starting(word, ("-p", "-o", "--kernel", "--timeout", "--html")) if word else [], word)


def _is_inside_string(before: str) -> bool:
    return before.count('"""') % 2 == 1 or before.count("'''") % 2 == 1


def _result(words: list[str], fragment: str) -> SimpleMatcherResult:
    return SimpleMatcherResult(
        completions=[SimpleCompletion(text=word, type="option") for word in words],
        suppress=bool(words),
        matched_fragment=fragment,
    )


def _names(names: list[str], fragment: str) -> SimpleMatcherResult:
    """Names of the notebook, beside what IPython finds itself."""
    completions = [SimpleCompletion(text=name, type="instance") for name in names]
    return SimpleMatcherResult(completions=completions, suppress=False, matched_fragment=fragment)


def _starting(word: str, known: Any) -> list[str]:
    return [name for name in known if name.startswith(word) and name != word]


def _in_options(rest: str, word: str, options: dict[str, Option]) -> tuple[list[str], str]:
    if word.startswith("--"):
        name, has_value, value = word[2:].partition("=")
        option = options.get(python_name(name))
        if has_value and option is not None:
            return [f"--{name}={choice}" for choice in _starting(value, _values_of(option))], word
        return _starting(word, [option.flag for option in _offered(options)]), word
    words = rest.split()
    previous = words[-1] if not word and words else words[-2] if len(words) > 1 else ""
    option = options.get(python_name(previous)) if previous.startswith("--") else None
    return (_starting(word, _values_of(option)), word) if option is not None else ([], word)


def _names_in_line(rest: str, word: str, options: dict[str, Option]) -> tuple[list[str], str]:
    """Names for the model, for the data, and for an option's expression."""
    earlier = rest[: len(rest) - len(word)].split()
    previous = options.get(python_name(earlier[-1])) if earlier and earlier[-1].startswith("--") else None
    is_value = previous is not None and not previous.is_flag
    is_expression = previous is None or previous.is_expression or word.startswith("{")
    return ([], word) if word.startswith("-") or (is_value and not is_expression) else names_for(word)


def _names_in_body(line: str) -> tuple[list[str], str]:
    found = re.match(r"^(?P<key>\s*[\w-]+):\s*(?P<value>.*)$", line)
    key = found["key"].strip() if found is not None else ""
    word = found["value"].rpartition(" ")[2] if found is not None else ""
    return names_for(word) if key in ("model", "data") or word.startswith("{") else ([], word)


def _offered(options: dict[str, Option]) -> list[Option]:
    refused = {name for name, decision in DECISIONS.items() if decision.use is ArgumentUse.REFUSED}
    if "trials" in options:
        refused |= NOT_FOR_TRIALS.keys() - {"form"}
    return [option for option in options.values() if option.name not in refused]


def _values_of(option: Option) -> tuple[str, ...]:
    if option.choices:
        return option.choices
    if option.name in _METRIC_OPTIONS:
        return tuple(metric_names())
    if option.takes == (bool,):
        return ("true", "false")
    if option.name == "resume":
        return tuple(run_names())
    return _WELL_KNOWN.get(option.name, ())


_WELL_KNOWN: dict[str, tuple[str, ...]] = {
    "accelerator": ("cpu", "gpu", "mps", "auto"),
    "precision": ("32-true", "16-mixed", "bf16-mixed", "64-true", "bf16-true", "16-true"),
    "gradient_clip_algorithm": ("norm", "value"),
    "loss": ("cross_entropy", "mse", "mae", "huber", "bce_with_logits", "nll"),
    "optimizer": ("adam", "adamw", "sgd", "rmsprop", "adagrad", "nadam", "radam"),
}


def _in_runs_line(rest: str, word: str) -> tuple[list[str], str]:
    words = rest.split()
    is_verb = len(words) - (1 if word else 0) == 0
    return _starting(word, _RUN_VERBS if is_verb else run_names()), word


def _in_body(line: str, options: dict[str, Option]) -> tuple[list[str], str]:
    found = re.match(r"^(?P<name>\s*[\w-]*)(?P<rest>:\s*(?P<value>\S*))?$", line)
    if found is None:
        return [], ""
    name = found["name"].strip()
    if found["rest"] is None:
        names = ["model", "data", "space", "trainer", "optimizer", "lr_scheduler", "seed_everything"]
        names += [option.name for option in _offered(options)]
        return [f"{known}: " for known in dict.fromkeys(names) if known.startswith(name) and name], name
    option = options.get(python_name(name))
    value = found["value"]
    return (_starting(value, _values_of(option)) if option is not None else []), value


def run_names() -> list[str]:
    """Short names of the newest runs; none when the store cannot be read."""
    from jupyter_train.exceptions import StoreError
    from jupyter_train.store import open_store

    try:
        return [record.ref for record in open_store().list_runs(limit=100)]
    except StoreError:
        return []


def metric_names() -> list[str]:
    """Metrics the newest runs logged, then the usual ones."""
    from jupyter_train.exceptions import StoreError
    from jupyter_train.store import open_store

    try:
        logged = [
            n for record in open_store().list_runs(limit=20, kind="train") for n in record.summary.get("last", {})
        ]
    except StoreError:
        logged = []
    usual = [f"val_{word}" for word in ("loss", "acc")] + ["train_loss"]
    return [name for name in dict.fromkeys([*logged, *usual]) if name != "lr"]
