"""Resumes a cross-validation that was interrupted: finished fits are kept, the others are resumed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from jupyter_train.events import EventKind, RunKind
from jupyter_train.exceptions import ChangedError, RunStateError
from jupyter_train.execution.fit_specs import MAX_FITS, FitSpec
from jupyter_train.execution.preparation import PreparedRun
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.execution.start_point import config_diff, forced_messages, is_longer, lasting_options
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.runs import Event
from jupyter_train.store.takeover import take_over


def begin_attempt_at_fits(
    store: Store, spec: RunSpec, parts: Sequence[FitSpec], first: PreparedRun
) -> tuple[RunRecord, RunLock, dict[tuple[int | None, int], RunRecord]]:
    """The next attempt at a cross-validation, owned by this process, and its fits so far by fold and seed.

    Raises:
        ChangedError: Model, data or options are others, and `--force` is not given.
        RunStateError: It is no such run, is being trained, is another user's, or has nothing left to do.
    """
    old, earlier, differences = compared(store, spec, parts, first)
    left = [part for part in parts if not is_over(earlier.get(part.place), part)]
    record, lock = take_over(store, old.key)
    try:
        lines = [(EventKind.RESUMED, f"attempt {record.attempt} resumes {len(left)} of {len(parts)} fits")]
        lines += [(EventKind.WARNING, text) for text in forced_messages(differences)]
        now = time.time()
        store.add_events(record.key, [Event(now, None, kind, text, {}) for kind, text in lines], record.attempt)
        store.update(record.key, record.attempt, config=lasting_options(record, spec))
    except BaseException:
        lock.release()
        raise
    return store.get(record.key), lock, earlier


def compared(
    store: Store, spec: RunSpec, parts: Sequence[FitSpec], first: PreparedRun
) -> tuple[RunRecord, dict[tuple[int | None, int], RunRecord], list[str]]:
    """The run to be resumed, its fits so far, and the differences that `--force` overrules.

    Raises:
        ChangedError: Model, data or options are others, and `--force` is not given.
        RunStateError: It is no such run, or has nothing left to do.
    """
    old = store.find(str(spec.config.resume))
    if old.kind != RunKind.CROSS_VALIDATION:
        raise RunStateError(f"`{old.ref}` is one fit, not several; resume it without `--cv` and `--seeds`")
    earlier = _fits_of(store, old)
    differences = _differences(old, earlier, spec, first)
    if all(is_over(earlier.get(part.place), part) for part in parts):
        raise RunStateError(
            f"`{old.ref}` has finished, there is nothing left to do; make its fits longer: `--epochs N`"
        )
    return old, earlier, differences


def is_over(fit: RunRecord | None, part: FitSpec) -> bool:
    """Whether nothing is left to do of a part; None where it has not begun."""
    return fit is not None and fit.status is RunStatus.FINISHED and not is_longer(fit, part.config)


def _fits_of(store: Store, record: RunRecord) -> dict[tuple[int | None, int], RunRecord]:
    """The newest fit of each fold and seed that had begun."""
    fits: dict[tuple[int | None, int], RunRecord] = {}
    for fit in store.list_runs(MAX_FITS, parent=record.key):
        if fit.started_at is not None and "seed" in fit.config:
            fits.setdefault((fit.config.get("fold"), int(fit.config["seed"])), fit)
    return fits


def _differences(old: RunRecord, earlier: dict[Any, RunRecord], spec: RunSpec, first: PreparedRun) -> list[str]:
    """Other options, data or sources, that `--force` overrules; the fits themselves are compared as they are resumed.

    Raises:
        ChangedError: They are others.
    """
    fits = list(earlier.values())
    provenance = RunFolder(fits[-1].folder).read_provenance() if fits else {}
    differences = config_diff(old, provenance, spec.config, first)
    if differences and not spec.config.force:
        listed = "\n".join(f"  {line}" for line in differences)
        raise ChangedError(
            f"`{old.ref}` cannot be resumed as the same run:\n{listed}\nUndo that, or add `--force` to resume all the "
            "same (it is recorded)"
        )
    return differences
