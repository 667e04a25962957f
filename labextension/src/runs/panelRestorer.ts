/**
 * Keeps the panel of a live run in its notebook: a page that is loaded again shows it, and steers the run.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';

import { notebooksAt, putBelow, runsIn, saveQuietly, type INotebook } from '../api/notebooks.js';
import type { Bundle, ServerLink } from '../api/server.js';
import { isRecord } from '../protocol/json.js';
import { isLive } from '../protocol/status.js';
import type { IRunRow } from '../protocol/types.js';
import type { RunsModel } from './model.js';

/** Saves a notebook once its panel is in it, and puts a panel back that a page lost before. */
export class PanelKeeper {
  /** When a live run was first heard of; 0 for those that were there before the page. */
  private readonly _heardAt = new Map<string, number>();
  private readonly _openedAt = new WeakMap<INotebook, number>();
  private readonly _handled = new Set<string>();
  private _isFirst = true;

  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _model: RunsModel,
    private readonly _server: ServerLink
  ) {
    this._model.changed.connect(this._look, this);
  }

  /** A notebook has been opened, and read. */
  opened(notebook: INotebook): void {
    this._openedAt.set(notebook, performance.now());
    for (const run of runsIn(notebook)) {
      this._handled.add(stepOf('save', String(run), notebook)); // it is in the file
    }
    this._look();
  }

  /** Keeps nothing any more. */
  dispose(): void {
    this._model.changed.disconnect(this._look, this);
  }

  private _look(): void {
    const lives = this._model.all.filter(row => isLive(row.status) && row.notebook !== '');
    for (const row of lives) {
      if (!this._heardAt.has(row.key)) {
        this._heardAt.set(row.key, this._isFirst ? 0 : performance.now());
      }
      for (const notebook of notebooksAt(this._app, row.notebook)) {
        this._keep(notebook, row);
      }
    }
    this._isFirst = this._isFirst && this._model.total === 0;
  }

  private _keep(notebook: INotebook, row: IRunRow): void {
    const isIn = runsIn(notebook).has(row.key);
    const openedAt = this._openedAt.get(notebook);
    const heardAt = this._heardAt.get(row.key) ?? Infinity;
    const isLost = !isIn && openedAt !== undefined && heardAt <= openedAt;
    const step = stepOf(isIn ? 'save' : 'put back', row.key, notebook);
    if ((!isIn && !isLost) || this._handled.has(step)) {
      return;
    }
    this._handled.add(step);
    void (isIn
      ? saveQuietly(notebook, this._app.serviceManager.contents)
      : this._putBack(notebook, row, step));
  }

  private async _putBack(notebook: INotebook, row: IRunRow, step: string): Promise<void> {
    const data = await this._server.bundle(row.key);
    const isWanted = !notebook.isDisposed && !runsIn(notebook).has(row.key);
    if (!isRecord(data)) {
      this._handled.delete(step); // the server could not say: asked again at its next news
    } else if (isWanted && putBelow(notebook, row.cell, data as Bundle)) {
      this._look();
    }
  }
}

function stepOf(what: 'save' | 'put back', run: string, notebook: INotebook): string {
  return `${what} ${run} ${notebook.id}`;
}
