"""Words of a line that are neither a model nor data, though nothing says that they are an option: what to type."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping

from jupyter_train.config import Option
from jupyter_train.config.bounds import shown
from jupyter_train.config.options import literal, python_name
from jupyter_train.config.train import unknown_option
from jupyter_train.exceptions import OptionError, UsageError

_ASSIGNED = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)=(?!=)(?P<text>.*)", re.DOTALL)


def refuse_slips(
    words: list[str], known: Mapping[str, Option], is_defined: Callable[[str], bool], is_search: bool = False
) -> None:
    """Raises for words that can only be a slip.

    Args:
        words: The expressions of a line.
        known: The options there are.
        is_defined: Whether a name means something in the notebook.
        is_search: Whether `name=RANGE` is what is searched, and not among the words.

    Raises:
        UsageError: One is.
    """
    for before, word, after in zip(words, words[1:], [*words[2:], ""], strict=False):
        _refuse_spaced(before, word, after, known, is_search)
    for place, word in enumerate(words):
        after = "".join(words[place + 1 : place + 2])
        _refuse_comma(word)
        if found := _ASSIGNED.fullmatch(word):
            _refuse_assigned(word, found["name"], found["text"], known)
        option = known.get(python_name(word))
        if option is not None and not is_defined(word) and (place > 1 or after):
            value = "" if option.is_flag else f" {after or 'VALUE'}"
            raise OptionError(f"`{word}{value}`: an option begins with two dashes: `{option.flag}{value}`")


def refuse_more_than_two(words: list[str], more: str = "") -> None:
    """Raises when more than a model and its data are named.

    Args:
        words: The expressions of a line.
        more: What else may have been meant.

    Raises:
        UsageError: They are.
    """
    if len(words) > 2:
        named = ", ".join(f"`{shown(text)}`" for text in words)
        raise UsageError(
            f"{len(words)} expressions were given ({named}), expected a model and its data; put brackets around what "
            f"belongs together, as in `(X, y)`{more}"
        )


def _refuse_spaced(before: str, word: str, after: str, known: Mapping[str, Option], is_search: bool) -> None:
    """`epochs = 3`, `epochs =3`."""
    if not word.startswith("=") or not re.fullmatch(r"[A-Za-z_][\w.-]*", before):
        return
    value = word[1:] or after
    if is_search:
        raise UsageError(f"`{before} = {value}`: what is searched is written without spaces: `{before}={value}`")
    _refuse_assigned(f"{before} = {value}", before, value, known)


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
