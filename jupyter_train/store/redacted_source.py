"""Keeps secrets out of source that is recorded: read as Python where it is, by patterns where it is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

import yaml

from jupyter_train.store.pattern_search import Span
from jupyter_train.store.redaction import MASK, mask
from jupyter_train.store.secret_literals import SecretLiteral, literals_of
from jupyter_train.store.secret_names import STRONG_WORDS, is_plain, is_secret
from jupyter_train.store.secret_patterns import merged, of_target

#: Cell magics whose body is Python.
_PYTHON_CELLS = frozenset({"capture", "debug", "memit", "prun", "time", "timeit"})
_MAGIC = re.compile(r"^(?P<head>[ \t]*(?:[\w., \t]+=[ \t]*)?)(?P<magic>[%!].*|[^\n]*\?)$", re.MULTILINE)
#: A magic that goes on in the next line.
_BROKEN = re.compile(r"^([ \t]*(?:[\w., \t]+=[ \t]*)?[%!].*)\\\n.?", re.MULTILINE)
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
_ONE_WORD = re.compile(r"[A-Za-z]{1,12}")


def mask_sources(sources: Sequence[str], also: Collection[str] = ()) -> list[str]:
    """Cells with every secret they hold replaced by dots.

    Args:
        sources: Cells of one notebook: what one names as `--notify {hook}`, another may set.
        also: Further secrets that are known.
    """
    notified = _notified_names(sources)
    known = {*also, *secrets_in(sources)}
    return [mask(_masked(source, notified), known) for source in sources]


def mask_source(source: str) -> str:
    """As `mask_sources`, of one piece."""
    return mask_sources([source])[0]


def secrets_in(sources: Iterable[str]) -> set[str]:
    """What cells name as secrets, line by line: their outputs may show them without a name."""
    cells = list(sources)
    notified = _notified_names(cells)
    found = {value for source in cells for literal in _literals(source, notified) for value in literal.values}
    lines = {line.strip() for value in found if MASK not in value for line in value.splitlines()}
    return {line for line in lines if len(line) >= _MIN_LETTERS and not _ONE_WORD.fullmatch(line)}


def secrets_of_target(target: str | None) -> set[str]:
    """What of a `--notify` target nobody may be shown, whole and word by word."""
    if not target:
        return set()
    hidden = {target[start:end].strip("'\"") for start, end in of_target(target)}
    words = {word.strip("'\"") for part in hidden for word in re.split(r"\s+", part)}
    return {word for word in hidden | words if len(word) >= _MIN_LETTERS and not _ONE_WORD.fullmatch(word)}


def _notified_names(sources: Iterable[str]) -> frozenset[str]:
    found = {match["name"] or match["other"] for source in sources for match in _NOTIFY_NAMES.finditer(source)}
    return frozenset(found | {"notify"})


def _masked(source: str, notified: frozenset[str]) -> str:
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    pieces: list[str] = []
    done = 0
    for start, end, text in _replacements(source, notified):
        if start >= done:
            pieces += [source[done:start], text]
            done = end
    return "".join([*pieces, source[done:]])


def _replacements(source: str, notified: frozenset[str]) -> list[tuple[int, int, str]]:
    found = [literal.masked(source, MASK) for literal in _literals(source, notified)]
    found += [(*span, MASK) for span in _yaml(source)]
    return sorted(one for one in found if one is not None)


def _literals(source: str, notified: frozenset[str]) -> list[SecretLiteral]:
    tree = parsed_source(source)
    return [] if tree is None else list(literals_of(tree, source, notified))


def parsed_source(source: str) -> ast.Module | None:
    """The source of a cell as Python, magics left out; None where it is something else."""
    for text in (source, _without_magics(source)):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _without_magics(source: str) -> str:
    """The same places, but a magic is a number: `run = %train net` becomes `run = 0`."""
    head, _, rest = source.partition("\n")
    if head.startswith("%%"):
        is_python = head[2:].split()[:1] and head[2:].split()[0] in _PYTHON_CELLS
        return " " * len(head) + "\n" + _without_magics(rest) if is_python else "0 0"

    def blanked(match: re.Match[str]) -> str:
        return match["head"] + "0".ljust(len(match["magic"].encode()))

    while (joined := _BROKEN.sub(r"\1 \n%", source)) != source:
        source = joined
    return _MAGIC.sub(blanked, source)


def _in_mappings(source: str) -> Iterator[Span]:
    """Of a cell whose body is YAML, however its mappings are written; nothing of what is no YAML."""
    body = source.partition("\n")[2] if source.startswith("%%") else source
    before = len(source) - len(body)
    try:
        waiting = [yaml.compose(body, Loader=yaml.SafeLoader)]
    except (yaml.YAMLError, RecursionError):
        return
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            waiting.append(value)
            if isinstance(value, yaml.ScalarNode):
                yield from _of_entry(str(key.value), value, body, before)


def _of_entry(name: str, value: yaml.ScalarNode, body: str, before: int) -> Iterator[Span]:
    start, end = value.start_mark.index, value.end_mark.index
    if value.style in ("|", ">"):
        inside = body.index("\n", start) + 1
        end = start + len(body[start:end].rstrip())
    else:
        inside = start + bool(value.style)  # a quote
        end -= bool(value.style)
    if name == "notify":
        yield from ((before + inside + first, before + inside + last) for first, last in of_target(body[inside:end]))
    elif is_secret(name, value.value) and inside < end:
        yield before + inside, before + end


def _yaml(source: str) -> Iterator[Span]:
    """Values of a cell that is no Python: `api_key: …`, `notify: …`."""
    if parsed_source(source) is not None:
        return
    found: list[Span] = list(_in_mappings(source))
    for match in _YAML.finditer(source):
        if not is_plain(match["value"].strip("'\"")):
            found.append(match.span("value"))
    for match in _YAML_NOTIFY.finditer(source):
        start = match.start("value")
        found += [(start + first, start + last) for first, last in of_target(match["value"])]
    yield from merged(found)
