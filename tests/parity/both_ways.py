"""Carries a case out with Lightning's own loop, and with the lean one."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytorch_lightning as pl
import torch

from jupyter_train.training import engine
from tests.parity.cases import Case
from tests.parity.spying import Book, Journal, spied, spy, told

USUAL = {
    "max_epochs": 3,
    "enable_checkpointing": False,
    "num_sanity_val_steps": 0,
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "log_every_n_steps": 1,
}


def carry_out(case: Case, is_lean: bool, watched: str = "") -> dict[str, Any]:
    """Everything that must not depend on the loop.

    Args:
        case: What is trained.
        is_lean: Whether with the lean loop.
        watched: `callbacks` or `all`: whose hooks are noted.
    """
    journal, book, reasons = Journal(), Book(), []
    pl.seed_everything(11, verbose=False)
    kind = spied(case.model, journal) if watched == "all" else case.model
    module = kind()
    callbacks = case.callbacks()
    options = USUAL | case.options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(**options, logger=book, callbacks=[*callbacks, *([spy(journal)] if watched else [])])
        if is_lean:
            engine.install(trainer, reasons.append)
        given = torch.compile(module, backend="eager") if case.compiled else module
        trainer.fit(given, **case.data(), ckpt_path=case.resumes, weights_only=False if case.resumes else None)
    optimizers = [one.state_dict() for one in trainer.optimizers]
    return {
        "weights": told(module.state_dict()),
        "optimizers": told(optimizers),
        "rates": [[group["lr"] for group in one.param_groups] for one in trainer.optimizers],
        "gradients": told({name: one.grad for name, one in module.named_parameters()}),
        "schedules": told([config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]),
        "rows": book.rows,
        "hooks": list(journal),
        "callback": told(trainer.callback_metrics),
        "logged": told(trainer.logged_metrics),
        "bar": told(trainer.progress_bar_metrics),
        "loops": copy.deepcopy(trainer.fit_loop.state_dict()),
        "random": told(torch.get_rng_state()),
        "stopped": trainer.should_stop,
    } | ({"why": reasons} if is_lean else {})


def attempt(case: Case, is_lean: bool, watched: str = "") -> dict[str, Any]:
    """The same, or the error that ended it."""
    try:
        return carry_out(case, is_lean, watched)
    except Exception as err:  # noqa: BLE001  what stock refuses is refused alike
        return {"error": f"{type(err).__name__}: {err}"}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What of two ways is not the same; of hooks and rows the first place."""
    found = []
    for name in sorted({*one, *other} - {"why"}):
        if one.get(name) == other.get(name):
            continue
        if name not in one or name not in other:
            found.append(f"{name}: {one.get(name)} / {other.get(name)}")
            continue
        if isinstance(one[name], list):
            place = next((i for i, (a, b) in enumerate(zip(one[name], other[name], strict=False)) if a != b), None)
            found.append(f"{name}[{place}]: {_cut(one[name], place)} / {_cut(other[name], place)}")
        else:
            found.append(f"{name}: {one[name]} / {other[name]}")
    return found


def _cut(items: list[Any], place: int | None) -> str:
    return f"{len(items)} items" if place is None else str(items[place])
