"""Options that a run and a search have in common differ only in their help."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from jupyter_train.config import option_table, shared_options, tune
from jupyter_train.config.options import Scope

SHARED = ("detach", "yes", "quiet", "notify")


@pytest.mark.parametrize("name", SHARED)
def test_it_is_a_function_here_and_an_option_of_both(name: str) -> None:
    assert callable(getattr(shared_options, name))
    of_run = option_table.options_by_name()[name]
    of_search = {option.name: option for option in tune.tune_options()}[name]
    own: dict[str, Any] = {
        "help": "",
        "trial_refusal": "",
        "form_order": None,
        "search_form_order": None,
        "in_fits": True,
    }
    assert dataclasses.replace(of_run, **own) == dataclasses.replace(of_search, **own)


@pytest.mark.parametrize("name", SHARED)
def test_it_holds_for_one_attempt_and_decides_nothing_about_weights(name: str) -> None:
    option = option_table.options_by_name()[name]
    assert (option.scope, option.affects_weights) == (Scope.ATTEMPT, False)


@pytest.mark.parametrize("name", ["detach", "yes", "quiet"])
def test_a_flag_stands_alone_and_is_off_where_it_is_not_given(name: str) -> None:
    option = option_table.options_by_name()[name]
    assert (option.takes, option.default, option.bare) == ((bool,), False, True)


def test_where_to_notify_is_checked_and_kept_secret() -> None:
    option = option_table.options_by_name()["notify"]
    assert option.is_secret
    assert option.default is None
    assert option.check is not None
    with pytest.raises(ValueError, match=r"^a shell command, or a URL such as"):
        option.check("ftp://example.org")
