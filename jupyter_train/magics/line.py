"""The grammar of a magic's line: expressions and options, split at white space outside brackets and quotes.

A `#` at the start of a word begins a comment, as in Python and in a shell.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from jupyter_train.config import Option
from jupyter_train.config.option_table import unknown_option
from jupyter_train.config.options import literal, python_name
from jupyter_train.exceptions import OptionError, UsageError, did_you_mean

_OPENING = {"(": ")", "[": "]", "{": "}"}
_DASHED = re.compile(r"(-|[\u2010-\u2015\u2212]-?)(?P<name>[A-Za-z][\w-]*)(?P<value>=.*)?", re.DOTALL)


class TypedOption(NamedTuple):
    """An option as typed; `text` is None when it stood alone."""

    option: Option
    text: str | None


@dataclass
class ParsedLine:
    """A parsed line: positional expressions and options, in the order typed."""

    expressions: list[str] = field(default_factory=list)
    options: list[TypedOption] = field(default_factory=list)


def split(line: str, has_comment: bool = True) -> list[str]:
    """The words of a line; brackets and quotes keep white space together.

    Args:
        line: As typed.
        has_comment: Whether a `#` at the beginning of a word begins a comment.

    Raises:
        UsageError: A bracket or quote is not closed.
    """
    return _split(line, has_comment)[0]


def _split(line: str, has_comment: bool = True) -> tuple[list[str], str]:
    """The words of a line, and its comment."""
    words: list[str] = []
    word: list[str] = []
    expected: list[str] = []
    comment = quote = ""
    escaped = False
    for index, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote and not escaped else quote
            escaped = letter == "\\" and not escaped
        elif letter == "#" and has_comment and not word and not expected:
            comment = line[index:].strip()
            break
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
    return ([*words, "".join(word)] if word else words), comment


def _opens_quote(word: list[str], expected: list[str]) -> bool:
    """Whether a quote opens a string; an apostrophe inside a bare word (`don't`) does not."""
    return bool(expected) or not word or not (word[-1].isalnum() and "".join(word).isalnum())


def parse(line: str, known: dict[str, Option]) -> ParsedLine:
    """The line's expressions and options.

    Raises:
        OptionError: An option is unknown, lacks its value, or has more than one.
        UsageError: A bracket or quote is not closed.
    """
    parsed = ParsedLine()
    split_words, comment = _split(line)
    words = iter(_Lookahead(split_words))
    last: TypedOption | None = None
    for word in words:
        if not word.text.startswith("--"):
            _refuse_single_dash(word, known)
            _refuse_second_value(word.text, last)
            parsed.expressions.append(word.text)
            last = None
            continue
        name, has_value, value = word.text[2:].partition("=")
        option = known.get(python_name(name))
        if option is None:
            raise unknown_option(python_name(name), known, value if has_value else _value_after(word))
        text: str | None = value if has_value else None
        if text is None and _takes_next(option, word.following):
            text = next(words).text
        _check_alone(option, text, word.following, comment)
        last = TypedOption(option, text)
        parsed.options.append(last)
    return parsed


def _refuse_single_dash(word: _Word, known: dict[str, Option]) -> None:
    """Raises for `-epochs 3`, and for an en or em dash.

    Raises:
        OptionError: The word begins with a single dash.
    """
    match = _DASHED.fullmatch(word.text)
    if match is None:
        return
    option = known.get(python_name(match["name"]))
    if option is None:
        hint = did_you_mean("--" + match["name"], [known_option.flag for known_option in known.values()])
        raise OptionError(
            f"`{word.text}`: an option begins with two dashes, as in `--epochs 10`.{hint} An expression that begins "
            f"with a minus is put in brackets: `({word.text})`"
        )
    value = (match["value"] or "").removeprefix("=") or ("" if option.is_flag else _value_after(word) or "VALUE")
    raise OptionError(f"`{word.text}`: an option begins with two dashes: `{option.flag}{' ' if value else ''}{value}`")


def _value_after(word: _Word) -> str | None:
    """The next word, where it may be an option's value."""
    return word.following if word.following and not word.following.startswith(("-", "(", "[")) else None


def _refuse_second_value(text: str, last: TypedOption | None) -> None:
    """Raises for a number after an option that already has its value.

    Raises:
        OptionError: The word is a second value.
    """
    if last is None or last.text is None or isinstance(literal(text), str) or text[0] in "([{":
        return
    option = last.option
    written = f", written `{option.flag} {option.metavar}`" if option.metavar else ""
    raise OptionError(f"`{option.flag} {last.text} {text}`: it takes one value{written}")


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
    """Whether an option takes the next word; a flag only where it is unambiguous: `--benchmark false`."""
    if following is None or following.startswith("--"):
        return False
    if not option.is_flag:
        return True
    is_truth = following.lower() in ("true", "false") and bool in option.takes and str not in option.takes
    return is_truth or (int in option.takes and following.isdigit())


def _check_alone(option: Option, text: str | None, following: str | None, comment: str) -> None:
    if text is not None:
        if text == "":
            raise OptionError(f"`{option.flag}=` has no value")
        if text == "=":
            raise OptionError(f"`{option.flag} =`: a value is written `{option.flag} VALUE` or `{option.flag}=VALUE`")
        return
    if not option.is_flag:
        quoted = f" (what follows `#` is a comment, unless quoted: `{option.flag} '{comment}'`)" if comment else ""
        raise OptionError(f"`{option.flag}` needs a value: `{option.flag} {option.metavar or 'VALUE'}`{quoted}")
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
