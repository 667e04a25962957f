"""Suggestions for attributes that other tools name differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import did_you_mean

#: Attribute of a run, to its names in other tools.
_SYNONYMS_OF_RUN = {
    "run.show()": ("plot", "display", "panel", "view", "figure", "plot_metrics", "plot_history"),
    "run.save_curves('curves.png')": ("savefig", "save_figure", "save_plot", "to_png"),
    "run.metrics": (
        "history",
        "logs",
        "logged_metrics",
        "callback_metrics",
        "results",
        "df",
        "dataframe",
        "to_df",
        "to_pandas",
        "scan_history",
        "curves",
        "losses",
        "log_history",
        "cv_results_",
    ),
    "run.log": ("output", "stdout", "logfile", "traceback", "error"),
    "run.best": ("best_score", "best_score_", "best_epoch", "best_value", "best_metric", "best_metrics", "score"),
    "run.last": ("summary", "final", "latest", "last_metrics", "progress_bar_metrics"),
    "run.config": ("params", "hparams", "hyperparameters", "options", "args", "settings", "arguments"),
    "run.model()": ("best_model", "net", "module", "estimator", "best_estimator_", "lightning_module", "network"),
    "run.checkpoint": ("checkpoint_path", "ckpt_path", "best_model_path", "best_checkpoint", "checkpoints"),
    "run.load_into(model)": ("load", "load_weights", "load_state_dict", "restore"),
    "run.export('model')": ("save", "save_model", "save_checkpoint", "to_onnx", "save_pretrained", "dump"),
    "run.test()": ("evaluate", "eval", "test_metrics"),
    "run.predict(X)": ("predict_proba", "transform", "inference"),
    "run.resume()": ("fit", "train", "restart", "go_on", "continue_", "rerun"),
    "run.stop()": ("cancel", "kill", "terminate", "abort", "finish", "end", "interrupt"),
    "run.wait()": ("join", "result"),
    "run.status": ("state", "is_alive", "done", "is_running", "stage"),
    "run.ref": ("name", "title", "short_name", "run_name"),
    "run.key": ("id", "run_id", "uuid", "uid"),
    "run.folder": ("path", "dir", "directory", "log_dir", "logdir", "save_dir", "run_dir"),
    "run.notes": ("note", "description", "comment"),
    "run.tags": ("tag", "labels"),
    "run.set_lr(1e-4)": ("lr", "learning_rate"),
    "run.children": ("trials", "fits", "folds", "runs"),
    "run.record.duration_s": ("duration", "runtime", "elapsed", "took", "seconds"),
    "%runs rm {ref}": ("delete", "remove", "rm", "destroy"),
    "%runs compare {ref} OTHER": ("compare",),
}
#: The same for a study, which take precedence.
_SYNONYMS_OF_STUDY = {
    "study.trials": ("trials_dataframe", "history", "results", "df", "dataframe", "runs", "results_df", "get_trials"),
    "study.best": ("best_trial", "best_result", "best_run", "best_config"),
    "study.best.params": ("best_params", "best_params_", "best_hparams"),
    "study.best.value": ("best_value", "best_score", "best_score_"),
    "study.best.model()": ("best_model", "best_estimator_"),
    "study.optuna.best_trials": ("best_trials", "pareto_front", "pareto"),
    "study.importance()": ("importances", "param_importances", "get_param_importances", "feature_importances_"),
    "study.add_trial(lr=1e-3)": ("enqueue_trial", "enqueue"),
    "study.resume(trials=100)": ("optimize", "run", "search", "fit", "tune"),
    "study.config['space']": ("space", "search_space", "distributions"),
    "study.promote()": ("best_line", "train_line"),
}
_RUN_HINTS = {name: written for written, names in _SYNONYMS_OF_RUN.items() for name in names}
_STUDY_HINTS = {name: written for written, names in _SYNONYMS_OF_STUDY.items() for name in names}


class WithAttributeHints:
    """A handle whose missing attributes raise with a suggestion."""

    _what = "run"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"`{type(self).__name__}` has no `{name}`", name=name, obj=self)
            if hasattr(type(self), name):  # its property raised AttributeError: raise that again
                return object.__getattribute__(self, name)
            raise AttributeError(f"a {self._what} has no `{name}`.{self._hint_for(name)}")

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"a {self._what} keeps no `{name}`.{self._hint_for(name)}")
        super().__setattr__(name, value)

    def _hint_for(self, name: str) -> str:
        written = (_STUDY_HINTS.get(name) if self._what == "study" else None) or _RUN_HINTS.get(name)
        if written is not None:
            ref = getattr(self, "ref", "RUN") if "{ref}" in written else ""
            return f" Write `{written.format(ref=ref).replace('run.', self._what + '.')}`"
        return did_you_mean(name, [attribute for attribute in dir(type(self)) if not attribute.startswith("_")])
