"""From what was typed to a call of `tune()`."""

from __future__ import annotations

import ast
import contextlib
import re
from typing import Any

from jupyter_train.api.tune import tune
from jupyter_train.config import tune_options_by_name
from jupyter_train.exceptions import OptionError, UsageError
from jupyter_train.handle.study import Study
from jupyter_train.magics import cell_body as yaml_body
from jupyter_train.magics.automagic import refuse_call
from jupyter_train.magics.form_request import is_form, show_tune_form
from jupyter_train.magics.line import parse
from jupyter_train.magics.misplaced_words import refuse_more_than_two, refuse_slips
from jupyter_train.magics.namespace import Namespace, free_names
from jupyter_train.magics.option_reader import OptionReader

_SPACE = re.compile(r"(?P<name>[A-Za-z_][\w.]*)=(?!=)(?P<text>.*)", re.DOTALL)


class TuneRequest:
    """A line, and perhaps a YAML body, that asks for a search in a namespace."""

    def __init__(self, line: str, body: str | None, namespace: Namespace) -> None:
        refuse_call("tune", line)
        self._namespace = namespace
        self._known = known = tune_options_by_name()
        self._parsed = parse(line, known)
        self._content = yaml_body.read(body) if body is not None else {}
        self._reader = OptionReader(namespace, known)

    def run(self) -> Study | None:
        """Searches; or shows a form, and gives nothing.

        Raises:
            UsageError: Something does not fit.
        """
        __tracebackhide__ = True
        if is_form(self._parsed):
            expressions, space = _split(self._parsed.expressions)
            ns = self._namespace
            show_tune_form(self._parsed, expressions, space, ns, lambda line: TuneRequest(line, None, ns).run())
            return None
        content = dict(self._content)
        named = [str(part) for part in (content.pop("model", None), content.pop("data", None)) if part is not None]
        space = _mapping(content.pop("space", {}))
        words, typed = _split(self._parsed.expressions)
        space = {**space, **typed}
        expressions = words or named
        options = {**self._reader.of_body(content), **self._reader.of_line(self._parsed.options)}
        model, data = self._model_and_data(expressions, frozenset(space))
        return tune(model, data, space=space, **options, expressions=self._reader.typed)

    def _model_and_data(self, expressions: list[str], searched: frozenset[str]) -> tuple[Any, Any]:
        if not expressions:
            raise UsageError(
                "name the model and the data: `%tune LitDigits(lr=lr) data lr=1e-4..1e-1:log --trials 20 "
                "--maximize val_acc`"
            )
        refuse_slips(expressions, self._known, self._namespace.has, is_search=True)
        refuse_more_than_two(expressions, ", and write what is searched as `name=RANGE`, without spaces")
        self._namespace.check(expressions[0], "model", searched)
        for text in expressions[1:]:
            self._check_data(text, searched)
        self._reader.typed.update(zip(("model", "data"), expressions, strict=False))
        data = self._namespace.evaluate_data(expressions[1]) if len(expressions) > 1 else None
        return self._model(expressions[0], searched), data

    def _check_data(self, text: str, searched: frozenset[str]) -> None:
        with contextlib.suppress(SyntaxError):  # said below
            for name in sorted(set(free_names(text)) & searched):
                raise UsageError(
                    f"data `{text}`: `{name}` is searched, but the data is made once, for all trials; of data, options "
                    "of `%train` can be searched, such as `batch_size=32|64`"
                )
        self._namespace.check(text, "data")

    def _model(self, text: str, searched: frozenset[str]) -> Any:
        """The class or model that is named, or an expression over the searched names."""
        from jupyter_train.tuning.trial_spec import ModelExpression

        used = frozenset(free_names(text)) & searched
        if isinstance(ast.parse(text, mode="eval").body, ast.Lambda) and not used:
            return self._namespace.evaluate(text)
        if used or "(" in text:
            names = {name: value for name, value in self._namespace.names_in(text).items() if name not in used}
            return ModelExpression(text, names, used)
        return self._namespace.evaluate_named(text)


def _split(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Expressions, and what is searched.

    Raises:
        OptionError: A name is given twice.
    """
    expressions: list[str] = []
    space: dict[str, str] = {}
    for word in words:
        found = _SPACE.fullmatch(word)
        if found is None:
            expressions.append(word)
        elif found["name"] in space:
            raise OptionError(f"`{found['name']}` is given twice: `{space[found['name']]}` and `{found['text']}`")
        else:
            space[found["name"]] = found["text"]
    return expressions, space


def _mapping(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise UsageError("`space:` is a mapping of names to ranges, such as `lr: 1e-4..1e-1:log`")
    return {str(name): text for name, text in given.items()}
