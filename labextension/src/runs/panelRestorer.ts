/**
 * Restores the panel of a live run in its notebook: a page that is loaded again shows it, and takes commands.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';

import { notebooksAt, addPanel, runsIn, saveQuietly, type INotebook } from '../api/notebooks.js';
import type { Bundle, ServerLink } from '../api/server.js';
import { isRecord } from '../protocol/json.js';
import { isLive } from '../protocol/status.js';
import type { IRunRow } from '../protocol/types.js';
import type { RunsModel } from './model.js';

/** Saves a notebook once a panel is in it, and adds a panel that an earlier page lost. */
export class PanelRestorer {
  /** When a live run was first listed; 0 for those that were listed before the page. */
  private readonly _listedAt = new Map<string, number>();
  private readonly _openedAt = new WeakMap<INotebook, number>();
  private readonly _done = new Set<string>();
  private _isFirst = true;

  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _model: RunsModel,
    private readonly _server: ServerLink
  ) {
    this._model.changed.connect(this._update, this);
  }

  /** Records that a notebook has been opened and read. */
  onOpened(notebook: INotebook): void {
    this._openedAt.set(notebook, performance.now());
    for (const run of runsIn(notebook)) {
      this._done.add(taskOf('save', String(run), notebook)); // the panel is in the file
    }
    this._update();
  }

  /** Stops restoring. */
  dispose(): void {
    this._model.changed.disconnect(this._update, this);
  }

  private _update(): void {
    const rows = this._model.all.filter(row => isLive(row.status) && row.notebook !== '');
    for (const row of rows) {
      if (!this._listedAt.has(row.key)) {
        this._listedAt.set(row.key, this._isFirst ? 0 : performance.now());
      }
      for (const notebook of notebooksAt(this._app, row.notebook)) {
        this._saveOrRestore(notebook, row);
      }
    }
    this._isFirst = this._isFirst && this._model.total === 0;
  }

  private _saveOrRestore(notebook: INotebook, row: IRunRow): void {
    const isIn = runsIn(notebook).has(row.key);
    const openedAt = this._openedAt.get(notebook);
    const listedAt = this._listedAt.get(row.key) ?? Infinity;
    const isLost = !isIn && openedAt !== undefined && listedAt <= openedAt;
    const task = taskOf(isIn ? 'save' : 'restore', row.key, notebook);
    if ((!isIn && !isLost) || this._done.has(task)) {
      return;
    }
    this._done.add(task);
    void (isIn
      ? saveQuietly(notebook, this._app.serviceManager.contents)
      : this._restore(notebook, row, task));
  }

  private async _restore(notebook: INotebook, row: IRunRow, task: string): Promise<void> {
    const data = await this._server.bundle(row.key);
    const isWanted = !notebook.isDisposed && !runsIn(notebook).has(row.key);
    if (!isRecord(data)) {
      this._done.delete(task); // the server does not know it yet: fetched again at its next message
    } else if (isWanted && addPanel(notebook, row.cell, data as Bundle)) {
      this._update();
    }
  }
}

function taskOf(kind: 'save' | 'restore', run: string, notebook: INotebook): string {
  return `${kind} ${run} ${notebook.id}`;
}
