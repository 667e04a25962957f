"""An executed notebook with its secrets replaced by dots: what a repeated notebook is saved as."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

from jupyter_train.store.redacted_source import mask_sources, secrets_in
from jupyter_train.store.redaction import mask, mask_html, mask_tree

_MARKUP = ("text/html", "image/svg+xml")


class NotebookRedactor:
    """Masks one notebook again and again, as its cells are executed; what was masked before is not read again."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str, frozenset[str]], str] = {}
        self._now: dict[tuple[str, str, frozenset[str]], str] = {}
        self._sources: tuple[list[str], list[str], frozenset[str]] = ([], [], frozenset())

    def masked(self, nb: Any) -> Any:
        """A copy of a notebook with secrets in its sources and text outputs replaced by dots.

        What its cells name as secrets is masked in their outputs too, where it may stand without a name.
        """
        copied = copy.deepcopy(nb)
        code = [cell for cell in copied.cells if cell.cell_type == "code"]
        sources, known = self._sources_and_secrets([cell.source for cell in code])
        for cell, source in zip(code, sources, strict=True):
            cell.source = source
            for output in cell.get("outputs", []):
                self._mask_output(output, known)
        for cell in copied.cells:
            cell.metadata.update(mask_tree(dict(cell.metadata), known))
            if cell.cell_type != "code":
                cell.source = self._once(mask, cell.source, known)
        copied.metadata.update(mask_tree(dict(copied.metadata), known))
        self._before, self._now = self._now, {}
        return copied

    def _sources_and_secrets(self, sources: list[str]) -> tuple[list[str], frozenset[str]]:
        if sources != self._sources[0] or not sources:
            self._sources = (sources, mask_sources(sources), frozenset(secrets_in(sources)))
        return self._sources[1], self._sources[2]

    def _mask_output(self, output: Any, known: frozenset[str]) -> None:
        if "text" in output:
            output.text = self._once(mask, output.text, known)
        if output.output_type == "error":
            traceback = mask("\n".join(output.traceback), known).split("\n")  # a text may go over several of its items
            output.update(evalue=mask(output.evalue, known), traceback=traceback)
        data = output.get("data", {})
        for kind, value in data.items():
            if kind in _MARKUP:
                data[kind] = self._once(mask_html, "".join(value), known)
            elif isinstance(value, str) and not kind.startswith("image/"):
                data[kind] = self._once(mask, value, known)
            elif not kind.startswith("image/"):
                data[kind] = mask_tree(value, known)

    def _once(self, how: Callable[[str, Collection[str]], str], text: str, known: frozenset[str]) -> str:
        place = (how.__name__, text, known)
        found = self._now.get(place)
        if found is None:
            found = self._before.get(place)
            self._now[place] = found = how(text, known) if found is None else found
        return found
