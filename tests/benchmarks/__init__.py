"""Measurements, never run as tests: `python -m tests.benchmarks [NAME ...]`."""
