"""Checkpoints of a run: what is in them, how they are written and read, and which are kept."""
