"""Numbers that make processes, files or memory: bounded by the machine, refused in one line before anything starts."""

from __future__ import annotations

import os

import pytest

from jupyter_train import get_run, train, tune
from jupyter_train import runs as listed
from jupyter_train.api.train import train_cli_file
from jupyter_train.cli import main
from jupyter_train.config import TrainConfig, TuneConfig, machine, options_by_name, tune_options_by_name
from jupyter_train.config.bounds import shown
from jupyter_train.config.commands import command
from jupyter_train.config.search_space import MAX_CHOICES
from jupyter_train.exceptions import CommandError, JupyterTrainError, OptionError, SpaceError, UsageError
from jupyter_train.magics import cell_body, line
from jupyter_train.magics.namespace import Namespace
from jupyter_train.store import open_store
from tests.models import DigitsData, LitDigits, digits


def short(value: object) -> str:
    """A name for a case: Python does not write the longest numbers."""
    return type(value).__name__ if isinstance(value, list) else shown(value)


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
MOST = machine.max_processes()
TOO_MANY = {
    "devices": [3000, "3000", MOST + 1, list(range(MOST + 1)), ",".join(map(str, range(MOST + 1))), 10**9, 10**4000],
    "cv": [1001, "1001:stratified", "9" * 4000, 10**4000],
    "seeds": [1001, 10**4000],
    "keep_best": [1001],
}
USUAL = {"epochs": 1, "quiet": True}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in TOO_MANY.items() for value in values], ids=short
)
def test_more_than_the_machine_is_for_is_refused_in_one_line(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=f"`--{name.replace('_', '-')} .*expected .*at most") as caught:
        train(LitDigits(), digits(64), **USUAL, **{name: value})
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)
    assert open_store().list_runs() == []


TOO_LONG = {
    "note": "x" * 100_001,
    "tag": ["x" * 100_001],
    "early_stop": "x" * 10**6,
    "notify": "x" * 10**6,
    "monitor": "x" * 10**6,
    "target": "x" * 10**6,
    "resume": "x" * 10**6,
    "split": "9" * 10**6,
}


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_text_has_a_bound_and_is_not_echoed_whole(name: str) -> None:
    with pytest.raises(JupyterTrainError, match="expected" if name != "resume" else "no run is called") as caught:
        train(LitDigits(), digits(64), **USUAL, **{name: TOO_LONG[name]})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "ask",
    [
        lambda: get_run("x" * 10**6),
        lambda: command("x" * 10**6, {}),
        lambda: TrainConfig.of({"x" * 10**6: 1}),
        lambda: TuneConfig.of({"y" * 10**6: 1}, {}),
        lambda: line.parse("--" + "x" * 10**6, options_by_name()),
        lambda: line.parse("'" + "x" * 10**6, options_by_name()),
    ],
)
def test_what_is_long_is_not_given_back(ask) -> None:
    with pytest.raises(JupyterTrainError) as caught:
        ask()
    assert len(str(caught.value)) < 1000


def test_an_option_is_given_so_many_times_at_most() -> None:
    for config, given in ((TrainConfig, {"tag": ["a"] * 10_001}), (TuneConfig, {"enqueue": ["lr=1"] * 10_001})):
        with pytest.raises(OptionError, match=r"10,001 times: expected at most 10,000"):
            config.of(given) if config is TrainConfig else config.of(given, {})
    assert TrainConfig.of({"epochs": 1, "tag": ["a"] * 100}).tag == ["a"] * 100


@pytest.mark.parametrize("shares", ["nan/nan", "nan", [float("nan"), 1.0], "inf/-inf", "1/0/nan"])
def test_shares_that_are_no_numbers_are_refused(shares: object) -> None:
    with pytest.raises(OptionError, match="shares that add up to 1"):
        TrainConfig.of({"epochs": 1, "split": shares})


def test_who_means_it_says_so_and_has_a_bound_too() -> None:
    most = machine.max_processes_oversubscribed()
    assert TrainConfig.of({"epochs": 1, "devices": most, "oversubscribe": True}).trainer["devices"] == most
    assert TrainConfig.of({"epochs": 1, "cv": 2000, "oversubscribe": True}).cv == 2000
    for given in (
        {"devices": most + 1},
        {"devices": 3000},
        {"cv": 10_001},
        {"seeds": 10_001},
        {"cv": 200, "seeds": 51},
    ):
        with pytest.raises(OptionError, match="expected at most"):
            TrainConfig.of({"epochs": 1, "oversubscribe": True, **given})
    with pytest.raises(OptionError, match="are 1,100 fits; expected at most 1,000"):
        TrainConfig.of({"epochs": 1, "cv": 100, "seeds": 11})


@pytest.mark.parametrize("devices", [1, MOST, str(MOST), -1, "-1", "auto", [0, 1], "0,1", "[0,1]", "0", [3]])
def test_every_usual_form_of_devices_is_taken(devices: object) -> None:
    assert TrainConfig.of({"epochs": 1, "devices": devices}).trainer["devices"] == devices


@pytest.mark.parametrize(
    "given",
    [
        {"parallel": MOST + 1},
        {"parallel": 10**9},
        {"trials": 10**6},
        {"trials": 10**4000},
        {"cv": 5000},
        {"timeout": "9" * 4000},
    ],
    ids=short,
)
def test_a_search_is_bounded_in_the_same_way(given: dict[str, object]) -> None:
    usual = {"trials": 2, "minimize": "val_loss"}
    with pytest.raises(OptionError, match="expected"):
        tune(LitDigits, digits(64), space={"lr": "1e-3..1e-1"}, quiet=True, **usual | given)
    assert open_store().list_runs() == []


def test_a_search_may_oversubscribe_and_keeps_that_when_it_resumes() -> None:
    config = TuneConfig.of(
        {"trials": 2, "minimize": "val_loss", "parallel": MOST + 1, "oversubscribe": True, "epochs": 1},
        {"lr": "1e-3..1e-1"},
    )
    assert config.parallel == MOST + 1
    assert config.to_json()["train"] == {"oversubscribe": True, "epochs": 1}
    assert config.trial_config({}).oversubscribe


def test_processes_are_counted_however_they_were_requested() -> None:
    """By a file's list, a strategy or a plugin: once `pl.Trainer` knows how many there are."""
    from jupyter_train.training.trainer import check_arguments

    config = TrainConfig.of({"epochs": 1, "accelerator": "cpu"})
    config.trainer["devices"] = MOST + 1
    with pytest.raises(OptionError, match=f"{MOST + 1} processes would train together: expected at most {MOST} "):
        check_arguments(config)
    config.oversubscribe = True
    assert check_arguments(config) == MOST + 1


def test_a_file_of_lightning_cli_is_bounded_too() -> None:
    with pytest.raises(OptionError, match="`--devices 3000`: expected at most"):
        train_cli_file({"trainer": {"devices": 3000, "accelerator": "cpu", "max_epochs": 1}}, LitDigits, DigitsData)
    assert open_store().list_runs() == []


def test_lines_forms_and_yaml_are_bounded_by_the_same_check() -> None:
    for known, flag in ((options_by_name(), "devices"), (tune_options_by_name(), "parallel")):
        [given] = line.parse(f"model data --{flag} 3000", known).options
        with pytest.raises(OptionError, match="expected at most"):
            given.option.parse(given.text)


def test_processors_are_those_this_process_may_use(tmp_path, monkeypatch) -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert machine.cores() == 1
        assert machine.max_processes() >= 2
    finally:
        os.sched_setaffinity(0, allowed)
    monkeypatch.setattr(machine, "_QUOTA", tmp_path / "cpu.max")
    for quota, count in (("150000 100000", min(2, len(allowed))), ("100000 100000", 1), ("max 100000", len(allowed))):
        (tmp_path / "cpu.max").write_text(quota)
        assert machine.cores() == count


@pytest.mark.timeout(20)
@pytest.mark.parametrize("given", ["|".join(map(str, range(500_000))), list(range(500_000)), "|" * 500_000], ids=short)
def test_a_space_of_very_many_choices_is_refused_at_once(given: object) -> None:
    with pytest.raises(SpaceError, match=f"`lr` has 500,00[01] choices; expected at most {MAX_CHOICES:,}"):
        tune(LitDigits, digits(64), space={"lr": given}, trials=2, minimize="val_loss", quiet=True)


@pytest.mark.timeout(20)
def test_a_long_cell_is_refused_before_it_is_read_as_yaml() -> None:
    with pytest.raises(UsageError, match=r"the cell is 3,388,\d\d\d letters long"):
        cell_body.read(f"space:\n  lr: [{','.join(map(str, range(500_000)))}]")


def test_a_grid_of_very_many_trials_is_refused_before_it_is_made() -> None:
    for space in ({"lr": "1..500000"}, {"lr": "0..1:1e-9"}, {"lr": "1..200", "hidden": "1..200"}):
        with pytest.raises(OptionError, match=r"`--sampler grid`: .*expected at most 10,000"):
            tune(LitDigits, digits(64), space=space, sampler="grid", minimize="val_loss", epochs=1, quiet=True)
    assert open_store().list_runs() == []


DEEP = [
    "[" * 1000,
    "a: " + "[" * 1000,
    "a: " + "9" * 5000,
    "a: &a [*a]",
    "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(9)),
]


@pytest.mark.parametrize("text", DEEP, ids=short)
def test_a_cell_that_cannot_be_read_is_one_clear_error(text: str) -> None:
    with pytest.raises(UsageError):
        cell_body.read(text)


@pytest.mark.parametrize("text", ["(" * 5000, "-" * 50_000 + "1", "a\0b", "9" * 5000], ids=short)
def test_an_expression_that_python_cannot_read_is_one_clear_error(text: str) -> None:
    with pytest.raises(UsageError):
        Namespace({}).check(text, "model")
    assert line.expression_in(f"{{{text}}}") is None


@pytest.mark.parametrize("value", [10**5000, 10**400, float("inf"), "9" * 5000, True], ids=short)
@pytest.mark.parametrize(
    ("verb", "name"), [("set_lr", "lr"), ("set_max_epochs", "epochs"), ("set_patience", "patience")]
)
def test_a_command_with_a_number_that_cannot_be_kept_is_refused(verb: str, name: str, value: object) -> None:
    with pytest.raises(CommandError, match="expected a") as caught:
        command(verb, {name: value})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("limit", [0, -1, 10**6, 10**4000, True, 1.5, "9"], ids=short)
def test_a_list_of_runs_has_a_bound(limit: object) -> None:
    with pytest.raises(UsageError, match="expected a whole number from 1 to 100,000"):
        listed(limit)


def test_the_shell_says_so_in_one_line_too(capsys) -> None:
    assert main(["runs", "list", "-n", "9" * 20]) == 2
    assert capsys.readouterr().err.startswith("jupyter train: `limit=99999999999999999999`: expected a whole number")


def test_a_study_resumes_within_the_same_bounds() -> None:
    record = open_store().create_run("study", kind="tune", config={"train": {}})
    with pytest.raises(JupyterTrainError, match="`--trials 200000`: expected at most 100,000 trials"):
        get_run(record.key).resume(trials=200_000)
