"""The grammar of a magic's line: expressions and options, split at white space outside brackets and quotes."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from jupyter_train.config import Option
from jupyter_train.config.options import python_name
from jupyter_train.config.train import unknown_option
from jupyter_train.exceptions import OptionError, UsageError

_OPENING = {"(": ")", "[": "]", "{": "}"}


class Given(NamedTuple):
    """An option as typed; `text` is None when it stood alone."""

    option: Option
    text: str | None


@dataclass
class Line:
    """A parsed line: positional expressions and options, in the order typed."""

    expressions: list[str] = field(default_factory=list)
    options: list[Given] = field(default_factory=list)


def split(line: str) -> list[str]:
    """The words of a line; brackets and quotes keep white space together.

    Raises:
        UsageError: A bracket or quote is not closed.
    """
    words: list[str] = []
    word: list[str] = []
    expected: list[str] = []
    quote = ""
    escaped = False
    for letter in line:
        if quote:
            quote = "" if letter == quote and not escaped else quote
            escaped = letter == "\\" and not escaped
        elif letter in "'\"" and _opens_quote(word, expected):
            quote = letter
        elif letter in _OPENING:
            expected.append(_OPENING[letter])
        elif expected and letter == expected[-1]:
            expected.pop()
        elif letter.isspace() and not expected:
            if word:
                words.append("".join(word))
                word = []
            continue
        word.append(letter)
    if quote or expected:
        missing = quote or expected[-1]
        raise UsageError(f"`{''.join(word)}`: a closing `{missing}` is missing")
    return [*words, "".join(word)] if word else words


def _opens_quote(word: list[str], expected: list[str]) -> bool:
    """An apostrophe inside a bare word (`don't`) opens nothing."""
    return bool(expected) or not word or not (word[-1].isalnum() and "".join(word).isalnum())


def parse(line: str, known: dict[str, Option]) -> Line:
    """The line's expressions and options.

    Raises:
        OptionError: An option is unknown or lacks its value.
        UsageError: A bracket or quote is not closed.
    """
    parsed = Line()
    words = iter(_Lookahead(split(line)))
    for word in words:
        if not word.text.startswith("--"):
            parsed.expressions.append(word.text)
            continue
        name, has_value, value = word.text[2:].partition("=")
        option = known.get(python_name(name))
        if option is None:
            raise unknown_option(python_name(name), known)
        text: str | None = value if has_value else None
        if text is None and _takes_next(option, word.following):
            text = next(words).text
        _check_alone(option, text, word.following)
        parsed.options.append(Given(option, text))
    return parsed


class _Word(NamedTuple):
    text: str
    following: str | None


class _Lookahead:
    def __init__(self, words: list[str]) -> None:
        self._words = words

    def __iter__(self) -> Iterator[_Word]:
        following: list[str | None] = [*self._words[1:], None]
        return (_Word(text, after) for text, after in zip(self._words, following, strict=False))


def _takes_next(option: Option, following: str | None) -> bool:
    """A flag takes the next word only when it can be nothing else: `--fast-dev-run 3`, `--benchmark false`."""
    if following is None or following.startswith("--"):
        return False
    if not option.is_flag:
        return True
    is_truth = following.lower() in ("true", "false") and bool in option.takes and str not in option.takes
    return is_truth or (int in option.takes and following.isdigit())


def _check_alone(option: Option, text: str | None, following: str | None) -> None:
    if text is not None:
        if text == "":
            raise OptionError(f"`{option.flag}=` has no value")
        return
    if not option.is_flag:
        raise OptionError(f"`{option.flag}` needs a value: `{option.flag} {option.metavar or 'VALUE'}`")
    takes_text = str in option.takes
    if takes_text and following is not None and not following.startswith("--"):
        raise OptionError(
            f"`{option.flag} {following}`: its value is written with `=`: `{option.flag}={following}` (to name the "
            f"model after it, put `{option.flag}` at the end)"
        )


def expression_in(text: str) -> str | None:
    """The expression in `{expr}`; None for anything else (a dict such as `{"days": 1}` is no expression)."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    inside = text[1:-1].strip()
    try:
        ast.parse(inside, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return inside


def unquoted(text: str) -> str:
    """`"two words"` without its quotes."""
    if len(text) >= 2 and text[0] in "'\"" and text[-1] == text[0]:
        try:
            return str(ast.literal_eval(text))
        except (ValueError, SyntaxError):
            return shlex.split(text)[0]
    return text
