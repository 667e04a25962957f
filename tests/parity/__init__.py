"""The lean loop beside Lightning's own: same weights, same hooks, same logged values."""
