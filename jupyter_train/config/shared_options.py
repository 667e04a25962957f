"""Options that a run and a search have in common, declared once; only their help differs."""

from __future__ import annotations

from functools import partial
from typing import Any

from jupyter_train.config.notification import checked_target
from jupyter_train.config.options import Scope, option_field

#: How one attempt is carried out, and nothing that decides the weights.
_of_attempt = partial(option_field, affects_weights=False, scope=Scope.ATTEMPT)
_flag_of_attempt = partial(_of_attempt, bool, default=False, bare=True)


def detach(words: str, **more: Any) -> Any:
    """The field of `--detach`.

    Args:
        words: Its help.
        **more: Further arguments of `Option`.
    """
    return _flag_of_attempt(words, in_form=False, **more)


def yes(words: str) -> Any:
    """The field of `--yes`, which allows what takes much memory."""
    return _flag_of_attempt(words)


def quiet() -> Any:
    """The field of `--quiet`."""
    return _flag_of_attempt("show no panel", in_form=False)


def notify(words: str, **more: Any) -> Any:
    """The field of `--notify`; its value may hold a secret.

    Args:
        words: Its help.
        **more: Further arguments of `Option`.
    """
    return _of_attempt(str, words, metavar="CMD|URL", check=checked_target, is_secret=True, **more)
