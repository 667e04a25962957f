"""What a fit needs besides Lightning's own checkpoint to resume exactly: random state, seeds, source."""
