"""Turns a typed line or cell into a call of `train()`."""

from __future__ import annotations

from typing import Any

from jupyter_train.api.train import Expression, train, train_cli_file
from jupyter_train.config import options_by_name
from jupyter_train.exceptions import UsageError
from jupyter_train.handle import Run
from jupyter_train.magics import cell_body as yaml_body
from jupyter_train.magics.automagic import refuse_call
from jupyter_train.magics.form_request import is_form, show_train_form
from jupyter_train.magics.line import parse
from jupyter_train.magics.misplaced_words import refuse_extra_expressions, refuse_misplaced_words
from jupyter_train.magics.namespace import Namespace
from jupyter_train.magics.option_reader import OptionReader


class TrainRequest:
    """A line of `%train`, with a YAML body for `%%train`."""

    def __init__(self, line: str, body: str | None, namespace: Namespace) -> None:
        refuse_call("train", line)
        self._namespace = namespace
        self._known = options_by_name()
        self._parsed = parse(line, self._known)
        self._content = yaml_body.read(body) if body is not None else {}
        self._reader = OptionReader(namespace, self._known)

    def run(self) -> Run | None:
        """The trained run; None where a form is shown.

        Raises:
            UsageError: The line cannot be run as typed.
        """
        __tracebackhide__ = True
        if is_form(self._parsed):
            show_train_form(self._parsed, self._namespace, lambda line: TrainRequest(line, None, self._namespace).run())
            return None
        if _is_cli_file(self._content):
            return self._run_cli_file()
        content = dict(self._content)
        from_body = [content.pop(part, None) for part in ("model", "data")]
        expressions = self._parsed.expressions or [part for part in from_body if part is not None]
        options = {**self._reader.of_body(content), **self._reader.of_line(self._parsed.options)}
        model, data = self._model_and_data([str(text) for text in expressions])
        return train(model, data, **options, expressions=self._reader.typed)

    def _run_cli_file(self) -> Run:
        content = dict(self._content)
        cli_keys = {
            "fit",
            "validate",
            "test",
            "predict",
            "model",
            "data",
            "trainer",
            "optimizer",
            "lr_scheduler",
            "seed_everything",
            "ckpt_path",
        }
        extra = {key: content.pop(key) for key in list(content) if key not in cli_keys and key in self._known}
        options = {**self._reader.of_body(extra), **self._reader.of_line(self._parsed.options)}
        classes = [self._namespace.evaluate_option("model", text) for text in self._parsed.expressions[:2]]
        model_class, data_class = (*classes, None, None)[:2]
        return train_cli_file(content, model_class, data_class, **options, expressions=self._reader.typed)

    def _model_and_data(self, expressions: list[str]) -> tuple[Expression, Expression | None]:
        if not expressions:
            raise UsageError("name the model and the data: `%train model data --epochs 10`")
        refuse_misplaced_words(expressions, self._known, self._namespace.has)
        refuse_extra_expressions(expressions)
        for text, what in zip(expressions, ("model", "data"), strict=False):
            self._namespace.check(text, what)
            self._reader.typed[what] = text
        model, *data = expressions
        first = Expression(model, lambda: self._namespace.evaluate_model(model))
        return first, Expression(data[0], lambda: self._namespace.evaluate_data(data[0])) if data else None


def _is_cli_file(content: dict[str, Any]) -> bool:
    mappings = [content.get(part) for part in ("fit", "trainer", "model", "data", "optimizer", "lr_scheduler")]
    return "seed_everything" in content or any(isinstance(part, dict) for part in mappings)
