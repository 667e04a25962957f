"""The entry point of the papermill engine: papermill imports it always, so that it must not fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from jupyter_train.notebook.engine import RecordedEngine


class JupyterTrainEngine:
    """`papermill IN OUT --engine jupyter_train`; the engine is imported when a notebook is executed."""

    @classmethod
    def _engine(cls) -> type[RecordedEngine]:
        from jupyter_train.notebook.engine import RecordedEngine

        return RecordedEngine

    @classmethod
    def execute_notebook(cls, nb: NotebookNode, kernel_name: str | None, *args: Any, **kwargs: Any) -> NotebookNode:
        """Executes a notebook as a recorded run."""
        return cls._engine().execute_notebook(nb, kernel_name, *args, **kwargs)

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """Name of a notebook's kernel."""
        from papermill.utils import nb_kernel_name

        kernel: str = nb_kernel_name(nb, name)
        return kernel

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        """Language of a notebook."""
        from papermill.utils import nb_language

        named: str = nb_language(nb, language)
        return named
