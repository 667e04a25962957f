"""Callbacks that follow a fit: recorder, commands, NaN, throughput."""
