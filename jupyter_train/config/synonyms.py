"""Option and verb names of other tools and older Lightning releases: what to type instead."""

from __future__ import annotations

import re
from collections.abc import Container

#: What to type here, to the option's names elsewhere; `{}` is its value, or by default what follows `|`.
_LINES_BY_SYNONYM = {
    "--accelerator gpu --devices {}|1": ("gpus", "gpu", "num_gpus", "n_gpus", "ngpus", "use_gpu", "cuda", "gpu_ids"),
    "--accelerator tpu --devices {}|1": ("tpu_cores",),
    "--accelerator cpu --devices {}|2": ("num_processes", "nproc", "nproc_per_node"),
    "--accelerator cpu": ("cpu", "no_cuda"),
    "--accelerator {}|gpu": ("device", "hardware"),
    "--strategy {}|ddp": ("distributed_backend", "ddp"),
    "--precision 16-mixed": ("amp", "fp16", "half", "mixed_precision"),
    "--precision bf16-mixed": ("bf16",),
    "--lr auto": ("auto_lr_find", "lr_find"),
    "--lr {}|1e-3": ("learning_rate", "base_lr", "step_size", "alpha"),
    "--batch-size auto": ("auto_scale_batch_size",),
    "--batch-size {}|32": ("bs", "batch", "train_batch_size", "per_device_train_batch_size"),
    "--epochs {}|10": ("num_epochs", "n_epochs", "nepochs", "nb_epochs", "max_nb_epochs", "num_train_epochs"),
    "--max-steps {}|1000": ("steps", "num_steps", "n_steps", "iterations", "iters", "max_iter", "n_iter"),
    "--early-stop val_loss:{}|3": ("patience", "early_stopping_patience", "n_iter_no_change"),
    "--split {}|0.2": ("val_split", "validation_split", "validation_fraction", "val_size", "test_size", "test_split"),
    "--cv {}|5": ("folds", "n_folds", "kfold", "k_fold", "n_splits", "cross_validation"),
    "--seed {}|1": ("random_state", "random_seed", "manual_seed", "rng"),
    "--gradient-clip-val {}|1.0": ("grad_clip", "clip_grad", "gradient_clip", "clip", "max_grad_norm", "clipnorm"),
    "--accumulate-grad-batches {}|4": ("grad_accum", "gradient_accumulation_steps", "accumulate"),
    "--monitor {}|val_loss": ("metric", "metric_for_best_model", "score", "scoring"),
    "--loss {}|cross_entropy": ("criterion", "loss_fn", "loss_function", "objective_function"),
    "--optimizer {}|adam": ("optim", "opt", "solver"),
    "--target {}|COLUMN": ("label", "labels", "label_column", "target_column", "y"),
    "--resume RUN": ("resume_from_checkpoint", "ckpt_path", "checkpoint_path", "warm_start"),
    "--wandb={}|PROJECT": ("project", "wandb_project"),
    "--name {}|NAME": ("run_name", "experiment_name", "study_name", "title"),
    "--tag {}|TAG": ("tags", "label_tags"),
    "--note {}|TEXT": ("notes", "description", "comment", "message"),
    "--detach": ("background", "bg", "nohup"),
    "--quiet": ("silent", "no_progress", "no_progress_bar", "progress_bar_refresh_rate"),
    "--trials {}|50": ("n_trials", "num_trials", "max_trials", "num_samples", "max_evals"),
    "--parallel {}|2": ("n_jobs", "jobs", "concurrency", "max_concurrent_trials"),
    "--prune {}|asha": ("pruner", "pruning"),
    "--maximize {}|val_acc": ("direction", "objective"),
}
_LINE_OF = {name: typed for typed, names in _LINES_BY_SYNONYM.items() for name in names}
#: Settings elsewhere that are no option here.
_ADVICE = {
    "num_workers": "workers belong to a loader, `DataLoader(..., num_workers=2)`; `--tune-loader` measures how many",
    "workers": "workers belong to a loader, `DataLoader(..., num_workers=2)`; `--tune-loader` measures how many",
    "shuffle": "arrays and Datasets are shuffled for training, and a DataLoader is used as it is",
    "weight_decay": "it belongs to the optimizer: `--optimizer functools.partial(torch.optim.AdamW,weight_decay=0.01)`",
    "momentum": "it belongs to the optimizer: `--optimizer functools.partial(torch.optim.SGD,momentum=0.9)`",
    "verbose": "the panel shows progress, and `run.log` what Lightning says",
}
#: Names of verbs for runs elsewhere, to the verb here.
VERB_SYNONYMS = {
    **dict.fromkeys(("delete", "del", "remove", "erase", "drop", "destroy", "purge"), "rm"),
    **dict.fromkeys(("ls", "all", "ps", "status", "history", "table"), "list"),
    **dict.fromkeys(("open", "view", "display", "plot", "info", "describe", "get", "inspect", "log", "logs"), "show"),
    **dict.fromkeys(("watch", "follow", "tail", "join"), "attach"),
    **dict.fromkeys(("diff", "overlay", "versus", "vs"), "compare"),
    **dict.fromkeys(("comment", "annotate", "notes", "message"), "note"),
    **dict.fromkeys(("clean", "cleanup", "prune", "vacuum", "gc-all"), "gc"),
    **dict.fromkeys(("kill", "cancel", "end", "abort", "terminate", "quit"), "stop"),
    **dict.fromkeys(("continue", "restart", "unpause", "go-on"), "resume"),
    **dict.fromkeys(("hold", "suspend", "wait"), "pause"),
    **dict.fromkeys(("save", "snapshot", "ckpt"), "checkpoint"),
    **dict.fromkeys(("evaluate", "val", "eval"), "validate"),
    **dict.fromkeys(("lr", "set_lr", "learning-rate"), "set-lr"),
    **dict.fromkeys(("epochs", "set-epochs", "set_max_epochs", "extend"), "set-max-epochs"),
    **dict.fromkeys(("patience", "set_patience"), "set-patience"),
    **dict.fromkeys(("enqueue", "add_trial", "try"), "add-trial"),
}
_OFF = ("0", "false", "False", "none", "None")


def suggestion_for(name: str, value: object, known: Container[str]) -> str:
    """What to type for an unknown option: `` write `--accelerator gpu --devices 1` ``; empty for no suggestion.

    Args:
        name: The option's name elsewhere, with underscores.
        value: Its value; None if it had none.
        known: The declared options.
    """
    name = name.lower().strip("_")
    if name in _ADVICE:
        return _ADVICE[name]
    typed, _, usual = _LINE_OF.get(name, "").partition("|")
    if "devices" in typed and value is not None and str(value) in _OFF:
        typed = "--accelerator cpu"
    if typed.startswith("--accelerator") and "trials" in known:
        typed = typed.partition(" --devices")[0]  # a trial has one device
    flag = re.match(r"--[a-z-]+", typed)
    if flag is None or flag[0].removeprefix("--").replace("-", "_") not in known:
        return ""
    text = "" if value is None or isinstance(value, bool) else str(value)
    return f"write `{typed.format(text if _is_word(text) else usual)}`"


def _is_word(text: str) -> bool:
    return re.fullmatch(r"[\w.,+-]{1,40}", text) is not None
