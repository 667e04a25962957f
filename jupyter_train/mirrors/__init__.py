"""Followers of the store: each in a process of its own, so that it can never slow or stop training."""
