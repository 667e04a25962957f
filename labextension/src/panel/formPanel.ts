/**
 * Shows the form of `%train --form`: live widgets while its kernel lives, else the line that does the same.
 */
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Panel, Widget } from '@lumino/widgets';

import { element, setText } from './dom.js';

/** The mime type of a form. */
export const FORM_TYPE = 'application/vnd.jupyter-train.form+json';

const WIDGET_TYPE = 'application/vnd.jupyter.widget-view+json';

/** What a form needs of the notebook around it. */
export interface IFormHost {
  /** Id of the notebook's kernel; empty without one. */
  kernel(node: HTMLElement): string;
  /** A renderer of the notebook's own for widgets, with this model; null when there is none. */
  widgets(node: HTMLElement, data: IRenderMime.IMimeModel['data']): Widget | null;
  /** Adds a cell below the one that shows the form. */
  addCell(node: HTMLElement, source: string): void;
}

/** Draws `application/vnd.jupyter-train.form+json`. */
export class FormView extends Panel implements IRenderMime.IRenderer {
  private readonly _line = element('pre', 'jt-FormText');
  private _model = '';
  private _kernel = '';
  private _isTrusted = false;
  private _isLive = false;

  constructor(private readonly _host: IFormHost) {
    super();
    this.addClass('jt-FormView');
    this.addClass('jt-Colours');
    this.node.append(this._line);
  }

  /** Shows a form; further versions of the same form only change the line that is saved. */
  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const data: unknown = model.data[FORM_TYPE];
    const read = (name: string): string => {
      const found: unknown =
        typeof data === 'object' && data !== null ? Reflect.get(data, name) : '';
      return typeof found === 'string' ? found.slice(0, 10_000) : '';
    };
    setText(this._line, read('line'));
    this._model = read('model_id');
    this._kernel = read('kernel');
    this._isTrusted = model.trusted;
    if (this.isAttached) {
      this._begin();
    }
    return Promise.resolve();
  }

  protected override onAfterAttach(): void {
    this._begin();
  }

  private _begin(): void {
    const isHere = this._kernel !== '' && this._host.kernel(this.node) === this._kernel;
    if (this._isLive || !this._isTrusted || !isHere || this._model === '') {
      return;
    }
    const view = this._host.widgets(this.node, {
      [WIDGET_TYPE]: { model_id: this._model, version_major: 2, version_minor: 0 }
    });
    if (view === null) {
      return;
    }
    this._isLive = true;
    this._line.hidden = true;
    this.addWidget(view);
    const button = element('button', 'jt-Button', 'Write into the next cell');
    button.type = 'button';
    button.addEventListener('click', () =>
      this._host.addCell(this.node, this._line.textContent ?? '')
    );
    this.node.append(button);
  }
}
