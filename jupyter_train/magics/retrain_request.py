"""`%retrain`: parses its line and calls `retrain()`."""

from __future__ import annotations

from typing import Any

from jupyter_train.api.retrain import retrain
from jupyter_train.config.retrain import parse_parameter, retrain_options
from jupyter_train.exceptions import OptionError, UsageError
from jupyter_train.handle import Run
from jupyter_train.magics.automagic import refuse_call
from jupyter_train.magics.line import expression_in, split, unquoted
from jupyter_train.magics.namespace import Namespace

_OPTIONS = {flag: option for option in retrain_options() for flag in (option.short, option.flag) if flag}


def run_retrain(line: str, namespace: Namespace) -> Run:
    """Runs the notebook that the line names.

    Raises:
        UsageError: The line names no notebook or lacks a value.
    """
    refuse_call("retrain", line)
    notebook, parameters, options = read(split(line), namespace)
    return retrain(notebook, parameters, **options)


def read(words: list[str], namespace: Namespace | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Notebook, parameters and options of a line's words."""
    notebook = ""
    parameters: dict[str, Any] = {}
    options: dict[str, Any] = {}
    remaining = iter(words)
    for word in remaining:
        if word in ("-p", "--parameter"):
            name, text = next(remaining, None), next(remaining, None)
            if name is None or text is None:
                raise OptionError("`-p` needs a name and a value: `-p lr 3e-4`")
            parameters[name] = _value(text, namespace)
        elif word in _OPTIONS and _OPTIONS[word].is_flag:
            options[_OPTIONS[word].name] = _OPTIONS[word].bare
        elif word in _OPTIONS:
            value = next(remaining, None)
            if value is None:
                raise OptionError(f"`{word}` needs a value")
            options[_OPTIONS[word].name] = unquoted(value)
        elif word.startswith("-"):
            raise OptionError(f"unknown option `{word}`; `%retrain?` lists them")
        elif notebook:
            raise UsageError(f"`{word}`: one notebook at a time; parameters are written `-p NAME VALUE`")
        else:
            notebook = unquoted(word)
    if not notebook:
        raise UsageError("name the notebook: `%retrain nightly.ipynb -p lr 3e-4`")
    return notebook, parameters, options


def _value(text: str, namespace: Namespace | None) -> object:
    expression = expression_in(text) if namespace is not None else None
    if expression is not None and namespace is not None:
        return namespace.evaluate_option("-p", expression)
    return parse_parameter(text)
