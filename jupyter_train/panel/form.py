"""A form for `%train`: fields made from the options and the model's `__init__`, and the line that says the same."""

from __future__ import annotations

import ast
import contextvars
import html
import inspect
import re
import threading
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import Option, options_by_name
from jupyter_train.config.options import literal, python_name
from jupyter_train.config.trainer_arguments import DECISIONS, Use
from jupyter_train.exceptions import JupyterTrainError
from jupyter_train.panel.screen import kernel_id

MIME_TYPE = "application/vnd.jupyter-train.form+json"
#: What most runs are told; everything else is one click away.
USUAL = ("epochs", "batch_size", "lr", "early_stop", "monitor", "split", "target", "loss", "seed", "name")
#: Said by the form itself, or meant for lines and functions.
_NOT_IN_FORM = ("detach", "quiet", "on_interrupt", "form", "max_epochs")


@dataclass(frozen=True)
class Field:
    """One thing that can be filled in.

    Attributes:
        name: What it is called beside the field.
        value: Text it starts with.
        hint: Shown while it is empty.
        help: One line.
        choices: The only values there are, the empty one for the default among them.
        is_switch: True for something that is on or off.
        check: Raises `JupyterTrainError` or `ValueError` for a text that is no value.
    """

    name: str
    value: str = ""
    hint: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    is_switch: bool = False
    check: Callable[[str], Any] = str


def fields_of_options(given: dict[str, str]) -> tuple[list[Field], list[Field]]:
    """The usual options, and the others, filled with what was given."""
    known = {
        name: option
        for name, option in options_by_name().items()
        if name not in _NOT_IN_FORM and (option.group != "trainer" or _is_passed(name))
    }
    usual = [_field_of(known[name], given.get(name, "")) for name in USUAL]
    return usual, [_field_of(known[name], given.get(name, "")) for name in known if name not in USUAL]


def _is_passed(name: str) -> bool:
    decision = DECISIONS.get(name)
    return decision is None or decision.use is not Use.REFUSED


def _field_of(option: Option, value: str) -> Field:
    is_switch = option.bare is True and option.takes == (bool,)
    default = "" if option.default in (None, [], False) else str(option.default)
    hint = option.metavar or default or option.help.partition(":")[0]

    def check(text: str) -> None:
        if not option.is_expression and not (text.startswith("{") and text.endswith("}")):
            option.parse(text)

    choices = ("", *option.choices) if option.choices else ()
    return Field(option.flag, value, hint, option.help, choices, is_switch, check)


def fields_of_model(model: Any, given: dict[str, str]) -> list[Field]:
    """A field for each argument of a model class; none for anything else."""
    if not inspect.isclass(model):
        return []
    try:
        hints = typing.get_type_hints(model.__init__)
    except Exception:  # noqa: BLE001  annotations of the user's that cannot be evaluated are no reason to refuse
        hints = {}
    found = []
    for name, parameter in inspect.signature(model).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = "" if parameter.default is parameter.empty else repr(parameter.default)
        found.append(_field_of_argument(name, hints.get(name), default, given.get(name, "")))
    return found


def _field_of_argument(name: str, kind: Any, default: str, value: str) -> Field:
    choices: tuple[str, ...] = ()
    if typing.get_origin(kind) is typing.Literal:
        choices = ("", *map(repr, typing.get_args(kind)))
    elif kind is bool:
        choices = ("", "True", "False")

    def check(text: str) -> None:
        found = literal(text)
        if kind in (int, float) and isinstance(found, int | float | str) and not _fits(found, kind):
            raise ValueError(f"expected {'a whole number' if kind is int else 'a number'}")
        ast.parse(text, mode="eval")

    return Field(name, value, default or "needed", getattr(kind, "__name__", ""), choices, check=check)


def _fits(found: Any, kind: type) -> bool:
    if isinstance(found, str):  # a name or an expression: known only once it is evaluated
        return not re.fullmatch(r"['\"].*['\"]", found)
    return isinstance(found, int if kind is int else int | float) and not isinstance(found, bool)


def line_of(model: str, data: str, arguments: dict[str, str], options: dict[str, str]) -> str:
    """The `%train` line that says what was filled in.

    Args:
        model: An expression, or a class when there are arguments for it.
        data: An expression; may be empty.
        arguments: Texts by argument of the model's class.
        options: Texts by flag; an empty one for a flag that stands alone.
    """
    named = ",".join(f"{name}={text}" for name, text in arguments.items())
    words = [model + (f"({named})" if named else ""), data]
    for flag, text in options.items():
        option = options_by_name()[python_name(flag)]
        words.append(flag if not text else f"{flag}={_quoted(text)}" if option.is_flag else f"{flag} {_quoted(text)}")
    return " ".join(["run = %train", *(word for word in words if word)])


def _quoted(text: str) -> str:
    is_safe = not re.search(r"\s", text) or text[0] in "{([\"'"
    return text if is_safe else '"' + text.replace('"', "'") + '"'


class TrainForm:
    """The form as widgets; starts runs and says what is wrong beside the field.

    Args:
        model: The model's expression.
        model_class: The class it names, whose arguments become fields; anything else has none.
        data: The data's expression.
        given: Option texts by name, typed already.
        arguments: Argument texts by name, typed already.
        start: Starts the run of a line, detached.
    """

    def __init__(
        self,
        model: str,
        model_class: Any,
        data: str,
        given: dict[str, str],
        arguments: dict[str, str],
        start: Callable[[str], Any],
    ) -> None:
        import ipywidgets as widgets

        self._start_run = start
        self._context = contextvars.copy_context()  # a callback's display would be lost; the cell's is not
        self._handle: Any = None
        self._is_class = inspect.isclass(model_class)
        usual, others = fields_of_options(given)
        self._parts = [_Row(Field("model", model, "LitDigits()", check=_expression)), _Row(Field("data", data))]
        self._arguments = [_Row(field) for field in fields_of_model(model_class, arguments)]
        self._options = [_Row(field) for field in usual]
        self._others = [_Row(field) for field in others]
        self._line = widgets.HTML()
        self._message = widgets.HTML()
        self._button = widgets.Button(description="Start", button_style="primary", tooltip="train, detached")
        self._button.on_click(lambda _button: threading.Thread(target=self._context.run, args=(self._start,)).start())
        more = widgets.Accordion([widgets.VBox([row.box for row in self._others])], titles=["all options"])
        more.selected_index = None
        rows = [row.box for row in (*self._parts, *self._arguments, *self._options)]
        self.box = widgets.VBox([*rows, more, self._line, widgets.HBox([self._button, self._message])])
        self.box.add_class("jt-Form")
        for row in self._rows:
            row.on_change(self._refresh)
        self._refresh()

    @property
    def _rows(self) -> list[_Row]:
        return [*self._parts, *self._arguments, *self._options, *self._others]

    @property
    def line(self) -> str:
        """The line that does the same."""
        model, data = (row.text for row in self._parts)
        arguments = {row.field.name: row.text for row in self._arguments if row.text}
        if self._is_class and not arguments:
            model += "()"
        options = {
            row.field.name: "" if row.field.is_switch else row.text
            for row in (*self._options, *self._others)
            if row.text
        }
        return line_of(model, data, arguments, options)

    def show(self) -> None:
        """Displays it; the notebook keeps the line, never the widgets."""
        from IPython.display import display

        self._handle = display(self._bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def _bundle(self) -> dict[str, Any]:
        line = self.line
        return {
            MIME_TYPE: {"schema": 1, "kernel": kernel_id(), "model_id": self.box.model_id, "line": line},
            "text/html": f'<pre style="white-space: pre-wrap">{html.escape(line)}</pre>',
            "text/plain": line,
        }

    def _refresh(self) -> None:
        problems = [row.check() for row in self._rows]
        self._button.disabled = any(problems)
        self._line.value = f'<code class="jt-FormLine">{html.escape(self.line)}</code>'
        if self._handle is not None:
            self._handle.update(self._bundle(), raw=True)

    def _start(self) -> None:
        self._button.disabled = True
        self._say("starting …")
        try:
            run = self._start_run(self.line.removeprefix("run = %train") + " --detach")
            self._say(f"{run.ref} trains in its own process")
        except JupyterTrainError as err:
            self._say(str(err), is_bad=True)
        except Exception as err:  # noqa: BLE001  the user's own code failed; a callback's traceback would be seen by nobody
            self._say(f"{type(err).__name__}: {err}", is_bad=True)
        finally:
            self._button.disabled = False

    def _say(self, text: str, is_bad: bool = False) -> None:
        self._message.value = f'<span class="{"jt-FormBad" if is_bad else "jt-FormSaid"}">{html.escape(text)}</span>'


def _expression(text: str) -> None:
    if not text:
        raise ValueError("name the model")
    ast.parse(text, mode="eval")


class _Row:
    """A field with its label, its widget and, beside it, what is wrong."""

    def __init__(self, field: Field) -> None:
        import ipywidgets as widgets

        self.field = field
        self._problem = widgets.HTML()
        # the widgets' own descriptions are labels that a screen reader finds
        look = {"description": field.name, "style": {"description_width": "150px"}, "layout": {"width": "380px"}}
        self._widget: Any
        if field.is_switch:
            self._widget = widgets.Checkbox(bool(field.value), **look)
        elif field.choices:
            value = field.value if field.value in field.choices else ""
            self._widget = widgets.Dropdown(options=field.choices, value=value, **look)
        else:
            self._widget = widgets.Text(field.value, placeholder=field.hint, continuous_update=False, **look)
        self._widget.tooltip = field.help
        self.box = widgets.HBox([self._widget, self._problem])

    @property
    def text(self) -> str:
        """What was filled in; empty for nothing."""
        value = self._widget.value
        return ("yes" if value else "") if isinstance(value, bool) else str(value).strip()

    def on_change(self, work: Callable[[], None]) -> None:
        """Calls `work` whenever something else was filled in."""
        self._widget.observe(lambda _change: work(), "value")

    def check(self) -> str:
        """What is wrong, also said beside the field; empty when nothing is."""
        found = ""
        if self.text or self.field.name == "model":
            try:
                self.field.check(self.text)
            except (JupyterTrainError, ValueError, SyntaxError) as err:
                found = err.msg if isinstance(err, SyntaxError) else str(err)
        self._problem.value = f'<span class="jt-FormBad">{html.escape(found)}</span>' if found else ""
        return found
