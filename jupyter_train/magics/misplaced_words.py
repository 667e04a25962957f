"""Refuses words that are neither a model, data nor an option, with what to type instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping

from jupyter_train.config import Option
from jupyter_train.config.bounds import shown
from jupyter_train.config.option_table import unknown_option
from jupyter_train.config.options import literal, python_name
from jupyter_train.exceptions import OptionError, UsageError

_ASSIGNED = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)=(?!=)(?P<text>.*)", re.DOTALL)


def refuse_misplaced_words(
    words: list[str], known: Mapping[str, Option], is_defined: Callable[[str], bool], is_search: bool = False
) -> None:
    """Raises for words that can only be a typing mistake.

    Args:
        words: The expressions of a line.
        known: The declared options.
        is_defined: Whether a name is defined in the notebook.
        is_search: Whether `name=RANGE` defines a search space.

    Raises:
        UsageError: A word is misplaced.
    """
    for previous, word, following in zip(words, words[1:], [*words[2:], ""], strict=False):
        _refuse_spaced(previous, word, following, known, is_search)
    for index, word in enumerate(words):
        following = "".join(words[index + 1 : index + 2])
        _refuse_comma(word)
        if match := _ASSIGNED.fullmatch(word):
            _refuse_assigned(word, match["name"], match["text"], known)
        option = known.get(python_name(word))
        if option is not None and not is_defined(word) and (index > 1 or following):
            value = "" if option.is_flag else f" {following or 'VALUE'}"
            raise OptionError(f"`{word}{value}`: an option begins with two dashes: `{option.flag}{value}`")


def refuse_extra_expressions(words: list[str], more: str = "") -> None:
    """Raises for more expressions than a model and its data.

    Args:
        words: The expressions of a line.
        more: A further hint.

    Raises:
        UsageError: There are more than two.
    """
    if len(words) > 2:
        named = ", ".join(f"`{shown(text)}`" for text in words)
        raise UsageError(
            f"{len(words)} expressions were given ({named}), expected a model and its data; put brackets around what "
            f"belongs together, as in `(X, y)`{more}"
        )


def _refuse_spaced(previous: str, word: str, following: str, known: Mapping[str, Option], is_search: bool) -> None:
    """`epochs = 3`, `epochs =3`."""
    if not word.startswith("=") or not re.fullmatch(r"[A-Za-z_][\w.-]*", previous):
        return
    value = word[1:] or following
    if is_search:
        raise UsageError(f"`{previous} = {value}`: what is searched is written without spaces: `{previous}={value}`")
    _refuse_assigned(f"{previous} = {value}", previous, value, known)


def _refuse_comma(word: str) -> None:
    """`LitDigits(), (X, y)` as in a call."""
    if len(word) < 2 or not word.endswith(","):
        return
    try:
        is_tuple = isinstance(ast.parse(word, mode="eval").body, ast.Tuple)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return
    if is_tuple:
        raise UsageError(f"`{shown(word)}`: a space stands between model and data, no comma: `{shown(word[:-1])}`")


def _refuse_assigned(word: str, name: str, text: str, known: Mapping[str, Option]) -> None:
    """`epochs=3`, which is no expression."""
    option = known.get(python_name(name))
    if option is None:
        error = unknown_option(python_name(name), known, text)
        if isinstance(literal(text), str) and re.search(r"\.\.|\|", text):
            raise OptionError(f"`{word}`: `%train` searches nothing; `%tune MODEL DATA {word} ...` does")
        raise OptionError(
            f"`{word}`: {error}. An argument of the model stands in its brackets, as in `Net({name}={text})`"
        )
    if isinstance(literal(text), str) and re.search(r"\.\.|\|", text):
        raise OptionError(f"`{word}`: `%train` takes one value, `{option.flag} VALUE`; `%tune` searches a range")
    value = "" if option.is_flag and text.lower() == "true" else f" {text or 'VALUE'}"
    raise OptionError(f"`{word}`: an option begins with two dashes: `{option.flag}{value}`")
