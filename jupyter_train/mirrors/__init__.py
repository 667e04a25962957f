"""Mirrors of a run in trackers: each in a process of its own, so that it never slows or stops training.

`process` starts one; `base` has what all share. A second tracker is one module with a `Mirror`, as `wandb` is.
"""
