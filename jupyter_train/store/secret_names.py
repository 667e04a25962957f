"""Names under which values are secrets, and values that are never secrets."""

from __future__ import annotations

import re

#: A regular expression of words in secrets' names; also used inside longer patterns.
STRONG_WORDS = (
    r"(?:secret|token(?!i[zs]|s(?![a-z]))|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"credential|auth[_-]?key|authorization|connection[_-]?string)"
)
_STRONG = re.compile(STRONG_WORDS + r"|dsn|^pwd$|_pwd$|_pat$", re.IGNORECASE)
#: In source, a value under these names must look random too: `sort_key = "name"`, `tokens = ["a", "b"]` do not.
_WEAK = re.compile(r"auth(?!ors?(?![a-z]))|tokens|_key$", re.IGNORECASE)
_PLAIN_WORDS = frozenset({"true", "false", "none", "null", "disabled", "enabled", "default", "auto", "basic", "bearer"})
#: Special tokens of language models (`<eos>`, `[PAD]`), and numbers.
_PLAIN = re.compile(r"<[^<>]{1,24}>|\[[A-Za-z_]{1,24}\]|[-+]?[\d.,_]+(?:e[-+]?\d+)?|[•.*x…]+", re.IGNORECASE)
_MIN_LETTERS = 4
_RANDOM = re.compile(r"(?=\D*\d)\S{8,}")
_KEY = re.compile(r"(?=\D*\d)[A-Za-z0-9_+/=-]{24,}")


def is_secret_name(name: str) -> bool:
    """True when a value under this name should not be shown."""
    return _STRONG.search(name) is not None or _WEAK.search(name) is not None


def is_plain(value: str) -> bool:
    """True for a value that is no secret under any name: too short, a number, a switch, a special token."""
    return len(value) < _MIN_LETTERS or value.lower() in _PLAIN_WORDS or _PLAIN.fullmatch(value) is not None


def is_secret(name: str, value: str) -> bool:
    """True when a literal under this name in source is a secret."""
    if is_plain(value):
        return False
    if _STRONG.search(name) is not None:
        return True
    if _WEAK.search(name) is not None:
        return _RANDOM.search(value) is not None
    return name == "key" and _KEY.fullmatch(value) is not None
