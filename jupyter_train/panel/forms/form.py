"""A form in a cell: fields, and the line that says the same."""

from __future__ import annotations

import contextvars
import html
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_train.exceptions import JupyterTrainError
from jupyter_train.panel.display import kernel_id
from jupyter_train.panel.forms.fields import Field

MIME_TYPE = "application/vnd.jupyter-train.form+json"


@dataclass(frozen=True)
class Sections:
    """The fields of a form: what is trained on what, the model's arguments, the usual options, and the others."""

    model: list[Field]
    arguments: list[Field]
    usual: list[Field]
    others: list[Field]


class Form:
    """A form as widgets; starts runs and says what is wrong beside the field.

    Args:
        sections: Its fields.
        start: Starts the run of a line, detached.
    """

    #: What the line begins with.
    magic = ""
    #: What the button says, and does.
    button = ("", "")

    def __init__(self, sections: Sections, start: Callable[[str], Any]) -> None:
        import ipywidgets as widgets

        self._start_run = start
        self._context = contextvars.copy_context()  # a callback's display would be lost; the cell's is not
        self._handle: Any = None
        self._parts = [_Row(field) for field in sections.model]
        self._arguments = [_Row(field) for field in sections.arguments]
        self._options = [_Row(field) for field in sections.usual]
        self._others = [_Row(field) for field in sections.others]
        self._line = widgets.HTML()
        self._message = widgets.HTML()
        self._button = widgets.Button(description=self.button[0], button_style="primary", tooltip=self.button[1])
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
        return " ".join([self.magic, *(word for word in self._words() if word)])

    def _words(self) -> list[str]:
        """What follows the magic; empty words are left out."""
        raise NotImplementedError

    def _filled_options(self) -> dict[str, str]:
        """Texts by flag; an empty one for a flag that stands alone."""
        rows = [row for row in (*self._options, *self._others) if row.text]
        return {row.field.name: "" if row.field.is_switch else row.text for row in rows}

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
            run = self._start_run(self.line.removeprefix(self.magic) + " --detach")
            self._say(f"{run.ref} runs in its own process")
        except JupyterTrainError as err:
            self._say(str(err), is_bad=True)
        except Exception as err:  # noqa: BLE001  the user's own code failed; a callback's traceback would be shown nowhere
            self._say(f"{type(err).__name__}: {err}", is_bad=True)
        finally:
            self._button.disabled = False

    def _say(self, text: str, is_bad: bool = False) -> None:
        self._message.value = f'<span class="{"jt-FormBad" if is_bad else "jt-FormSaid"}">{html.escape(text)}</span>'


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
            labels = {"": f"{field.hint} (default)" if field.hint in field.choices else ""}
            options = [(labels.get(choice, choice), choice) for choice in field.choices]
            self._widget = widgets.Dropdown(options=options, value=value, **look)
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
        problem = ""
        if self.text or self.field.name == "model":
            try:
                self.field.check(self.text)
            except (JupyterTrainError, ValueError, SyntaxError) as err:
                problem = err.msg if isinstance(err, SyntaxError) else str(err)
        self._problem.value = f'<span class="jt-FormBad">{html.escape(problem)}</span>' if problem else ""
        return problem
