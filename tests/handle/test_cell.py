"""Which execution of a cell a handle was made in."""

from __future__ import annotations

from jupyter_train.handle.cell import current_cell_execution


def test_a_cell_is_told_from_the_next_and_from_its_own_repetition(shell) -> None:
    shell.user_ns["here"] = current_cell_execution
    for cell in ("a = here(); b = here()", "c = here()", "d = here()"):
        shell.run_cell(cell, store_history=True).raise_error()
    a, b, c, d = (shell.user_ns[name] for name in "abcd")
    assert a is not None
    assert a == b
    assert len({a, c, d}) == 3
