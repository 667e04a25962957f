"""The direction in which a metric improves, by its name."""

from __future__ import annotations

import re
from typing import Literal

Direction = Literal["min", "max"]

#: Word in a metric's name to direction; the last such word decides.
DIRECTIONS: dict[str, Direction] = {
    **dict.fromkeys(
        [
            "loss",
            "error",
            "err",
            "mae",
            "mse",
            "rmse",
            "mape",
            "smape",
            "msle",
            "nll",
            "bpd",
            "bpc",
            "ppl",
            "perplexity",
            "cer",
            "wer",
            "ter",
            "fid",
            "kid",
            "brier",
            "logloss",
            "crossentropy",
            "ce",
            "kl",
            "divergence",
            "eer",
            "hamming",
            "hausdorff",
            "calibration",
            "ece",
            "lpips",
        ],
        "min",
    ),
    **dict.fromkeys(
        [
            "acc",
            "accuracy",
            "f1",
            "fbeta",
            "f1score",
            "precision",
            "recall",
            "auc",
            "auroc",
            "roc",
            "auprc",
            "ap",
            "map",
            "ndcg",
            "mrr",
            "iou",
            "jaccard",
            "dice",
            "r2",
            "bleu",
            "rouge",
            "meteor",
            "psnr",
            "ssim",
            "mcc",
            "kappa",
            "specificity",
            "sensitivity",
            "reward",
            "return",
            "score",
            "top1",
            "top5",
            "spearman",
            "pearson",
            "correlation",
            "elbo",
            "likelihood",
            "hits",
        ],
        "max",
    ),
}


def direction_of(metric: str) -> Direction | None:
    """The direction in which `metric` improves, or None where its name has no known word.

    `val_acc` gives `max`, `val/f1_loss` gives `min` (the last known word decides).
    """
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", metric).lower())
    for word in reversed(words):
        if word in DIRECTIONS:
            return DIRECTIONS[word]
    return None
