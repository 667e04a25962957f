"""papermill's way to the engine. Installed as a module of its own: it must import, whatever else is broken."""

from typing import Any


class JupyterTrainEngine:
    """`papermill IN OUT --engine jupyter_train`; everything is imported when a notebook is executed."""

    @classmethod
    def _engine(cls) -> Any:
        from jupyter_train.notebook.engine import RecordedEngine

        return RecordedEngine

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: Any, *args: Any, **kwargs: Any) -> Any:
        """Executes a notebook, recorded."""
        return cls._engine().execute_notebook(nb, kernel_name, *args, **kwargs)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: Any = None) -> Any:
        """Name of the kernel a notebook asks for."""
        from papermill.utils import nb_kernel_name

        return nb_kernel_name(nb, name)

    @classmethod
    def nb_language(cls, nb: Any, language: Any = None) -> Any:
        """Language of a notebook."""
        from papermill.utils import nb_language

        return nb_language(nb, language)
