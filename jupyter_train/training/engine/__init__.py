"""A lean way through Lightning's epoch loop: the same hooks, values and counters, without the work nobody asked for.

Used inside `pl.Trainer.fit`, for one optimizer on one device; everything else takes Lightning's own loop (`choice.py`
says which and why). Nothing here keeps state of its own that Lightning does not know: progress counters, results and
metrics are Lightning's objects, so checkpoints and callbacks cannot tell the two apart.

Rooms: `choice` decides, `loop` goes through an epoch, `step` through a batch, whose `closure` is made of `passes` and
called by `optimizers`, `evaluation` through a validation batch; `hooks` finds what is overridden, `signature` what a
step takes, `replaced` what is not Lightning's, `ledger` is what `self.log` writes to, `transfer` brings batches.
"""

from jupyter_train.training.engine.loop import install

__all__ = ["install"]
