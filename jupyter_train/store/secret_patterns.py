"""Finds secrets in plain text: by their format, by the name before them, or because they are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from jupyter_train.store.pattern_search import SearchedText, Span, marked
from jupyter_train.store.secret_names import STRONG_WORDS, is_plain

#: Markers of `STRONG_WORDS`: every match contains one of them.
_STRONG = "secret token passw passphrase key credential authorization connection"
#: What distinguishes a token that stands behind letters from a word that ends in a token's first letters (`task-`):
#: digits among the letters that follow, which are not the hexadecimal ones of a hash.
_WORD_BEFORE = (
    r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbfav])|"
    r"(?=[a-z]{2,4}[-_](?:[a-z]{2,8}[-_])?(?=[A-Za-z]*\d)(?![0-9a-f]+\b)[A-Za-z0-9]{16}))"
)
#: Shapes of well-known credentials: cloud keys, forge and model-hub tokens, JWTs. None requires the end of a word
#: before it: in `\nghp_…`, as source is written, letters stand before it.
_FORMATS = tuple(
    marked(pattern, markers)
    for pattern, markers in (
        (r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])", "akia asia"),
        (rf"{_WORD_BEFORE}gh[pousr]_[A-Za-z0-9]{{20,}}", "ghp_ gho_ ghu_ ghs_ ghr_"),
        (r"github_pat_[A-Za-z0-9_]{20,}", "github_pat_"),
        (r"glpat-[A-Za-z0-9_-]{16,}", "glpat-"),
        (rf"{_WORD_BEFORE}hf_[A-Za-z0-9]{{20,}}", "hf_"),
        (rf"{_WORD_BEFORE}sk-[A-Za-z0-9_-]{{16,}}", "sk-"),
        (r"xox[abeprs]-[A-Za-z0-9-]{10,}", "xoxa xoxb xoxe xoxp xoxr xoxs"),
        (r"AIza(?<![A-Za-z0-9+/]{40}AIza)[A-Za-z0-9_-]{30,}", "aiza"),  # not within the text of a picture
        (r"ya29\.[A-Za-z0-9_-]{20,}", "ya29."),
        (r"pypi-[A-Za-z0-9_-]{32,}", "pypi-"),
        (r"npm_[A-Za-z0-9]{30,}", "npm_"),
        (rf"{_WORD_BEFORE}[sr]k_(?:live|test)_[A-Za-z0-9]{{16,}}", "k_live_ k_test_"),
        (r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", "sg."),
        (
            rf"{_WORD_BEFORE}(?:nvapi-|gsk_|r8_|whsec_|hvs\.|ATATT3)[A-Za-z0-9_.=/+-]{{20,}}",
            "nvapi- gsk_ r8_ whsec_ hvs. atatt3",
        ),
        (r"eyJ[A-Za-z0-9_-]{8,500}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", "eyj"),
        (
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
            "-----begin",
        ),
    )
)
_VALUE = r"(?:\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'|(?P<bare>[^\s\"';|&<>()]+))"
#: Patterns whose group `secret` is a secret.
_CONTEXTS = tuple(
    marked(pattern, markers, re.IGNORECASE)
    for pattern, markers in (
        (r"[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{0,200}:(?P<secret>[^\s@/\"'<>]{1,500})@", "://"),
        (r"https?://(?P<secret>[^\s:/@\"'<>]{16,200})@", "://"),
        (r"(?:Bearer|Basic|Authorization:\s*Token)\s+(?P<secret>[A-Za-z0-9._~+/=-]{12,})", "bearer basic token"),
        (r"\bX-[\w-]{0,40}(?:key|token|secret)[\w-]{0,20}:[ \t]*(?P<secret>[^\s\"'<>]{6,})", "x-"),
        (r"\bwandb[ \t]+login[ \t]+(?:--[\w-]+[ \t]+){0,5}(?P<secret>[\w-]{32,})", "wandb"),
        (
            r"\bcurl\b[^\n]{0,500}?[ \t](?:-u|--user)[ \t=]*[\"']?[^\s:\"']{1,100}:(?P<secret>[^\s\"']{1,200})",
            "curl",
        ),
        (r"\bsshpass[ \t]+-p[ \t]*[\"']?(?P<secret>[^\s\"']{1,200})", "sshpass"),
        (r"\bAccountKey=(?P<secret>[A-Za-z0-9+/=]{20,})", "accountkey="),
        (
            rf"[?&;][\w.-]{{0,40}}(?:{STRONG_WORDS}|key|sig|signature)[\w-]{{0,20}}=(?P<secret>[^\s&#\"'<>]{{6,}})",
            f"{_STRONG} sig",
        ),
        (r"https?://[\w.-]{0,100}hook[\w.-]{0,100}/(?P<secret>[^\s\"'<>)\]}]{6,})", "hook"),
        (r"https?://[\w.:/-]{0,100}webhooks?[a-z0-9]{0,3}/(?P<secret>[^\s\"'<>)\]}]{6,})", "webhook"),
        (r"api\.telegram\.org/bot(?P<secret>[\w:-]{20,})", "telegram"),
    )
)
#: `--api-key VALUE`, `export API_KEY=VALUE`, `%env API_KEY VALUE`, `-p token VALUE`, `password=hunter2`.
_OPTIONS = tuple(
    marked(pattern, markers, re.IGNORECASE | re.MULTILINE)
    for pattern, markers in (
        (rf"--(?:[\w-]{{0,40}}?){STRONG_WORDS}[\w-]{{0,30}}(?:=|[ \t]+)(?![-{{$]){_VALUE}", _STRONG),
        (
            r"(?:^|[\s;&|(!%])(?:export[ \t]+|set[ \t]+|(?:set_)?env[ \t]+|-p[ \t]+)"
            rf"[\w-]{{0,40}}?{STRONG_WORDS}[\w-]{{0,30}}(?:[ \t]*=[ \t]*|[ \t]+)(?![-{{$=]){_VALUE}",
            _STRONG,
        ),
        (
            rf"(?-i:\b[A-Z0-9_]{{0,40}}?(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)[A-Z0-9_]{{0,30}})="
            rf"(?![-{{$=]){_VALUE}",
            _STRONG,
        ),
        (rf"(?:{STRONG_WORDS}s?|pwd)=(?P<bare>(?=[^\s\"';,&)\]}}]{{0,80}}\d)[^\s\"';,&)\]}}]{{4,}})", f"{_STRONG} pwd"),
        (
            r"(?:passw(?:or)?d|passphrase|pwd|secret|(?:api|access|private|auth)[_-]?key|access[_-]token)"
            r"[ \t]*:[ \t]{1,3}(?P<bare>(?=[^\s\"';,&)\]}]{0,80}\d)[^\s\"';,&)\]}]{6,})",
            f"{_STRONG} pwd",
        ),
    )
)
#: `--notify` and where it goes to: a URL or a command, both of which may hold a secret.
_NOTIFY_OPTION = marked(rf"--notify(?:=|(?:[ \t]|\\\n)+)(?![-{{$]){_VALUE}", "--notify", re.IGNORECASE)
_URL_HEAD = re.compile(r"https?://(?:[^\s/@]*@)?[^\s/?#@]*/?", re.IGNORECASE)

_LITERAL = (
    r"(?:[rbfu]{0,2}(?P<quote%s>\"\"\"|'''|\"|')(?P<secret%s>(?:(?<=\"\"\")[\s\S]*?(?=\"\"\")|(?<=''')[\s\S]*?(?=''')|"
    r"(?<=\"\"\")(?:(?!\n[ \t]*\n)[\s\S])*|(?<=''')(?:(?!\n[ \t]*\n)[\s\S])*|"
    r"(?<=\")(?<!\"\"\")(?:\\.|[^\"\\\n])*|(?<=')(?<!''')(?:\\.|[^'\\\n])*))(?:(?P=quote%s)|(?=\n|\Z)))"
)
#: `api_key = "…"`, `"password": '…'`, `token: str = …`, `password=f"…"`: the name says that the value is a secret.
_ASSIGNMENT = marked(
    rf"{STRONG_WORDS}[\w-]{{0,60}}\\{{0,3}}[\"']?\]?\s{{0,20}}(?::[ \t]*[A-Za-z_][\w. \[\],|]{{0,80}})?"
    rf"(?:=|:)(?!=)\s{{0,20}}[(\[]?\s{{0,80}}\\{{0,3}}{_LITERAL % ('', '', '')}",
    _STRONG,
    re.IGNORECASE,
)
#: A further part of the same text; in a traceback its line has a number and perhaps an arrow.
_NEXT_PART = re.compile(
    rf"[ \t]*(?:\+[ \t]*)?(?:\\?\n[ \t]*(?:-{{2,}}>[ \t]*)?(?:\d+[ \t]+)?)?(?:\+[ \t]*)?{_LITERAL % ('', '', '')}",
    re.IGNORECASE,
)


def spans(text: str, known: Sequence[str]) -> list[Span]:
    """Spans of secrets, in order and without overlap.

    Args:
        text: A text without control codes.
        known: Secrets to find whatever their format.
    """
    searched = SearchedText(text)
    secrets = [
        *_known_spans(text, known),
        *_format_spans(searched),
        *_context_spans(searched),
        *_option_spans(searched),
        *_assignment_spans(searched),
    ]
    return merged(secrets)


def merged(found_spans: Sequence[Span]) -> list[Span]:
    """The spans in order, touching and overlapping ones joined."""
    result: list[Span] = []
    for start, end in sorted(found_spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        elif end > start:
            result.append((start, end))
    return result


def target_spans(target: str) -> list[Span]:
    """The hidden spans of a `--notify` target: everything but a URL's host, or a command's first word."""
    head = _URL_HEAD.match(target)
    if head is not None:
        user = [(target.index("//") + 2, target.index("@"))] if "@" in head.group() else []
        return [*user, (head.end(), len(target))]
    first = len(target) - len(target.lstrip()) + len(target.split()[0]) if target.strip() else 0
    return [(0 if "=" in target[:first] else min(first + 1, len(target)), len(target))]


def _known_spans(text: str, known: Sequence[str]) -> Iterator[Span]:
    for secret in known:
        start = text.find(secret)
        while start >= 0:
            yield start, start + len(secret)
            start = text.find(secret, start + len(secret))


def _format_spans(searched: SearchedText) -> Iterator[Span]:
    for secret_format in _FORMATS:
        for match in searched.matches(secret_format):
            yield match.span()


def _context_spans(searched: SearchedText) -> Iterator[Span]:
    for context in _CONTEXTS:
        for match in searched.matches(context):
            yield match.span("secret")


def _option_spans(searched: SearchedText) -> Iterator[Span]:
    for option in _OPTIONS:
        for match in searched.matches(option):
            yield from _unless_plain(searched.text, match.span(match.lastgroup or 0))
    for match in searched.matches(_NOTIFY_OPTION):
        start, end = match.span(match.lastgroup or 0)
        yield from ((start + first, start + last) for first, last in target_spans(searched.text[start:end]))


def _assignment_spans(searched: SearchedText) -> Iterator[Span]:
    position = 0
    while (match := searched.next_match(_ASSIGNMENT, position)) is not None:
        while match is not None:
            yield from _unless_plain(searched.text, match.span("secret"))
            position = match.end()
            match = _NEXT_PART.match(searched.text, position)


def _unless_plain(text: str, span: Span) -> Iterator[Span]:
    if not is_plain(text[span[0] : span[1]]):
        yield span
