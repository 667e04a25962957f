"""Who is told when a run is over: a URL or a shell command, checked before anything is trained."""

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
#: A command that is just named, not put together.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,60}")
_IS_KNOWN = 'command -v -- "$1" >/dev/null 2>&1'
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
#: What no URL holds as it is; a backslash before the host is read in two ways.
_NO_URL_LETTER = re.compile(r'[\x00-\x20\x7f-\x9f\\<>"{}|^`\u2028\u2029]')
_SAFE = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True)
class Address:
    """Where a request goes, in ASCII.

    Attributes:
        url: Without user, password and fragment.
        headers: What the request says of itself; `Authorization` where the URL named a user.
    """

    url: str
    headers: dict[str, str]


def is_url(target: str) -> bool:
    """Whether a target is a URL and not a command."""
    found = _SCHEME.match(target)
    return found is not None and (len(found["slashes"]) > 1 or found["scheme"].lower() in ("http", "https"))


def checked_target(value: str) -> str:
    """`value` without white space around it, when somebody can be told by it.

    Raises:
        ValueError: Nobody can; the message says what was expected.
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
    elif not _is_there(target.split()[0]):
        raise ValueError(f"{_RULE}; there is no command `{target.split()[0]}` here")
    return target


def _is_there(word: str) -> bool:
    """Whether the shell knows a command; of one that is not just a name nothing is known before it runs."""
    if not _NAME.fullmatch(word) or os.name != "posix":
        return True
    return (
        shutil.which(word) is not None
        or subprocess.run(["sh", "-c", _IS_KNOWN, "sh", word], check=False).returncode == 0
    )


def address(url: str) -> Address:
    """Where a URL leads.

    Raises:
        ValueError: Nowhere; the message says what was expected.
    """
    if len(url) > _MAX_URL_LETTERS:
        raise ValueError(f"a URL of at most {_MAX_URL_LETTERS:,} letters")
    if found := _NO_URL_LETTER.search(url):
        raise ValueError(f"a URL without {found[0]!r}; write it as `{quote(found[0])}`")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as err:
        raise ValueError(f"{_RULE} ({err})") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(_RULE)
    host = _ascii_host(parts.hostname)
    place = f"{host}:{port}" if port is not None else host
    query = f"?{quote(parts.query, _SAFE)}" if parts.query else ""
    return Address(f"{parts.scheme}://{place}{quote(parts.path, _SAFE) or '/'}{query}", _headers(parts))


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


def shown_target(target: str) -> str:
    """A target without what may be secret in it: the host of a URL, the first word of a command that sets nothing."""
    if not is_url(target):
        return next((word for word in target.split() if "=" not in word), "a command")[:80]
    try:
        parts = urlsplit(target)
        return f"{parts.scheme}://{parts.hostname}/…"[:300]
    except ValueError:
        return "a URL"
