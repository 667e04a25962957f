"""Turns a typed line or cell into a call of `tune()`."""

from __future__ import annotations

import ast
import contextlib
import re
from typing import Any

from jupyter_train.api.tune import tune
from jupyter_train.config import tune_options_by_name
from jupyter_train.config.search_space import reads_as_space
from jupyter_train.exceptions import OptionError, UsageError
from jupyter_train.handle.study import Study
from jupyter_train.magics import cell_body as yaml_body
from jupyter_train.magics.automagic import refuse_call
from jupyter_train.magics.form_request import is_form, show_tune_form
from jupyter_train.magics.line import parse
from jupyter_train.magics.misplaced_words import refuse_extra_expressions, refuse_misplaced_words
from jupyter_train.magics.namespace import Namespace, free_names
from jupyter_train.magics.option_reader import OptionReader
from jupyter_train.tuning.trial_spec import ModelExpression

_SPACE = re.compile(r"(?P<name>[A-Za-z_][\w.]*)=(?!=)(?P<text>.*)", re.DOTALL)


class TuneRequest:
    """A line of `%tune`, with a YAML body for `%%tune`."""

    def __init__(self, line: str, body: str | None, namespace: Namespace) -> None:
        refuse_call("tune", line)
        self._namespace = namespace
        self._known = known = tune_options_by_name()
        self._parsed = parse(line, known)
        self._content = yaml_body.read(body) if body is not None else {}
        self._reader = OptionReader(namespace, known)

    def run(self) -> Study | None:
        """The study; None where a form is shown.

        Raises:
            UsageError: The line cannot be run as typed.
        """
        __tracebackhide__ = True
        if is_form(self._parsed):
            expressions, space = _expressions_and_space(self._parsed.expressions)
            ns = self._namespace
            show_tune_form(self._parsed, expressions, space, ns, lambda line: TuneRequest(line, None, ns).run())
            return None
        content = dict(self._content)
        from_body = [str(part) for part in (content.pop("model", None), content.pop("data", None)) if part is not None]
        space = _checked_space(content.pop("space", {}))
        typed, typed_space = _expressions_and_space(self._parsed.expressions)
        space = {**space, **typed_space}
        expressions = typed or from_body
        options = {**self._reader.of_body(content), **self._options_of_line()}
        model, data = self._model_and_data(expressions, frozenset(space))
        return tune(model, data, space=space, **options, expressions=self._reader.typed)

    def _options_of_line(self) -> dict[str, Any]:
        """The options of the line, by name; for one that reads as a search space the error says how that is written.

        Raises:
            OptionError: An option is given twice, or its value does not fit.
        """
        try:
            return self._reader.of_line(self._parsed.options)
        except OptionError as err:
            for option, text in self._parsed.options:
                if f"`{option.flag} {text}`" in str(err) and reads_as_space(text):
                    raise OptionError(f"{err}. To search it, write `{option.name}={text}`, without dashes") from None
            raise

    def _model_and_data(self, expressions: list[str], searched: frozenset[str]) -> tuple[Any, Any]:
        if not expressions:
            raise UsageError(
                "name the model and the data: `%tune LitDigits(lr=lr) data lr=1e-4..1e-1:log --trials 20 "
                "--maximize val_acc`"
            )
        refuse_misplaced_words(expressions, self._known, self._namespace.has, is_search=True)
        refuse_extra_expressions(expressions, ", and write what is searched as `name=RANGE`, without spaces")
        self._namespace.check(expressions[0], "model", searched)
        for text in expressions[1:]:
            self._check_data(text, searched)
        self._reader.typed.update(zip(("model", "data"), expressions, strict=False))
        data = self._namespace.evaluate_data(expressions[1]) if len(expressions) > 1 else None
        return self._model(expressions[0], searched), data

    def _check_data(self, text: str, searched: frozenset[str]) -> None:
        with contextlib.suppress(SyntaxError):  # reported by `check` below
            for name in sorted(set(free_names(text)) & searched):
                raise UsageError(
                    f"data `{text}`: `{name}` is searched, but the data is made once, for all trials; of data, options "
                    "of `%train` can be searched, such as `batch_size=32|64`"
                )
        self._namespace.check(text, "data")

    def _model(self, text: str, searched: frozenset[str]) -> object:
        """A model, its class, or an expression over the searched names."""
        searched_names = frozenset(free_names(text)) & searched
        if isinstance(ast.parse(text, mode="eval").body, ast.Lambda) and not searched_names:
            return self._namespace.evaluate(text)
        if searched_names or "(" in text:
            names = {
                name: value for name, value in self._namespace.names_in(text).items() if name not in searched_names
            }
            return ModelExpression(text, names, searched_names)
        return self._namespace.evaluate_named(text)


def _expressions_and_space(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Expressions, and the search space by name.

    Raises:
        OptionError: A name is given twice.
    """
    expressions: list[str] = []
    space: dict[str, str] = {}
    for word in words:
        match = _SPACE.fullmatch(word)
        if match is None:
            expressions.append(word)
        elif match["name"] in space:
            raise OptionError(f"`{match['name']}` is given twice: `{space[match['name']]}` and `{match['text']}`")
        else:
            space[match["name"]] = match["text"]
    return expressions, space


def _checked_space(content: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UsageError("`space:` is a mapping of names to ranges, such as `lr: 1e-4..1e-1:log`")
    return {str(name): text for name, text in content.items()}
