"""The reference of options, commands, samplers and errors, written from the declarations that the code itself uses.

A page includes a part of it: a fence named `{declared}` with one of the names in `PARTS`. Each option is an anchor.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from jupyter_train import exceptions
from jupyter_train.config import Option, options_by_name, tune_options_by_name
from jupyter_train.config.commands import VERBS
from jupyter_train.config.search_methods import PRUNERS, SAMPLERS
from jupyter_train.config.trainer_arguments import DECISIONS, ArgumentUse

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: What Markdown would read as markup.
_ESCAPED = str.maketrans({letter: "\\" + letter for letter in "*[]<_"})


def option_entries(program: str, options: Iterable[Option]) -> str:
    """The options of a magic as MyST: how each is typed, what it does, its default and its Python name."""
    return f"```{{program}} {program}\n```\n\n" + "\n".join(map(_option_entry, options))


def _option_entry(option: Option) -> str:
    value = option.metavar or "|".join(option.choices) or ("" if option.is_flag else "VALUE")
    typed = option.flag + (f"[={value}]" if option.is_flag and value else f" {value}" if value else "")
    facts = [] if option.default in (None, False, []) else [f"Default: `{option.default}`."]
    if option.repeats and "repeated" not in option.help:
        facts.append("May be repeated.")
    if option.name != option.flag.removeprefix("--"):
        facts.append(f"In Python: `{option.name}`.")
    return f"````{{option}} {typed}\n{_sentence(option.help)} {' '.join(facts)}".rstrip() + "\n````\n"


def _sentence(words: str) -> str:
    """Help as a sentence, options in it as code; a value such as `auto:` that begins it stays as it is typed."""
    parts = words.split("`")
    parts[::2] = [re.sub(r"--[a-z][a-z-]*", r"`\g<0>`", part.translate(_ESCAPED)) for part in parts[::2]]
    shown = "`".join(parts)
    first = shown.partition(" ")[0]
    shown = shown if first.endswith(":") else shown[:1].upper() + shown[1:]
    return shown if shown.endswith(".") else shown + "."


def trainer_entries(use: ArgumentUse) -> str:
    """The arguments of `pl.Trainer` that are passed on, replaced or refused."""
    options = [option for option in options_by_name().values() if option.group == "trainer"]
    return option_entries("train", [option for option in options if _use(option) is use])


def _use(option: Option) -> ArgumentUse:
    return DECISIONS[option.name].use if option.name in DECISIONS else ArgumentUse.PASSED


def tune_entries() -> str:
    """The options that only a search takes, or that mean something else there."""
    own = options_by_name()
    return option_entries("tune", [one for name, one in tune_options_by_name().items() if own.get(name) is not one])


def command_table(is_for_study: bool) -> str:
    """Commands to a running fit or search: how they are typed, and what they do."""
    rows = [
        (f"`{verb.name}`", ", ".join(f"`{name}`" for name in verb.arguments) or "none", verb.help)
        for verb in VERBS.values()
        if verb.is_for_study is is_for_study
    ]
    return _table(("command", "arguments", "what it does"), rows)


def method_table(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """Samplers or pruners with the arguments that they take."""
    rows = [
        (f"`{name}`", ", ".join(f"`{typed}` ({argument.name})" for typed, argument in takes.items()) or "none")
        for name, takes in methods.items()
    ]
    return _table(("name", "arguments (Optuna's name)"), rows)


def error_table() -> str:
    """Every error of the package, with what it is derived from."""
    rows = [
        (
            f"`{one.__name__}`",
            ", ".join(f"`{base.__name__}`" for base in one.__bases__ if _is_public(base)),
            _about(one),
        )
        for one in vars(exceptions).values()
        if isinstance(one, type) and one.__module__ == exceptions.__name__ and _is_public(one)
    ]
    return _table(("error", "is a", "when"), rows)


def _is_public(kind: type) -> bool:
    return not kind.__name__.startswith("_") and issubclass(kind, BaseException)


def _about(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", r"\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def magic_help(name: str) -> str:
    """What `%NAME?` shows."""
    from jupyter_train.magics.magics import TrainMagics

    return f"```text\n{(getattr(TrainMagics, name).__doc__ or '').rstrip()}\n```\n"


def shell_help() -> str:
    """What `jupyter train VERB --help` shows, verb by verb."""
    from jupyter_train.cli import _parser

    parser = _parser()
    verbs = next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    texts = [parser.format_help(), *(verb.format_help() for verb in verbs.values())]
    return "\n".join(f"```text\n{text.rstrip()}\n```\n" for text in texts)


def returned_classes() -> str:
    """The classes of what the functions give back, apart from `Run` and `Study`."""
    from jupyter_train import Run, Study
    from jupyter_train.api.runs import compare, runs

    best = get_args(get_type_hints(Study.best.fget)["return"])[0]
    found = [get_type_hints(function)["return"] for function in (runs, compare)] + [best, *_kinds_of(Run)]
    lines = [
        f".. autoclass:: {one.__module__}.{one.__qualname__}()\n   :members:\n"
        for one in dict.fromkeys(found)
        if one is not Study and any(not name.startswith("_") for name in vars(one))
    ]
    return "```{eval-rst}\n" + "\n".join(lines) + "```\n"


def _kinds_of(base: type) -> Iterator[type]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds_of(kind)


PARTS: dict[str, Callable[[], str]] = {
    "train options": lambda: option_entries("train", [o for o in options_by_name().values() if o.group == "run"]),
    "trainer arguments passed": lambda: trainer_entries(ArgumentUse.PASSED),
    "trainer arguments replaced": lambda: trainer_entries(ArgumentUse.REPLACED),
    "trainer arguments refused": lambda: trainer_entries(ArgumentUse.REFUSED),
    "tune options": tune_entries,
    "samplers": lambda: method_table(SAMPLERS),
    "pruners": lambda: method_table(PRUNERS),
    "commands to a fit": lambda: command_table(is_for_study=False),
    "commands to a search": lambda: command_table(is_for_study=True),
    "errors": error_table,
    "runs help": lambda: magic_help("runs"),
    "shell help": shell_help,
    "returned classes": returned_classes,
    "retrain help": lambda: magic_help("retrain"),
}


#: Stands for a colon while napoleon looks for the type of a property before the first one.
_COLON = "\ue000"


def hide_colons(_app: Sphinx, what: str, _name: str, _of: Any, _options: Any, lines: list[str]) -> None:
    """A property's docstring is a sentence, its type is its annotation."""
    if what == "property" and lines:
        lines[0] = lines[0].replace(":", _COLON)


def show_colons(_app: Sphinx, _what: str, _name: str, _of: Any, _options: Any, lines: list[str]) -> None:
    """After napoleon, the docstring as it was."""
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """The directive `{declared}`, and docstrings of properties as they are."""
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class Declared(SphinxDirective):
        """A part of the reference; an unknown name is an error of the build."""

        required_arguments = 1
        final_argument_whitespace = True

        def run(self) -> list[nodes.Node]:
            return self.parse_text_to_nodes(PARTS[self.arguments[0]]())

    app.add_directive("declared", Declared)
    app.connect("autodoc-process-docstring", hide_colons, priority=400)
    app.connect("autodoc-process-docstring", show_colons, priority=600)
    return {"parallel_read_safe": True}
