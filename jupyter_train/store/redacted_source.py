"""Masks secrets in recorded source: Python by its syntax tree, anything else by patterns."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

import yaml

from jupyter_train.store.pattern_search import Span
from jupyter_train.store.redaction import MASK, mask
from jupyter_train.store.secret_literals import SecretLiteral, literals_of
from jupyter_train.store.secret_names import STRONG_WORDS, is_plain, is_secret
from jupyter_train.store.secret_patterns import merged, target_spans

#: Cell magics whose body is Python.
_PYTHON_CELLS = frozenset({"capture", "debug", "memit", "prun", "time", "timeit"})
_MAGIC = re.compile(r"^(?P<head>[ \t]*(?:[\w., \t]+=[ \t]*)?)(?P<magic>[%!].*|[^\n]*\?)$", re.MULTILINE)
#: A magic that continues on the next line.
_CONTINUED_MAGIC = re.compile(r"^([ \t]*(?:[\w., \t]+=[ \t]*)?[%!].*)\\\n.?", re.MULTILINE)
#: A line of YAML, as in the body of `%%train`.
_YAML = re.compile(
    rf"^[ \t-]*[\w.-]{{0,40}}?{STRONG_WORDS}[\w-]{{0,30}}[ \t]*:[ \t]+(?P<value>[^\s{{&*|>#].*?)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_YAML_NOTIFY = re.compile(r"^[ \t]*notify[ \t]*:[ \t]+(?P<value>[^\s{].*?)[ \t]*$", re.MULTILINE)
_NOTIFY_NAMES = re.compile(
    r"--notify[= \t]+\{\s*(?P<name>[A-Za-z_]\w*)\s*\}|"
    r"\bnotify[\"']?\s*[=:]\s*\{?\s*(?P<other>[A-Za-z_]\w*)\b(?![\"'.])"
)
_MIN_LETTERS = 6
_PLAIN_WORD = re.compile(r"[A-Za-z]{1,12}")


def mask_sources(sources: Sequence[str], also: Collection[str] = ()) -> list[str]:
    """Cell sources with every secret replaced by dots.

    Args:
        sources: Cells of one notebook: a name that one cell passes as `--notify {hook}`, another may set.
        also: Further known secrets.
    """
    notified = _notified_names(sources)
    known = {*also, *secrets_in(sources)}
    return [mask(_mask_literals(source, notified), known) for source in sources]


def mask_source(source: str) -> str:
    """As `mask_sources`, for a single source."""
    return mask_sources([source])[0]


def secrets_in(sources: Iterable[str]) -> set[str]:
    """The lines of every secret in the cells' sources; outputs may show them without a name."""
    cells = list(sources)
    notified = _notified_names(cells)
    values = {value for source in cells for literal in _literals(source, notified) for value in literal.values}
    lines = {line.strip() for value in values if MASK not in value for line in value.splitlines()}
    return {line for line in lines if len(line) >= _MIN_LETTERS and not _PLAIN_WORD.fullmatch(line)}


def secrets_of_target(target: str | None) -> set[str]:
    """The secret parts of a `--notify` target, whole and word by word."""
    if not target:
        return set()
    hidden = {target[start:end].strip("'\"") for start, end in target_spans(target)}
    parts = {word.strip("'\"") for part in hidden for word in re.split(r"\s+", part)}
    return {word for word in hidden | parts if len(word) >= _MIN_LETTERS and not _PLAIN_WORD.fullmatch(word)}


def _notified_names(sources: Iterable[str]) -> frozenset[str]:
    names = {match["name"] or match["other"] for source in sources for match in _NOTIFY_NAMES.finditer(source)}
    return frozenset(names | {"notify"})


def _mask_literals(source: str, notified: frozenset[str]) -> str:
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    pieces: list[str] = []
    copied_to = 0
    for start, end, text in _replacements(source, notified):
        if start >= copied_to:
            pieces += [source[copied_to:start], text]
            copied_to = end
    return "".join([*pieces, source[copied_to:]])


def _replacements(source: str, notified: frozenset[str]) -> list[tuple[int, int, str]]:
    replacements = [literal.masked(source, MASK) for literal in _literals(source, notified)]
    replacements += [(*span, MASK) for span in _yaml_spans(source)]
    return sorted(replacement for replacement in replacements if replacement is not None)


def _literals(source: str, notified: frozenset[str]) -> list[SecretLiteral]:
    tree = parsed_source(source)
    return [] if tree is None else list(literals_of(tree, source, notified))


def parsed_source(source: str) -> ast.Module | None:
    """The syntax tree of a cell without its magics; None where it is no Python."""
    for text in (source, _without_magics(source)):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _without_magics(source: str) -> str:
    """The source with magics replaced by `0`, positions kept: `run = %train net` becomes `run = 0`."""
    first_line, _, rest = source.partition("\n")
    if first_line.startswith("%%"):
        is_python = first_line[2:].split()[:1] and first_line[2:].split()[0] in _PYTHON_CELLS
        return " " * len(first_line) + "\n" + _without_magics(rest) if is_python else "0 0"

    def blanked(match: re.Match[str]) -> str:
        return match["head"] + "0".ljust(len(match["magic"].encode()))

    while (joined := _CONTINUED_MAGIC.sub(r"\1 \n%", source)) != source:
        source = joined
    return _MAGIC.sub(blanked, source)


def _yaml_mapping_spans(source: str) -> Iterator[Span]:
    """Spans of secrets in the YAML mappings of a cell's body; none where it is no YAML."""
    body = source.partition("\n")[2] if source.startswith("%%") else source
    offset = len(source) - len(body)
    try:
        nodes = [yaml.compose(body, Loader=yaml.SafeLoader)]
    except (yaml.YAMLError, RecursionError):
        return
    seen: set[int] = set()
    while nodes:
        node = nodes.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            nodes.append(value)
            if isinstance(value, yaml.ScalarNode):
                yield from _yaml_entry_spans(str(key.value), value, body, offset)


def _yaml_entry_spans(name: str, value: yaml.ScalarNode, body: str, offset: int) -> Iterator[Span]:
    start, end = value.start_mark.index, value.end_mark.index
    if value.style in ("|", ">"):
        content_start = body.index("\n", start) + 1
        end = start + len(body[start:end].rstrip())
    else:
        content_start = start + bool(value.style)  # a quote
        end -= bool(value.style)
    if name == "notify":
        yield from (
            (offset + content_start + first, offset + content_start + last)
            for first, last in target_spans(body[content_start:end])
        )
    elif is_secret(name, value.value) and content_start < end:
        yield offset + content_start, offset + end


def _yaml_spans(source: str) -> Iterator[Span]:
    """Spans of secret values in a cell that is no Python: `api_key: …`, `notify: …`."""
    if parsed_source(source) is not None:
        return
    spans: list[Span] = list(_yaml_mapping_spans(source))
    for match in _YAML.finditer(source):
        if not is_plain(match["value"].strip("'\"")):
            spans.append(match.span("value"))
    for match in _YAML_NOTIFY.finditer(source):
        start = match.start("value")
        spans += [(start + first, start + last) for first, last in target_spans(match["value"])]
    yield from merged(spans)
