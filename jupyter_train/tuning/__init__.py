"""Hyperparameter search: Optuna suggests and receives results, each trial is a Run."""
