"""The lean loop: Lightning's epoch loop with the same hooks, values and counters, without work that has no effect.

Used inside `pl.Trainer.fit`, for one optimizer on one device; every other fit takes Lightning's own loop
(`eligibility` says which and why). Progress counters, results and metrics stay Lightning's objects, so checkpoints
and callbacks see no difference.

Modules: `eligibility` decides, `loop` runs an epoch, `step` a batch, whose `closure` is made of the parts in
`optimization` and called by `optimizers`, `evaluation` a validation batch; `hooks` finds overridden hooks,
`signature` the arguments of a step, `patch_detection` functions replaced by others, `log_cache` is what `self.log`
writes to, `transfer` moves batches.
"""

from jupyter_train.training.engine.loop import install, register

__all__ = ["install", "register"]
