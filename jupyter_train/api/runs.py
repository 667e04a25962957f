"""Functions over the runs of the store: list, find, attach, resume, compare, remove."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.config import tune_options_by_name
from jupyter_train.config.bounds import shown
from jupyter_train.config.option_table import option_values
from jupyter_train.events import RunKind
from jupyter_train.exceptions import UsageError
from jupyter_train.handle import Run, current_cell_execution
from jupyter_train.handle.study import CrossValidation, Study
from jupyter_train.handle.tables import Comparison, RunTable
from jupyter_train.panel.display import current_display, kernel_id
from jupyter_train.panel.live import LivePanel
from jupyter_train.run import RunStatus
from jupyter_train.store import open_store
from jupyter_train.store.paths import user_name
from jupyter_train.store.trust import remove_leftovers

if TYPE_CHECKING:
    from jupyter_train.store import Store


_MAX_RUNS = 100_000
#: Handle class of runs with children, by kind.
HANDLES: dict[str, type[Run]] = {RunKind.TUNE: Study, RunKind.CROSS_VALIDATION: CrossValidation}


def opened_store() -> Store:
    """The store; its database library is imported here, after the panel first appears."""
    return open_store()


def runs(limit: int = 50) -> RunTable:
    """The newest runs of the store.

    Args:
        limit: Maximum number of rows.

    Raises:
        UsageError: `limit` is no such number.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MAX_RUNS:
        raise UsageError(f"`limit={shown(limit)}`: expected a whole number from 1 to {_MAX_RUNS:,}")
    store = opened_store()
    return RunTable(store, store.list_runs(limit))


def get_run(word: str) -> Run:
    """The run with this ref (`digits-k3f9`), code, name or key; a trial by `digits-k3f9/17`.

    Raises:
        RunNotFoundError: None matches.
        AmbiguousRunError: Several match.
    """
    store = opened_store()
    record = store.find(word)
    return HANDLES.get(record.kind, Run)(store, record.key)


def attach(word: str) -> Run:
    """The run that `get_run` finds; its panel is live here until the run ends.

    Raises:
        RunNotFoundError: None matches.
        AmbiguousRunError: Several match.
    """
    run = get_run(word)
    if not (run.status.is_live or run.status is RunStatus.QUEUED):
        return run
    if not kernel_id():
        return run.wait()
    panel = LivePanel(current_display())
    panel.loading(f"attaching to {run.ref} …")
    panel.follow_from_afar(opened_store(), run.key)
    return Run(opened_store(), run.key, shown_in=current_cell_execution())


def compare(*words: str | Run) -> Comparison:
    """Runs overlaid.

    Raises:
        UsageError: Fewer than two runs are given.
    """
    if len(words) < 2:
        raise UsageError("comparing takes two runs or more: `%runs compare A B`")
    store = opened_store()
    handles = [word if isinstance(word, Run) else Run(store, store.find(word).key) for word in words]
    return Comparison(store, handles)


def remove(*words: str) -> list[str]:
    """Deletes runs, their folders and events; returns their refs.

    A folder that its run was not recorded in is kept, with a warning.

    Raises:
        RunStateError: A run is alive or another user's; those before it are deleted.
    """
    store = opened_store()
    records = [store.find(word) for word in words]
    for record in records:
        for left in store.delete_run(record.key):
            warnings.warn(left, stacklevel=2)
    return [record.ref for record in records]


def collect_garbage() -> dict[str, int]:
    """Removes what dead runs left behind: temporary files, and rows whose folder is gone.

    Returns:
        `files` removed, `bytes` freed, `rows` removed.
    """
    store = opened_store()
    freed = {"files": 0, "bytes": 0, "rows": 0}
    for record in store.list_runs(limit=1_000_000, has_parts=True):
        if store.status_of(record).is_live or record.user != store_user():
            continue
        folder = Path(record.folder)
        if not folder.is_dir():
            store.delete_run(record.key)
            freed["rows"] += 1
            continue
        for size in remove_leftovers(store, record):
            freed["files"] += 1
            freed["bytes"] += size
    return freed


def store_user() -> str:
    """The user whose runs may be changed here."""
    return user_name()


def resume(word: str | Run, **changes: Any) -> Run | str:
    """Resumes a run: after a pause, or, when it has ended or died, as its next attempt.

    Args:
        word: The run.
        **changes: Options to change from here on, such as `epochs`; `from_` names a checkpoint.

    Raises:
        RunStateError: This process cannot start it; the message says which notebook and cell can.
    """
    return (word if isinstance(word, Run) else get_run(word)).resume(**changes)


def resume_as_typed(word: str, words: Sequence[str]) -> Run | str:
    """Resumes a run with changes as typed: `epochs=30`; of a study `trials=100`.

    Raises:
        OptionError: A word is no option, or its value does not fit.
        RunStateError: This process cannot start it.
    """
    run = get_run(word)
    options = tune_options_by_name() if isinstance(run, Study) else None
    return run.resume(**option_values(words, options))
