"""Faults injected from outside: kills at random moments."""
