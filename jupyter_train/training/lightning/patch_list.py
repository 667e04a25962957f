"""Every method of Lightning that a run replaces, in the order in which a fit comes to them.

All names were read from the source of pytorch-lightning 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Moment(Enum):
    """What work is registered for; `PATCHES` says where and in which order each runs."""

    CALLBACKS_ATTACHED = auto()
    READ_CHECKPOINT = auto()
    MAKE_LOADER = auto()
    BEFORE_TRAIN_LOADERS = auto()
    BEFORE_VALIDATION_LOADERS = auto()
    CHECK_FIRST_BATCH = auto()
    REPORT_SAMPLE_ORDER = auto()
    RESUME_EPOCH = auto()
    RESUME_PROGRESS = auto()
    RUN_EPOCH = auto()
    RESUME_LOADERS = auto()
    PLACE_TRAIN_LOADERS = auto()
    EPOCH_READY = auto()
    BEFORE_FIRST_BATCH = auto()
    RESUME_STATE = auto()
    STEP_METRICS = auto()
    STEP_END = auto()
    END_BATCH = auto()
    AFTER_BATCH = auto()
    FIRST_BATCH_DONE = auto()
    VALIDATION_DUE = auto()
    PLACE_VALIDATION_LOADERS = auto()
    BEFORE_VALIDATION = auto()
    RUN_VALIDATION = auto()
    EVALUATION_STEP = auto()
    EPOCH_END = auto()


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One replaced method of Lightning.

    Attributes:
        owner: The object it belongs to, as an attribute path from the trainer.
        method: Its name there.
        before: Moments whose work runs before it, in this order, with its arguments.
        instead: The moment whose work runs in its place; it is called with Lightning's method, then the arguments.
        after: Moments whose work runs after it, in this order, with its arguments.
        is_temporary: True where `instead` is set for a while during a fit, by `replaced` or `replace_once`.
        reason: Why a public hook does not serve.
    """

    owner: str
    method: str
    before: tuple[Moment, ...] = ()
    instead: Moment | None = None
    after: tuple[Moment, ...] = ()
    is_temporary: bool = False
    reason: str

    @property
    def moments(self) -> tuple[Moment, ...]:
        """All of its moments."""
        return (*self.before, *(() if self.instead is None else (self.instead,)), *self.after)


#: In the order in which a fit comes to them.
PATCHES = (
    Patch(
        owner="_callback_connector",
        method="_attach_model_callbacks",
        after=(Moment.CALLBACKS_ATTACHED,),
        reason="callbacks of `configure_callbacks` are refused before Lightning calls one; it has no hook there",
    ),
    Patch(
        owner="strategy",
        method="load_checkpoint",
        instead=Moment.READ_CHECKPOINT,
        reason="a resumed fit takes the checkpoint that was verified and read, instead of reading the file again",
    ),
    Patch(
        owner="fit_loop",
        method="setup_data",
        before=(Moment.BEFORE_TRAIN_LOADERS,),
        reason="`reload_dataloaders_every_n_epochs` makes loaders again, which are then counted from the first",
    ),
    Patch(
        owner="fit_loop.epoch_loop.val_loop",
        method="setup_data",
        before=(Moment.BEFORE_VALIDATION_LOADERS,),
        reason="the same for validation",
    ),
    Patch(
        owner="strategy",
        method="process_dataloader",
        instead=Moment.MAKE_LOADER,
        reason="every loader, also of a datamodule or module, gets its seeded sample order where Lightning receives it",
    ),
    Patch(
        owner="fit_loop",
        method="on_run_start",
        before=(Moment.CHECK_FIRST_BATCH, Moment.REPORT_SAMPLE_ORDER),
        reason="loaders exist and `on_train_start` has not been called",
    ),
    Patch(
        owner="fit_loop",
        method="on_advance_start",
        before=(Moment.RESUME_EPOCH,),
        reason="a fit resumed between epochs is restored before `on_train_epoch_start`, after all loops were loaded",
    ),
    Patch(
        owner="fit_loop.epoch_loop",
        method="run",
        instead=Moment.RUN_EPOCH,
        reason="the lean loop runs the epoch",
    ),
    Patch(
        owner="fit_loop.epoch_loop",
        method="reset",
        instead=Moment.RESUME_PROGRESS,
        reason="a fit resumed inside an epoch keeps its progress: Lightning would guess where in a batch it was",
    ),
    Patch(
        owner="fit_loop.epoch_loop",
        method="on_run_start",
        before=(Moment.RESUME_LOADERS, Moment.PLACE_TRAIN_LOADERS),
        after=(Moment.EPOCH_READY, Moment.BEFORE_FIRST_BATCH, Moment.RESUME_STATE),
        reason="loaders are put in place before the epoch's iterator is made; the first batch is read after it",
    ),
    Patch(
        owner="_logger_connector",
        method="update_train_step_metrics",
        instead=Moment.STEP_METRICS,
        after=(Moment.STEP_END,),
        reason="step values are read as tensors, without a synchronisation; all hooks of the batch are over here, and "
        "Lightning has not yet decided whether to validate or stop",
    ),
    Patch(
        owner="fit_loop.epoch_loop",
        method="on_advance_end",
        instead=Moment.END_BATCH,
        after=(Moment.AFTER_BATCH, Moment.FIRST_BATCH_DONE),
        reason="the batch, its validation and its schedulers are over only here; no hook is called then",
    ),
    Patch(
        owner="fit_loop.epoch_loop",
        method="_should_check_val_fx",
        instead=Moment.VALIDATION_DUE,
        is_temporary=True,
        reason="the command `validate` makes one validation due out of turn",
    ),
    Patch(
        owner="fit_loop.epoch_loop.val_loop",
        method="run",
        before=(Moment.PLACE_VALIDATION_LOADERS, Moment.BEFORE_VALIDATION),
        instead=Moment.RUN_VALIDATION,
        reason="a checkpoint of this moment is taken before the loop resets its progress",
    ),
    Patch(
        owner="fit_loop.epoch_loop.val_loop",
        method="_evaluation_step",
        instead=Moment.EVALUATION_STEP,
        is_temporary=True,
        reason="the lean loop runs the batches of a validation",
    ),
    Patch(
        owner="fit_loop",
        method="on_advance_end",
        after=(Moment.EPOCH_END,),
        reason="the epoch is counted and its schedulers have stepped only here; `on_train_epoch_end` comes before",
    ),
)
PATCH_OF = {moment: patch for patch in PATCHES for moment in patch.moments}
