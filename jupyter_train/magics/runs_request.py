"""`%runs` and its verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_train.api import runs
from jupyter_train.config.bounds import shown
from jupyter_train.config.commands import VERBS as COMMANDS
from jupyter_train.config.commands import parse_arguments
from jupyter_train.config.synonyms import VERB_SYNONYMS
from jupyter_train.exceptions import AmbiguousRunError, StoreError, UsageError, did_you_mean
from jupyter_train.handle import Run
from jupyter_train.magics.automagic import refuse_call
from jupyter_train.magics.line import expression_in, split, unquoted
from jupyter_train.magics.namespace import Namespace
from jupyter_train.panel.format import size_text


def run_verb(line: str, namespace: Namespace | None = None) -> object:
    """The result of a line's verb.

    Args:
        line: As typed.
        namespace: Where `{expr}` is evaluated; taken as it is typed if None.

    Raises:
        UsageError: The verb is unknown or lacks its runs, or a name in `{expr}` is missing.
    """
    is_note = line.lstrip().startswith("note ")
    words = split(line, has_comment=not is_note)
    words = [_word(word, None if is_note and place > 1 else namespace) for place, word in enumerate(words)]
    if not words or words == ["()"]:  # `runs()`, of which automagic makes this line
        return runs.runs()
    refuse_call("runs", line)
    verb, *arguments = words
    if verb not in VERBS:
        raise UsageError(_unknown_verb_message(verb, arguments))
    min_arguments, handler = VERBS[verb]
    if len(arguments) < min_arguments:
        raise UsageError(
            f"`%runs {verb}` needs {'a run' if min_arguments == 1 else f'{min_arguments} words'}; `%runs?` shows how"
        )
    return handler(arguments)


def _word(text: str, namespace: Namespace | None) -> str:
    """A word without its quotes; the value of `{expr}`, for a run its short name."""
    expression = expression_in(text) if namespace is not None else None
    if expression is None or namespace is None:
        return unquoted(text)
    value = namespace.evaluate_option("%runs", expression)
    return value.ref if isinstance(value, Run) else str(value)


def _unknown_verb_message(verb: str, arguments: list[str]) -> str:
    """What to type instead: a synonym's verb, `show` for a run, or the closest verb."""
    known_verb = VERB_SYNONYMS.get(verb.lower())
    if known_verb is None and _is_run(verb):
        known_verb, arguments = "show", [verb, *arguments]
    if known_verb is not None:
        runs = arguments or ["RUN"] * max(1, VERBS[known_verb][0]) * (known_verb not in ("list", "gc"))
        return f"`%runs {verb}`: no such verb; write `%runs {' '.join([known_verb, *map(shown, runs)])}`"
    return f"`%runs {verb}`: no such verb.{did_you_mean(verb, VERBS)} Known are: {', '.join(VERBS)}"


def _is_run(word: str) -> bool:
    try:
        runs.get_run(word)
    except AmbiguousRunError:
        return True
    except StoreError:
        return False
    return True


def _write_note(words: list[str]) -> Run:
    run = runs.get_run(words[0])
    run.notes = " ".join(words[1:])
    return run


def _remove(words: list[str]) -> str:
    return "removed " + ", ".join(runs.remove(*words))


def _collect(_words: list[str]) -> str:
    freed = runs.collect_garbage()
    return f"{freed['files']} leftover files ({size_text(freed['bytes'])}) and {freed['rows']} empty rows removed"


def _resume(words: list[str]) -> Run | str:
    return runs.resume_as_typed(words[0], words[1:])


def _sender(verb: str) -> Callable[[list[str]], str]:
    def send(words: list[str]) -> str:
        return runs.get_run(words[0]).send(verb, **parse_arguments(verb, words[1:]))

    return send


VERBS: dict[str, tuple[int, Callable[[list[str]], Any]]] = {
    "list": (0, lambda _words: runs.runs()),
    "show": (1, lambda words: runs.get_run(words[0])),
    "attach": (1, lambda words: runs.attach(words[0])),
    "compare": (2, lambda words: runs.compare(*words)),
    "note": (2, _write_note),
    "rm": (1, _remove),
    "gc": (0, _collect),
    **{verb.name: (1, _sender(verb.name)) for verb in COMMANDS.values()},
    "resume": (1, _resume),
}
