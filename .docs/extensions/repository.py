"""Pages that live elsewhere in the repository: they are copied beside the guides, and links to them lead to the copies.

A guide links as a reader of the repository does (`../../notebooks/resume.ipynb`); on the site the same link leads to
the page that was built from that file.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
#: The README, which `index.md` includes.
FRONT = "front/README.md"
#: Files of the repository, and the folder of the site that each becomes a page of.
COPIED = {
    "README.md": FRONT,
    "notebooks/*.ipynb": "notebooks",
    "notebooks/*.png": "notebooks",
    "tests/benchmarks/README.md": "project/benchmarks.md",
    "tests/faults/README.md": "project/faults.md",
    ".github/ARCHITECTURE.md": "project/architecture.md",
    ".github/CONTRIBUTING.md": "project/contributing.md",
    ".github/CHANGELOG.md": "project/changelog.md",
    ".github/private_attributes.md": "project/private_attributes.md",
}
#: Of these the site has no page: their links are shown as text.
_NO_PAGES = ("LICENSE",)
#: Longer code may be broken between lines.
_SHORT = 24
_LINK = re.compile(r"\[([^\[\]]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def page_of() -> dict[str, str]:
    """Path in the repository to path on the site, for every file that is there."""
    pages = {}
    for pattern, target in COPIED.items():
        for path in sorted(ROOT.glob(pattern)):
            name = target if Path(target).suffix else f"{target}/{path.name}"
            pages[path.relative_to(ROOT).as_posix()] = name
    return pages


def copy_pages() -> None:
    """Copies them; what was copied before and is gone by now is removed."""
    pages = page_of()
    for folder in ("front", "notebooks", "project"):
        shutil.rmtree(DOCS / folder, ignore_errors=True)
    for path, name in pages.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / path, DOCS / name)
        if name.endswith(".md"):
            text = relinked((ROOT / path).read_text(encoding="utf-8"), path, pages)
            (DOCS / name).write_text(text, encoding="utf-8")


def relinked(text: str, path: str, pages: dict[str, str]) -> str:
    """A page's Markdown, its links to files of the repository leading to the site's pages.

    Args:
        text: The Markdown.
        path: Where it lies in the repository.
        pages: See `page_of`.

    A link to anything else stays as it is, and MyST warns of what is not there.
    """

    def lead(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(Path(path).parent / found[2])).as_posix()
        if target in _NO_PAGES:
            return found[1]
        if target not in pages and not target.startswith(".docs/"):
            return found[0]
        page = pages.get(target, target.removeprefix(".docs/"))
        return f"[{found[1]}](/{'index.md' if page == FRONT else page}{found[3] or ''})"

    return _LINK.sub(lead, text)


def keep_short_code_whole(_app: Sphinx, document: nodes.document) -> None:
    """Marks short code that has no space, such as `--epochs`, so that no line breaks inside it."""
    from docutils import nodes

    for code in document.findall(nodes.literal):
        if len(code.astext()) <= _SHORT and " " not in code.astext():
            code["classes"].append("short")


def setup(app: Sphinx) -> dict[str, bool]:
    """Copies when the build begins, relinks the guides as they are read."""
    copy_pages()
    pages = page_of()
    copied = {Path(name).with_suffix("").as_posix() for name in pages.values()}

    def on_read(_app: Sphinx, page: str, content: list[str]) -> None:
        if page not in copied:
            content[0] = relinked(content[0], f".docs/{page}.md", pages)

    app.connect("source-read", on_read)
    app.connect("doctree-read", keep_short_code_whole)
    return {"parallel_read_safe": True}
