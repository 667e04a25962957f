"""A run's curves: packed blocks with a min/max pyramid, in the run folder's own SQLite file."""
