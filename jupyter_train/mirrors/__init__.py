"""Mirrors of a run in trackers: each in a process of its own, so that it never slows or stops training."""
