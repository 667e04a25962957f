"""Targets of `--notify`: a URL or a shell command, checked before training starts."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

_RULE = "a shell command, or a URL such as `https://example.org/hook`"
_MAX_URL_LETTERS = 2_048
_MAX_COMMAND_LETTERS = 100_000
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?P<slashes>/*)", re.IGNORECASE)
#: A plain command name, without shell syntax.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,60}")
_IS_KNOWN = 'command -v -- "$1" >/dev/null 2>&1'
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
#: Characters that a URL must percent-encode; parsers disagree about a backslash before the host.
_NO_URL_LETTER = re.compile(r'[\x00-\x20\x7f-\x9f\\<>"{}|^`\u2028\u2029]')
_SAFE = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True)
class Address:
    """The address of an HTTP request, in ASCII.

    Attributes:
        url: Without user, password and fragment.
        headers: Of the request; with `Authorization` where the URL named a user.
    """

    url: str
    headers: dict[str, str]


def is_url(target: str) -> bool:
    """Whether a target is a URL and not a command."""
    match = _SCHEME.match(target)
    return match is not None and (len(match["slashes"]) > 1 or match["scheme"].lower() in ("http", "https"))


def checked_target(value: str) -> str:
    """`value` without surrounding white space, when it is a URL or a command that exists.

    Raises:
        ValueError: It is neither; the message says what was expected.
    """
    target = value.strip()
    if not target:
        raise ValueError(_RULE)
    if _NO_TEXT.search(target):
        raise ValueError(f"{_RULE}, without NUL and half a surrogate pair")
    if is_url(target):
        address(target)
    elif len(target) > _MAX_COMMAND_LETTERS:
        raise ValueError(f"a shell command of at most {_MAX_COMMAND_LETTERS:,} letters")
    elif not _command_exists(target.split()[0]):
        raise ValueError(f"{_RULE}; there is no command `{target.split()[0]}` here")
    return target


def _command_exists(word: str) -> bool:
    """Whether the shell finds a command; True for shell syntax, which only running it can check."""
    if not _NAME.fullmatch(word) or os.name != "posix":
        return True
    return (
        shutil.which(word) is not None
        or subprocess.run(["sh", "-c", _IS_KNOWN, "sh", word], check=False).returncode == 0
    )


def address(url: str) -> Address:
    """The address of a URL.

    Raises:
        ValueError: It is no HTTP URL; the message says what was expected.
    """
    if len(url) > _MAX_URL_LETTERS:
        raise ValueError(f"a URL of at most {_MAX_URL_LETTERS:,} letters")
    if match := _NO_URL_LETTER.search(url):
        raise ValueError(f"a URL without {match[0]!r}; write it as `{quote(match[0])}`")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as err:
        raise ValueError(f"{_RULE} ({err})") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(_RULE)
    host = _ascii_host(parts.hostname)
    netloc = f"{host}:{port}" if port is not None else host
    query = f"?{quote(parts.query, _SAFE)}" if parts.query else ""
    return Address(f"{parts.scheme}://{netloc}{quote(parts.path, _SAFE) or '/'}{query}", _headers(parts))


def _ascii_host(host: str) -> str:
    if ":" in host:
        return f"[{host}]"  # checked by `urlsplit`
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"{_RULE}: no host is called like that") from None
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,253}", name):
        raise ValueError(f"{_RULE}: no host is called like that")
    return name


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    return headers


def redacted_target(target: str) -> str:
    """A target without its secrets: a URL's host, or a command's first word that assigns no variable."""
    if not is_url(target):
        return next((word for word in target.split() if "=" not in word), "a command")[:80]
    try:
        parts = urlsplit(target)
        return f"{parts.scheme}://{parts.hostname}/…"[:300]
    except ValueError:
        return "a URL"
