"""An option is declared once: every consumer treats it as its `Option` says, and no module lists options beside it."""

from __future__ import annotations

import ast
import enum
import typing
from pathlib import Path
from typing import Any

import pytest

import jupyter_train
from jupyter_train.config import TrainConfig, TuneConfig, options_by_name, tune_options_by_name
from jupyter_train.config import options as declarations
from jupyter_train.config.options import ArgumentUse, Completion, Option, Scope
from jupyter_train.config.retrain import RetrainConfig, retrain_options
from jupyter_train.config.train_options import own_options
from jupyter_train.config.tune_options import tune_options
from jupyter_train.exceptions import OptionError
from jupyter_train.execution.run_spec import changed
from jupyter_train.execution.start_point import completed, is_longer
from jupyter_train.magics import completion
from jupyter_train.magics.help import RETRAIN_HELP, train_help, tune_help
from jupyter_train.magics.line import parse
from jupyter_train.magics.namespace import Namespace
from jupyter_train.magics.option_reader import OptionReader
from jupyter_train.magics.retrain_request import read
from jupyter_train.panel.forms.train import TrainForm
from jupyter_train.panel.forms.tune import TuneForm

TRAIN = options_by_name()
TUNE = tune_options_by_name()
RETRAIN = {option.name: option for option in retrain_options()}
EVERY = {
    f"{kind} {name}": option
    for kind, table in {"train": TRAIN, "tune": TUNE, "retrain": RETRAIN}.items()
    for name, option in table.items()
}
SEARCH = {"trials": 2, "maximize": "val_acc", "epochs": 1}
#: A value other than the default, where the declared type is not enough to make one.
TEXTS = {
    "early_stop": "val_loss:2",
    "split": "0.7/0.3",
    "monitor": "val_loss",
    "maximize": "val_f1",
    "minimize": "val_loss",
    "lr": "0.5",
    "cv": "3",
    "from_": "best",
    "notify": "https://example.org/hook",
    "timeout": "10m",
    "trial_timeout": "10m",
    "max_time": "00:01:00:00",
    "devices": "2",
    "fast_dev_run": "3",
    "deterministic": "warn",
    "val_check_interval": "0.5",
    "precision": "64-true",
    "parallel": "2",
}


def text_of(option: Option) -> str:
    """A value to type for an option, other than its default."""
    if option.name in TEXTS:
        return TEXTS[option.name]
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    if option.takes == (bool,):
        return "false" if option.default is True else "true"
    return "7" if {int, float} & set(option.takes) else "word"


def value_of(option: Option) -> Any:
    value = option.parse(text_of(option))
    return [value] if option.repeats else value


@pytest.mark.parametrize("case", EVERY)
def test_every_field_of_every_option_has_a_legal_value(case: str) -> None:
    option = EVERY[case]
    kinds = typing.get_type_hints(Option, vars(declarations))
    for name, kind in kinds.items():
        value = getattr(option, name)
        if kind in (bool, str) or (isinstance(kind, type) and issubclass(kind, enum.Enum)):
            assert isinstance(value, kind), (name, value)
    assert option.help
    assert option.takes
    assert option.default is None or not option.choices or option.default in option.choices
    assert all(isinstance(word, str) for word in (*option.choices, *option.suggestions))
    assert option.scope is not Scope.RUN or option.group == "trainer" or option.use is ArgumentUse.PASSED
    assert not option.suggestions or option.completes is Completion.NOTHING
    assert not (option.trial_refusal and option.search_form_order)
    assert not (option.form_order and not option.in_form)
    assert not option.makes_batches or option.scope is Scope.RUN
    assert not option.for_tables or (option.makes_batches and option.checked_before_search)


@pytest.mark.parametrize("table", ["form_order", "search_form_order"])
def test_the_common_fields_of_a_form_have_places_of_their_own(table: str) -> None:
    options = TRAIN.values() if table == "form_order" else TUNE.values()
    places = sorted(getattr(option, table) for option in options if getattr(option, table) is not None)
    assert places == list(range(1, len(places) + 1))


@pytest.mark.parametrize("case", [case for case in EVERY if not case.startswith("retrain")])
def test_a_line_and_a_cell_take_every_option(case: str) -> None:
    option, known = EVERY[case], TRAIN if case.startswith("train") else TUNE
    namespace = Namespace({"word": "an object"})
    text = text_of(option)
    typed = parse(f"{option.flag}={text}", known).options
    assert [item.option.name for item in typed] == [option.name]
    expected = ["an object"] if option.repeats else "an object"
    if not (option.is_expression or (option.is_word_or_expression and text == "word")):
        expected = value_of(option)
    for given in (
        OptionReader(namespace, known).of_line(typed),
        OptionReader(namespace, known).of_body({option.name: text}),
    ):
        assert given == {option.name: expected}
    if option.is_flag:
        alone = OptionReader(namespace, known).of_line(parse(option.flag, known).options)
        assert alone == {option.name: option.bare}
    else:
        with pytest.raises(OptionError, match="needs a value"):
            parse(option.flag, known)


@pytest.mark.parametrize("name", RETRAIN)
def test_retrain_takes_every_option_it_declares(name: str) -> None:
    option = RETRAIN[name]
    for flag in filter(None, (option.flag, option.short)):
        words = ["nightly.ipynb", flag] + ([] if option.is_flag else [text_of(option)])
        notebook, _, options = read(words, None)
        assert options.keys() == {name}
        assert getattr(RetrainConfig(notebook, **options), name) == (
            option.bare if option.is_flag else value_of(option)
        )
    assert option.flag in RETRAIN_HELP or option.short in RETRAIN_HELP
    assert (option.short or option.flag) in completion._retrain_flags()


@pytest.mark.parametrize("case", EVERY)
def test_help_lists_every_option(case: str) -> None:
    text = {"train": train_help(), "tune": tune_help() + train_help(), "retrain": RETRAIN_HELP}[case.split()[0]]
    assert EVERY[case].flag in text or (EVERY[case].short and f"[{EVERY[case].short} " in text)


def test_completion_offers_what_is_taken_and_completes_as_declared(store) -> None:
    store.create_run("digits")
    for is_search, table in enumerate((TRAIN, TUNE)):
        offered = {option.name for option in completion._offered(table)}
        refused = {name for name, option in table.items() if option.use is ArgumentUse.REFUSED}
        refused |= {name for name, option in table.items() if is_search and option.trial_refusal} - {"form"}
        assert offered == table.keys() - refused
    by_source = {Completion.METRICS: completion.metric_names(), Completion.RUNS: completion.run_names()}
    for option in {**TRAIN, **TUNE}.values():
        values = completion._known_values(option)
        if not option.choices and (option.completes is not Completion.NOTHING or option.suggestions):
            assert list(values) == by_source.get(option.completes, list(option.suggestions))
        elif not option.choices and option.takes != (bool,):
            assert values == ()


def test_forms_have_a_field_for_every_option_that_declares_one() -> None:
    train = TrainForm("Net()", None, "data", {}, {}, lambda line: None)
    tune = TuneForm("Net", None, "data", {}, {}, lambda line: None)
    for form, table, order in ((train, TRAIN, "form_order"), (tune, TUNE, "search_form_order")):
        shown = [row.field.name for row in (*form._options, *form._others)]
        taken = [o for o in table.values() if o.in_form and o.use is not ArgumentUse.REFUSED]
        taken = [o for o in taken if form is train or not o.trial_refusal]
        assert sorted(shown) == sorted(option.flag for option in taken)
        common = sorted((getattr(o, order), o.flag) for o in taken if getattr(o, order) is not None)
        assert [row.field.name for row in form._options] == [flag for _, flag in common]


def recorded_value(option: Option) -> Any:
    return text_of(option) if option.is_expression else value_of(option)


@pytest.mark.parametrize("name", [n for n, option in TRAIN.items() if option.use is not ArgumentUse.REFUSED])
def test_a_run_records_keeps_and_resumes_with_an_option_as_declared(name: str, store) -> None:
    option = TRAIN[name]
    value = recorded_value(option)
    needed = {} if name == "max_epochs" else {"epochs": 5}
    needed |= {"resume": "digits"} if name in ("from_", "force") else {}
    if name == "form":
        with pytest.raises(OptionError, match="is for the line"):
            TrainConfig.of({"form": True, "epochs": 1})
        return
    config = TrainConfig.of({**needed, name: [value] if option.repeats and option.is_expression else value})
    plain = config.to_json()
    assert ("epochs" if name == "max_epochs" else name) in plain
    if name == "max_epochs":
        return
    record = store.create_run("digits", config=plain)
    taken_over = completed(record, {})
    assert (name in taken_over) == (option.scope is Scope.RUN and option.is_restorable), taken_over
    assert is_longer(record, TrainConfig.of({"epochs": plain.get("epochs")})) == option.sets_length or name == "epochs"
    again = changed(config, {}) if option.scope is not Scope.START else None
    if again is not None:
        assert again.to_json()[name] == plain[name]
    elif name != "from_":
        assert name not in changed(config, {}).to_json()


@pytest.mark.parametrize("name", TUNE)
def test_a_search_takes_an_option_or_says_why_not(name: str) -> None:
    option = TUNE[name]
    value = recorded_value(option)
    given = {**SEARCH, name: [value] if option.is_expression and option.repeats else value}
    space = {"hidden": "1..4"}
    if option.trial_refusal:
        with pytest.raises(OptionError, match="is not for a search") as caught:
            TuneConfig.of(given, space)
        assert option.trial_refusal in str(caught.value)
    elif option.use is ArgumentUse.REFUSED:
        return
    else:
        config = TuneConfig.of(given, space)
        own = {option.name for option in tune_options()}
        assert name in (own if name in own else config.train)


def test_one_of_the_options_that_end_training_is_needed() -> None:
    ends = [option for option in TRAIN.values() if option.ends_training]
    assert {option.group for option in ends} == {"trainer"}
    for option in ends:
        TrainConfig.of({option.name: option.parse(text_of(option))})
    with pytest.raises(OptionError, match="length of training is missing"):
        TrainConfig.of({"min_epochs": 2, "early_stop": "val_loss"})


def test_a_fit_of_several_resets_what_is_not_its_own() -> None:
    from jupyter_train.execution.fit_specs import fit_specs_of

    config = TrainConfig.of({"epochs": 1, "cv": 2, "seeds": 2, "notify": "https://example.org/hook", "detach": True})
    for part in fit_specs_of(config):
        reset = {option.name for option in own_options() if getattr(part.config, option.name) == option.default}
        assert {option.name for option in own_options() if not option.in_fits} <= reset


def _collections(tree: ast.AST) -> list[tuple[int, list[str]]]:
    """Line and texts of every list, tuple and set, and of every table of constants, in a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            items: list[Any] = node.elts
        elif isinstance(node, ast.Dict) and all(isinstance(value, ast.Constant | ast.Tuple) for value in node.values):
            items = node.keys
        else:
            continue
        texts = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        found.append((node.lineno, texts))
    return found


def lists_of_options(source: str) -> list[tuple[int, list[str]]]:
    """Collections in a source that name three options or more: they belong into fields of `Option`."""
    names = {option.name for option in EVERY.values()}
    named = [
        (line, [text for text in texts if declarations.python_name(text) in names])
        for line, texts in _collections(ast.parse(source))
    ]
    return [(line, texts) for line, texts in named if len(texts) >= 3]


def test_no_module_lists_options_outside_their_declaration() -> None:
    package = Path(jupyter_train.__file__).parent
    files = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] != "config"]
    found = {str(path.relative_to(package)): lists_of_options(path.read_text(encoding="utf-8")) for path in files}
    assert {name: lists for name, lists in found.items() if lists} == {}


def test_such_a_list_would_be_found() -> None:
    assert lists_of_options('_KEPT = frozenset({"seed", "--split", "early-stop"})') == [
        (1, ["seed", "--split", "early-stop"])
    ]
    assert lists_of_options('_USUAL = {"lr": "1e-3", "loss": ("mse",), "optimizer": "adam"}')
    assert not lists_of_options('pair = ("cv", "seeds")')
