"""Names of the notebook at the end of an expression."""

from __future__ import annotations

import pytest

from jupyter_train.magics.name_completion import names_for


@pytest.fixture
def notebook(shell):
    shell.user_ns.update(bigger=1, big_net=2, _bits=3, other=4)
    return shell


@pytest.mark.parametrize(
    ("word", "names", "prefix"),
    [
        ("bi", {"bigger", "big_net"}, "bi"),
        ("(bi", {"bigger", "big_net"}, "bi"),
        ("Net(lr=bi", {"bigger", "big_net"}, "bi"),
        ("[1, big_", {"big_net"}, "big_"),
        ("other", set(), "other"),  # it is complete
        ("_b", {"_bits"}, "_b"),
        ("zz", set(), "zz"),
        ("bigger.x", set(), "bigger.x"),  # IPython completes attributes
        ("3", set(), "3"),
        ("", set(), ""),
    ],
)
def test_a_name_that_has_begun_is_completed(notebook, word: str, names: set[str], prefix: str) -> None:
    found, replaced = names_for(word)
    assert (set(found), replaced) == (names, prefix)


def test_names_that_ipython_hides_are_not_offered(notebook) -> None:
    assert "In" in notebook.user_ns_hidden
    assert names_for("I")[0] == []
