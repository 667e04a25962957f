"""From what was typed to a call of `train()`."""

from __future__ import annotations

from typing import Any

from jupyter_train.api import Expression, train, train_cli_file
from jupyter_train.config import Option, options_by_name
from jupyter_train.config.options import literal, python_name
from jupyter_train.config.train import unknown_option
from jupyter_train.config.trainer_arguments import WORDS_OR_OBJECTS
from jupyter_train.exceptions import OptionError, UsageError
from jupyter_train.handle import Run
from jupyter_train.magics import body as yaml_body
from jupyter_train.magics.form_request import show_form
from jupyter_train.magics.line import Given, expression_in, parse, unquoted
from jupyter_train.magics.namespace import Namespace


class TrainRequest:
    """A line, and perhaps a YAML body, to be trained in a namespace."""

    def __init__(self, line: str, body: str | None, namespace: Namespace) -> None:
        self._namespace = namespace
        self._known = options_by_name()
        self._parsed = parse(line, self._known)
        self._content = yaml_body.read(body) if body is not None else {}
        self._typed: dict[str, str] = {}

    def run(self) -> Run | None:
        """Trains; or shows a form, and gives nothing.

        Raises:
            UsageError: Something does not fit.
        """
        __tracebackhide__ = True
        if any(given.option.name == "form" for given in self._parsed.options):
            show_form(self._parsed, self._namespace, lambda line: TrainRequest(line, None, self._namespace).run())
            return None
        if _is_cli_file(self._content):
            return self._run_cli_file()
        content = dict(self._content)
        named = [content.pop(part, None) for part in ("model", "data")]
        expressions = self._parsed.expressions or [part for part in named if part is not None]
        options = {**self._body_options(content), **self._line_options()}
        model, data = self._model_and_data([str(text) for text in expressions])
        return train(model, data, **options, expressions=self._typed)

    def _run_cli_file(self) -> Run:
        content = dict(self._content)
        cli_keys = {"fit", "validate", "test", "predict", "model", "data", "trainer", "optimizer", "lr_scheduler",
                    "seed_everything", "ckpt_path"}  # fmt: skip
        extra = {key: content.pop(key) for key in list(content) if key not in cli_keys and key in self._known}
        options = {**self._body_options(extra), **self._line_options()}
        classes = [self._namespace.evaluate_option("model", text) for text in self._parsed.expressions[:2]]
        model_class, data_class = (*classes, None, None)[:2]
        return train_cli_file(content, model_class, data_class, **options, expressions=self._typed)

    def _model_and_data(self, expressions: list[str]) -> tuple[Expression, Expression | None]:
        if not expressions:
            raise UsageError("name the model and the data: `%train model data --epochs 10`")
        if len(expressions) > 2:
            named = ", ".join(f"`{text}`" for text in expressions)
            raise UsageError(
                f"{len(expressions)} expressions were given ({named}), expected a model and its data; put "
                "brackets around what belongs together, as in `(X, y)`"
            )
        for text, what in zip(expressions, ("model", "data"), strict=False):
            self._namespace.check(text, what)
            self._typed[what] = text
        model, *data = expressions
        first = Expression(model, lambda: self._namespace.evaluate_model(model))
        return first, Expression(data[0], lambda: self._namespace.evaluate(data[0])) if data else None

    # -- options ----------------------------------------------------------------------------------

    def _line_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for given in self._parsed.options:
            value = self._value(given)
            if given.option.repeats:
                options.setdefault(given.option.name, []).append(value)
            elif given.option.name in options:
                raise OptionError(f"`{given.option.flag}` was given twice")
            else:
                options[given.option.name] = value
        return options

    def _body_options(self, content: dict[str, Any]) -> dict[str, Any]:
        options = {}
        for name, value in content.items():
            option = self._known.get(python_name(name))
            if option is None:
                raise unknown_option(name)
            items = value if option.repeats and isinstance(value, list) else [value]
            values = [self._value(Given(option, item)) if isinstance(item, str) else item for item in items]
            options[option.name] = values if option.repeats else values[0]
        return options

    def _value(self, given: Given) -> Any:
        """The value of an option: evaluated when it is an expression, else read by the option's type."""
        option, text = given
        if text is None:
            return option.bare
        inside = expression_in(text)
        if inside is not None:
            self._typed[option.name] = inside
            return self._namespace.evaluate_option(option.flag, inside)
        if option.is_expression or option.name in WORDS_OR_OBJECTS:
            return self._object(option, text)
        return option.parse(unquoted(text) if str in option.takes else text)

    def _object(self, option: Option, text: str) -> Any:
        """An option that takes an object: a lone word nobody defined stays a word (`--loss cross_entropy`)."""
        is_word = text.replace("_", "").replace("-", "").replace(".", "").isalnum()
        if is_word and not isinstance(literal(text), str):
            return literal(text)  # `--logger false`
        if is_word and not self._namespace.has(text.split(".")[0]):
            return unquoted(text)
        if text[0] in "'\"":
            return unquoted(text)
        self._typed[option.name] = text
        return self._namespace.evaluate_option(option.flag, text)


def _is_cli_file(content: dict[str, Any]) -> bool:
    mappings = [content.get(part) for part in ("fit", "trainer", "model", "data", "optimizer", "lr_scheduler")]
    return "seed_everything" in content or any(isinstance(part, dict) for part in mappings)
