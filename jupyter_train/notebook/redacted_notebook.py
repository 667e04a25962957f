"""Masks secrets in an executed notebook before it is saved."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from jupyter_train.store.redacted_source import mask_sources, secrets_in
from jupyter_train.store.redaction import mask, mask_html, mask_tree

if TYPE_CHECKING:
    from nbformat import NotebookNode

_MARKUP = ("text/html", "image/svg+xml")


class NotebookRedactor:
    """Masks a notebook after each executed cell; texts that were masked before come from a cache."""

    def __init__(self) -> None:
        self._previous_cache: dict[tuple[str, str, frozenset[str]], str] = {}
        self._cache: dict[tuple[str, str, frozenset[str]], str] = {}
        self._sources: tuple[list[str], list[str], frozenset[str]] = ([], [], frozenset())

    def masked(self, nb: NotebookNode) -> NotebookNode:
        """A copy of a notebook with secrets in its sources and text outputs replaced by dots.

        Secrets in its sources are masked in its outputs too, where they may stand without a name.
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
                cell.source = self._mask_cached(mask, cell.source, known)
        copied.metadata.update(mask_tree(dict(copied.metadata), known))
        self._previous_cache, self._cache = self._cache, {}
        return copied

    def _sources_and_secrets(self, sources: list[str]) -> tuple[list[str], frozenset[str]]:
        if sources != self._sources[0] or not sources:
            self._sources = (sources, mask_sources(sources), frozenset(secrets_in(sources)))
        return self._sources[1], self._sources[2]

    def _mask_output(self, output: Any, known: frozenset[str]) -> None:
        if "text" in output:
            output.text = self._mask_cached(mask, output.text, known)
        if output.output_type == "error":
            traceback = mask("\n".join(output.traceback), known).split("\n")  # a secret may span several items
            output.update(evalue=mask(output.evalue, known), traceback=traceback)
        data = output.get("data", {})
        for kind, value in data.items():
            if kind in _MARKUP:
                data[kind] = self._mask_cached(mask_html, "".join(value), known)
            elif isinstance(value, str) and not kind.startswith("image/"):
                data[kind] = self._mask_cached(mask, value, known)
            elif not kind.startswith("image/"):
                data[kind] = mask_tree(value, known)

    def _mask_cached(
        self, mask_function: Callable[[str, Collection[str]], str], text: str, known: frozenset[str]
    ) -> str:
        cache_key = (mask_function.__name__, text, known)
        masked = self._cache.get(cache_key)
        if masked is None:
            masked = self._previous_cache.get(cache_key)
            self._cache[cache_key] = masked = mask_function(text, known) if masked is None else masked
        return masked
