"""Which names say that what they name is a secret, and which values are none whatever they are called."""

from __future__ import annotations

import re

#: Words that make a name a secret's, as a regular expression; also used inside longer ones.
STRONG_WORDS = (
    r"(?:secret|token(?!i[zs]|s(?![a-z]))|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"credential|auth[_-]?key|authorization|connection[_-]?string)"
)
_STRONG = re.compile(STRONG_WORDS + r"|dsn|^pwd$|_pwd$|_pat$", re.IGNORECASE)
#: Here the value has to look like a secret too, where source is read: `sort_key = "name"`, `tokens = ["a", "b"]`.
_WEAK = re.compile(r"auth(?!ors?(?![a-z]))|tokens|_key$", re.IGNORECASE)
_PLAIN_WORDS = frozenset({"true", "false", "none", "null", "disabled", "enabled", "default", "auto", "basic", "bearer"})
#: `<eos>`, `[PAD]`: what language models call a token; and numbers.
_PLAIN = re.compile(r"<[^<>]{1,24}>|\[[A-Za-z_]{1,24}\]|[-+]?[\d.,_]+(?:e[-+]?\d+)?|[•.*x…]+", re.IGNORECASE)
_MIN_LETTERS = 4
_RANDOM = re.compile(r"(?=\D*\d)\S{8,}")
_KEY = re.compile(r"(?=\D*\d)[A-Za-z0-9_+/=-]{24,}")


def is_secret_name(name: str) -> bool:
    """True when a value under this name should not be shown."""
    return _STRONG.search(name) is not None or _WEAK.search(name) is not None


def is_plain(value: str) -> bool:
    """True for what is no secret even under a secret's name: too short, a number, a switch, a special token."""
    return len(value) < _MIN_LETTERS or value.lower() in _PLAIN_WORDS or _PLAIN.fullmatch(value) is not None


def is_secret(name: str, value: str) -> bool:
    """True when a literal that source gives this name is a secret."""
    if is_plain(value):
        return False
    if _STRONG.search(name) is not None:
        return True
    if _WEAK.search(name) is not None:
        return _RANDOM.search(value) is not None
    return name == "key" and _KEY.fullmatch(value) is not None
