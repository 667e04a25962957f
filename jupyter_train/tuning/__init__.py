"""Hyperparameter search: Optuna asks and is told, each trial is a Run."""
