"""Every private attribute of a library that the package uses has its reason in `.github/private_attributes.md`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / ".github" / "private_attributes.md"
#: Documented although they begin with an underscore: named tuples, enumerations, `os`.
DOCUMENTED = {"_asdict", "_exit", "_fields", "_make", "_replace", "_value_"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "jupyter_train").rglob("*.py")):
        if "labextension" not in path.parts:
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def own_names() -> set[str]:
    """Names that the package itself defines or assigns to `self`."""
    own = set()
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                own |= {node.attr} if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") else set()
    return own


def used_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Private names that a module reads, writes or imports from a library."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and not str(node.module).startswith(("jupyter_train", "__future__")):
            is_inside = any(map(is_private, str(node.module).split(".")))
            names = [str(node.module)] if is_inside else [alias.name for alias in node.names]
            yield from ((node.lineno, name) for name in names if is_inside or is_private(name))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr"):
            named = [one.value for one in node.args[1:2] if isinstance(one, ast.Constant)]
            yield from ((node.lineno, str(name)) for name in named if is_private(str(name)))


def uses() -> dict[str, list[str]]:
    """Where each is used."""
    own, found = own_names(), dict[str, list[str]]()
    for path, tree in trees():
        for line, name in used_in(tree):
            if name not in own:
                found.setdefault(name, []).append(f"{path}:{line}")
    return found


def explained() -> set[str]:
    """The names in the first column of the page's tables."""
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)
    return {name for first, *_ in rows for name in re.findall(r"`([^`]+)`", first)}


def test_every_private_attribute_of_a_library_has_its_reason() -> None:
    assert {name: places for name, places in uses().items() if name not in explained()} == {}


def test_no_reason_is_left_of_a_use_that_is_gone() -> None:
    assert explained() - uses().keys() == set()


def test_uses_are_found() -> None:
    code = "from torch.a._b import c\nfrom x import _y\nx._z = getattr(x, '_w')\nx._asdict()\nx.__dict__\n"
    assert {name for _, name in used_in(ast.parse(code))} == {"torch.a._b", "_y", "_z", "_w"}
