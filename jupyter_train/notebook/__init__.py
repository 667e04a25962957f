"""Retraining a notebook with papermill, and the provenance of runs in a notebook.

`retrain` is the way through: it reads (`loading`), checks (`parameters`, `output`) and executes with the `engine`,
whose `client` interrupts cells; `execution` records it as a run. papermill finds the engine through `entry_point`.
"""
