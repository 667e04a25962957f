"""The entry point of the papermill engine: papermill imports it always, so that it must not fail."""

from typing import Any


class JupyterTrainEngine:
    """`papermill IN OUT --engine jupyter_train`; the engine is imported when a notebook is executed."""

    @classmethod
    def _engine(cls) -> Any:
        from jupyter_train.notebook.engine import RecordedEngine

        return RecordedEngine

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: Any, *args: Any, **kwargs: Any) -> Any:
        """Executes a notebook as a recorded run."""
        return cls._engine().execute_notebook(nb, kernel_name, *args, **kwargs)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: Any = None) -> Any:
        """Name of a notebook's kernel."""
        from papermill.utils import nb_kernel_name

        return nb_kernel_name(nb, name)

    @classmethod
    def nb_language(cls, nb: Any, language: Any = None) -> Any:
        """Language of a notebook."""
        from papermill.utils import nb_language

        return nb_language(nb, language)
