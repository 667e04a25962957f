"""Completion of the magics, over the whole cell: `run = %train`, indented lines, `%%train` bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from jupyter_train.config import Option, options_by_name, tune_options_by_name
from jupyter_train.config.commands import VERBS
from jupyter_train.config.options import ArgumentUse, Completion, python_name
from jupyter_train.config.retrain import retrain_options
from jupyter_train.events import RunKind
from jupyter_train.exceptions import StoreError
from jupyter_train.magics.name_completion import names_for

_LINE = re.compile(r"^(?P<head>[^%]*?)%(?P<magic>train|tune|runs|retrain)\b(?P<rest>.*)$", re.DOTALL)
_BODY = re.compile(r"^\s*%%(?P<magic>train|tune)\b")
_OPTIONS_OF = {"train": options_by_name, "tune": tune_options_by_name}
_RUN_VERBS = ("list", "show", "attach", "compare", "note", "rm", "gc", *(verb.name for verb in VERBS.values()))


@context_matcher()  # type: ignore[untyped-decorator]
def complete(context: CompletionContext) -> SimpleMatcherResult:
    """Options, choices, run names and metric names where a magic of this package is being typed."""
    cell = context.full_text
    before = "\n".join(cell.split("\n")[: context.cursor_line])
    line = context.line_with_cursor[: context.cursor_position]
    body = _BODY.match(cell)
    if body is not None and context.cursor_line > 0:
        words, fragment = _body_words(line, _OPTIONS_OF[body["magic"]]())
        return _option_matches(words, fragment) if words else _name_matches(*_names_in_body(line))
    magic_line = _LINE.match(line)
    if magic_line is None or _is_inside_string(before):
        return _option_matches([], "")
    typed = magic_line["rest"]
    word = re.split(r"\s", typed)[-1]
    if magic_line["magic"] in _OPTIONS_OF:
        known = _OPTIONS_OF[magic_line["magic"]]()
        words, fragment = _option_words(typed, word, known)
        return _option_matches(words, fragment) if words else _name_matches(*_names_in_line(typed, word, known))
    if magic_line["magic"] == "runs":
        return _option_matches(*_runs_words(typed, word))
    return _option_matches(_with_prefix(word, _retrain_flags()) if word else [], word)


def _retrain_flags() -> list[str]:
    return ["-p", *(option.short or option.flag for option in retrain_options())]


def _is_inside_string(before: str) -> bool:
    return before.count('"""') % 2 == 1 or before.count("'''") % 2 == 1


def _option_matches(words: list[str], fragment: str) -> SimpleMatcherResult:
    return SimpleMatcherResult(
        completions=[SimpleCompletion(text=word, type="option") for word in words],
        suppress=bool(words),
        matched_fragment=fragment,
    )


def _name_matches(names: list[str], fragment: str) -> SimpleMatcherResult:
    """Names of the notebook, beside IPython's own matches."""
    completions = [SimpleCompletion(text=name, type="instance") for name in names]
    return SimpleMatcherResult(completions=completions, suppress=False, matched_fragment=fragment)


def _with_prefix(word: str, known: Iterable[str]) -> list[str]:
    return [name for name in known if name.startswith(word) and name != word]


def _option_words(rest: str, word: str, options: dict[str, Option]) -> tuple[list[str], str]:
    if word.startswith("--"):
        name, has_value, value = word[2:].partition("=")
        option = options.get(python_name(name))
        if has_value and option is not None:
            return [f"--{name}={choice}" for choice in _with_prefix(value, _known_values(option))], word
        return _with_prefix(word, [option.flag for option in _offered(options)]), word
    words = rest.split()
    previous = words[-1] if not word and words else words[-2] if len(words) > 1 else ""
    option = options.get(python_name(previous)) if previous.startswith("--") else None
    return (_with_prefix(word, _known_values(option)), word) if option is not None else ([], word)


def _names_in_line(rest: str, word: str, options: dict[str, Option]) -> tuple[list[str], str]:
    """Notebook names for the model, the data and an option's expression."""
    earlier = rest[: len(rest) - len(word)].split()
    previous = options.get(python_name(earlier[-1])) if earlier and earlier[-1].startswith("--") else None
    is_value = previous is not None and not previous.is_flag
    is_expression = previous is None or previous.is_expression or word.startswith("{")
    return ([], word) if word.startswith("-") or (is_value and not is_expression) else names_for(word)


def _names_in_body(line: str) -> tuple[list[str], str]:
    match = re.match(r"^(?P<key>\s*[\w-]+):\s*(?P<value>.*)$", line)
    key = match["key"].strip() if match is not None else ""
    word = match["value"].rpartition(" ")[2] if match is not None else ""
    return names_for(word) if key in ("model", "data") or word.startswith("{") else ([], word)


def _offered(options: dict[str, Option]) -> list[Option]:
    is_search = "trials" in options
    taken = [option for option in options.values() if option.use is not ArgumentUse.REFUSED]
    return [option for option in taken if not (is_search and option.trial_refusal) or option.name == "form"]


def _known_values(option: Option) -> tuple[str, ...]:
    if option.choices:
        return option.choices
    if option.completes is Completion.METRICS:
        return tuple(metric_names())
    if option.takes == (bool,):
        return ("true", "false")
    return tuple(run_names()) if option.completes is Completion.RUNS else option.suggestions


def _runs_words(rest: str, word: str) -> tuple[list[str], str]:
    words = rest.split()
    is_verb = len(words) - (1 if word else 0) == 0
    return _with_prefix(word, _RUN_VERBS if is_verb else run_names()), word


def _body_words(line: str, options: dict[str, Option]) -> tuple[list[str], str]:
    match = re.match(r"^(?P<name>\s*[\w-]*)(?P<rest>:\s*(?P<value>\S*))?$", line)
    if match is None:
        return [], ""
    name = match["name"].strip()
    if match["rest"] is None:
        names = ["model", "data", "space", "trainer", "optimizer", "lr_scheduler", "seed_everything"]
        names += [option.name for option in _offered(options)]
        return [f"{known}: " for known in dict.fromkeys(names) if known.startswith(name) and name], name
    option = options.get(python_name(name))
    value = match["value"]
    return (_with_prefix(value, _known_values(option)) if option is not None else []), value


def run_names() -> list[str]:
    """Short names of the newest runs; none when the store cannot be read."""
    from jupyter_train.store import open_store

    try:
        return [record.ref for record in open_store().list_runs(limit=100)]
    except StoreError:
        return []


def metric_names() -> list[str]:
    """Metrics of the newest runs, then common ones."""
    from jupyter_train.store import open_store

    try:
        logged = [
            n for record in open_store().list_runs(limit=20, kind=RunKind.TRAIN) for n in record.summary.get("last", {})
        ]
    except StoreError:
        logged = []
    common = [f"val_{word}" for word in ("loss", "acc")] + ["train_loss"]
    return [name for name in dict.fromkeys([*logged, *common]) if name != "lr"]
