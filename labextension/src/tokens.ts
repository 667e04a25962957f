/**
 * The ids of commands: of the application, and of a run.
 */

/** Commands of the application. */
export const CommandIds = {
  /** Adds a cell with the form of `%train`. */
  openForm: 'jupyter-train:open-form',
  /** Shows the sidebar of runs. */
  showRuns: 'jupyter-train:show-runs',
  /** JupyterLab's own, which opens a document. */
  openDocument: 'docmanager:open'
} as const;

/** Commands that a run takes while it trains; the same as in `jupyter_train.config.commands`. */
export const RunCommands = {
  pause: 'pause',
  resume: 'resume',
  stop: 'stop',
  checkpoint: 'checkpoint',
  setLr: 'set_lr',
  addTrial: 'add_trial',
  narrow: 'narrow'
} as const;

/** A command of a run. */
export type RunCommand = (typeof RunCommands)[keyof typeof RunCommands];
