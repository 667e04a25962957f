"""`RetrainConfig`: what a repeated notebook can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jupyter_train.config.options import literal
from jupyter_train.exceptions import ParameterError


@dataclass
class RetrainConfig:
    """A notebook, its parameters and where its output goes.

    Attributes:
        notebook: Path of the notebook; never written.
        parameters: JSON values by identifier.
        output: Path of the executed copy; `NAME-YYYYmmdd-HHMMSS.ipynb` in the run's folder if empty.
        kernel: Kernel name, if not the notebook's own.
        timeout_s: Seconds one cell may take; None for no limit.
        html: Also write an HTML copy beside the output.
    """

    notebook: str
    parameters: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    kernel: str = ""
    timeout_s: float | None = None
    html: bool = False

    def __post_init__(self) -> None:
        for name, value in self.parameters.items():
            check_parameter(name, value)


def check_parameter(name: str, value: Any) -> None:
    """Raises unless `name` is an identifier and `value` is a JSON type.

    papermill writes both into code: a name is executed as it is, and an object through its `__str__`.

    Raises:
        ParameterError: The name or the value could carry code.
    """
    import keyword

    if not isinstance(name, str) or not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise ParameterError(f"`{name}` is not a parameter name; expected a Python identifier such as `lr`")
    if not _is_json(value):
        raise ParameterError(
            f"`{name}` is a {type(value).__name__}; a parameter is a number, text, true/false, null, a list or a "
            "mapping"
        )


def _is_json(value: Any) -> bool:
    """Exact types only: a subclass may carry its own `__repr__`."""
    if value is None or type(value) in (bool, int, float, str):
        return True
    if type(value) in (list, tuple):
        return all(_is_json(item) for item in value)
    if type(value) is dict:
        return all(type(key) is str and _is_json(item) for key, item in value.items())
    return False


def parse_parameter(text: str) -> Any:
    """The value of `-p NAME TEXT`: `3e-4` a float, `true` a bool, `[1, 2]` a list, else text."""
    return literal(text)
