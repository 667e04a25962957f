"""Notebooks as files and as what made a run: parameters, provenance, repeating."""
