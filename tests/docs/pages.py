"""The pages people read, taken apart: blocks of code, names in backticks, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
START = ROOT / ".docs" / "start.md"
GUIDES = sorted((ROOT / ".docs" / "guides").glob("*.md"))
#: Pages whose code is run.
WITH_CODE = [README, START, *GUIDES]
#: Pages whose names and links are checked.
PAGES = [*WITH_CODE, ROOT / ".docs" / "index.md", *sorted((ROOT / ".docs" / "reference").glob("*.md"))]

_FENCE = re.compile(
    r"(?:<!-- (?P<mark>not run|fails): (?P<words>.*?) -->\n)?^```(?P<language>[\w{}]+)[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: `python`, `yaml`, `bash`, `text`.
        text: What is in it.
        mark: `not run` or `fails`, where a comment before it says so.
        words: What the comment says: a reason, or what the error names.
    """

    language: str
    text: str
    mark: str
    words: str


def name_of(page: Path) -> str:
    """A page as test ids show it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(one["language"], one["text"], one["mark"] or "", (one["words"] or "").strip())
        for one in _FENCE.finditer(text)
    ]


def spans(page: Path) -> list[str]:
    """What stands in backticks outside fenced blocks, line breaks as spaces."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(one.split()).replace(r"\|", "|") for one in _SPAN.findall(text)]


def links(page: Path) -> list[str]:
    """The targets of links and pictures that lie in the repository."""
    found = _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return [target for target in found if not re.match(r"https?:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    heads = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
