"""What every trial of a study is made of; travels to the processes that run trials."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import TrainConfig, TuneConfig, options_by_name
from jupyter_train.config.search_space import Choices, Fixed, Space
from jupyter_train.exceptions import ModelError, OptionError, did_you_mean

_TRAINER = "trainer."


@dataclass
class TrialSpec:
    """A study's trials, apart from their numbers.

    Attributes:
        config: Objectives, space, options of every trial.
        model: Makes a model of the values that are not options.
        data: As `train` takes it, loaded once.
        options: The searched names that are options of `%train`, and what they are called there.
        study: Key of the study's run.
        name: What trials are called.
        notebook: Path of the notebook, if known.
        first: Number of the first trial that is run; those before are of earlier studies.
    """

    config: TuneConfig
    model: Callable[[Mapping[str, Any]], Any]
    data: Any
    options: dict[str, str]
    study: str = ""
    name: str = ""
    notebook: str = ""
    first: int = 0

    def trial_config(self, params: Mapping[str, Any]) -> TrainConfig:
        """The options of the trial with these values.

        Raises:
            OptionError: A value does not fit.
        """
        changes = {self.options[name]: value for name, value in params.items() if name in self.options}
        return self.config.trial_config(changes)

    def usual_config(self) -> TrainConfig:
        """The options of every trial, each searched option with one value of its space."""
        return self.trial_config({name: corners(self.config.space[name])[0] for name in self.options})

    def build(self, params: Mapping[str, Any]) -> object:
        """The model of the trial with these values."""
        return self.model({name: value for name, value in params.items() if name not in self.options})


def corners(space: Space) -> list[Any]:
    """Values at which an option would refuse the space, if it does at any."""
    if isinstance(space, Choices):
        return list(space.values)
    return [space.value] if isinstance(space, Fixed) else [space.low, space.high]


def option_called(name: str) -> str | None:
    """The option of `%train` that a searched name means: `batch_size`, `trainer.gradient_clip_val`; None if none."""
    plain = name.removeprefix(_TRAINER)
    option = options_by_name().get(plain)
    if option is None or (name != plain and option.group != "trainer"):
        return None
    return plain


@dataclass(frozen=True)
class ModelArguments:
    """What a model is made of.

    Attributes:
        names: The names it lists.
        others: Whether it takes any other name besides (`**kwargs`).
    """

    names: frozenset[str] = frozenset()
    others: bool = False


def roles(
    space: Mapping[str, Any], takes: ModelArguments, model_text: str, whole: ModelExpression | None = None
) -> dict[str, str]:
    """Which of the searched names are options, and of which name.

    A name that the model lists is the model's; any other is the option of this name, where there is one.

    Args:
        space: The names.
        takes: What the model takes.
        model_text: The model, as it is called in messages.
        whole: The model, where an expression makes it.

    Raises:
        OptionError: A name is neither.
    """
    options = {}
    for name in space:
        if name in takes.names:
            continue
        option = option_called(name)
        if option is not None:
            options[name] = option
        elif not (takes.others and name.isidentifier()):
            raise OptionError(f"`{name}` is searched but not used: {_why_unused(name, takes, model_text, whole)}")
    return options


def _why_unused(name: str, takes: ModelArguments, model_text: str, whole: ModelExpression | None) -> str:
    if whole is not None and (passing := whole.passing(name)):
        return f"{model_text} does not pass it; write `{passing}`"
    options = options_by_name()
    known = {*takes.names, *options, *(_TRAINER + option for option in options if options[option].group == "trainer")}
    known |= whole.callee_takes.names if whole is not None else set()
    return f"{model_text} does not take it, and `%train` has no such option.{did_you_mean(name, known)}"


def taken_by(maker: Callable[..., Any]) -> ModelArguments:
    """What a class or function takes."""
    try:
        parameters = inspect.signature(maker).parameters.values()
    except (TypeError, ValueError):
        return ModelArguments(others=True)
    kinds = inspect.Parameter
    named = frozenset(
        parameter.name
        for parameter in parameters
        if parameter.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    )
    return ModelArguments(named, any(parameter.kind is kinds.VAR_KEYWORD for parameter in parameters))


class ModelFactory:
    """Calls a class or function with the values it takes.

    Args:
        maker: The class or function.
    """

    def __init__(self, maker: Callable[..., Any]) -> None:
        self.maker = maker

    def __call__(self, params: Mapping[str, Any]) -> object:
        """The model."""
        return self.maker(**params)


class ModelExpression:
    """Evaluates what was typed, with a trial's values in the place of their names.

    Args:
        text: The expression.
        names: What its other names mean.
        searched: The names it takes from a trial.
    """

    def __init__(self, text: str, names: Mapping[str, Any], searched: frozenset[str]) -> None:
        self.text = text
        self.names = dict(names)
        self.searched = searched

    @property
    def callee_takes(self) -> ModelArguments:
        """What the class or function that the expression calls takes; nothing where it calls none."""
        call = self._call()
        if call is None:
            return ModelArguments()
        try:
            return taken_by(eval(compile(ast.Expression(call.func), "<tune>", "eval"), dict(self.names)))
        except Exception:  # noqa: BLE001  said when the expression is evaluated
            return ModelArguments()

    def passing(self, name: str) -> str:
        """The expression with a name passed that the class takes; empty where it takes none of this name."""
        call, takes = self._call(), self.callee_takes
        if call is None or name not in takes.names:
            return ""
        call.keywords = [word for word in call.keywords if word.arg != name]
        call.keywords.append(ast.keyword(name, ast.Name(name, ast.Load())))
        return ast.unparse(call)

    def _call(self) -> ast.Call | None:
        tree = ast.parse(self.text, mode="eval").body
        return tree if isinstance(tree, ast.Call) else None

    def __call__(self, params: Mapping[str, Any]) -> object:
        """The model.

        Raises:
            ModelError: The expression gives a class.
        """
        code = compile(self.text, f"<tune {self.text}>", "eval")
        model = eval(code, {**self.names, **params})
        if inspect.isclass(model):
            raise ModelError(f"`{self.text}` is a class; write `{self.text}(...)` to make a model of it")
        return model


class ModelCopier:
    """Gives the same model for every trial, with the weights it came with.

    Args:
        model: As given.
    """

    def __init__(self, model: object) -> None:
        self.model = model

    def __call__(self, _params: Mapping[str, Any]) -> object:
        """A copy.

        Raises:
            ModelError: It cannot be copied.
        """
        from jupyter_train.training.model import copy_model

        return copy_model(self.model)
