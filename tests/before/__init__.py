"""What an earlier release left behind, which must stay usable: a store, runs, payloads, journals, a notebook."""
