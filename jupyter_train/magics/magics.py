"""`%train`, `%%train`, `%tune`, `%%tune`, `%runs` and `%retrain`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from IPython.core.magic import (
    Magics,
    line_cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from jupyter_train.magics.binding import binds_failed_run
from jupyter_train.magics.help import RETRAIN_HELP, RUNS_HELP, asks_for_help, show_help, train_help, tune_help
from jupyter_train.magics.namespace import Namespace


@magics_class
class TrainMagics(Magics):
    """Parse, call, show."""

    def _namespace(self, local_ns: Mapping[str, Any] | None) -> Namespace:
        """The notebook's variables; inside a function its own names before them."""
        assert self.shell is not None
        return Namespace(self.shell.user_ns, local_ns)

    @property
    def _binding(self) -> AbstractContextManager[None]:
        assert self.shell is not None
        return binds_failed_run(self.shell.user_ns)

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def train(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        """Replaced by the generated help."""
        __tracebackhide__ = True
        from jupyter_train.magics.train_request import TrainRequest

        if asks_for_help(line):
            return show_help(train_help())
        with self._binding:
            return TrainRequest(line, cell, self._namespace(local_ns)).run()

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def tune(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        """Replaced by the generated help."""
        __tracebackhide__ = True
        from jupyter_train.magics.tune_request import TuneRequest

        if asks_for_help(line):
            return show_help(tune_help())
        with self._binding:
            return TuneRequest(line, cell, self._namespace(local_ns)).run()

    @no_var_expand
    @needs_local_scope
    @line_magic
    def runs(self, line: str, local_ns: Mapping[str, Any] | None = None) -> Any:
        """Replaced by the generated help."""
        from jupyter_train.magics.runs_request import run_verb

        if asks_for_help(line):
            return show_help(RUNS_HELP)
        with self._binding:
            return run_verb(line, self._namespace(local_ns))

    @no_var_expand
    @needs_local_scope
    @line_magic
    def retrain(self, line: str, local_ns: Mapping[str, Any] | None = None) -> Any:
        """Replaced by the generated help."""
        from jupyter_train.magics.retrain_request import run_retrain

        if asks_for_help(line):
            return show_help(RETRAIN_HELP)
        with self._binding:
            return run_retrain(line, self._namespace(local_ns))


TrainMagics.train.__doc__ = train_help()
TrainMagics.tune.__doc__ = tune_help()
TrainMagics.runs.__doc__ = RUNS_HELP
TrainMagics.retrain.__doc__ = RETRAIN_HELP
