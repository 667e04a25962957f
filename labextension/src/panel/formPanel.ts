/**
 * The form of `%train --form`: live widgets while its kernel lives, else the line that does the same.
 */
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Panel, Widget } from '@lumino/widgets';

import { asRecord, asText } from '../protocol/json.js';
import { element, setText } from './dom.js';

/** The mime type of a form. */
export const FORM_TYPE = 'application/vnd.jupyter-train.form+json';

const MAX_TEXT = 10_000;
const WIDGET_TYPE = 'application/vnd.jupyter.widget-view+json';

/** The notebook around a form. */
export interface IFormHost {
  /** Returns the id of the notebook's kernel; empty without one. */
  kernel(node: HTMLElement): string;
  /** Returns the notebook's own renderer for widgets, with this model; null when there is none. */
  widgets(node: HTMLElement, data: IRenderMime.IMimeModel['data']): Widget | null;
  /** Adds a cell below the one that shows the form. */
  addCell(node: HTMLElement, source: string): void;
}

/** The renderer of `application/vnd.jupyter-train.form+json`. */
export class FormPanel extends Panel implements IRenderMime.IRenderer {
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
    const form = asRecord(model.data[FORM_TYPE]);
    const read = (name: string): string => asText(form[name], MAX_TEXT);
    setText(this._line, read('line'));
    this._model = read('model_id');
    this._kernel = read('kernel');
    this._isTrusted = model.trusted;
    if (this.isAttached) {
      this._showWidgets();
    }
    return Promise.resolve();
  }

  protected override onAfterAttach(): void {
    this._showWidgets();
  }

  private _showWidgets(): void {
    const isKernelHere = this._kernel !== '' && this._host.kernel(this.node) === this._kernel;
    if (this._isLive || !this._isTrusted || !isKernelHere || this._model === '') {
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
